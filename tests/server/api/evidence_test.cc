#include "server/api/evidence.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/base/limits.h"
#include "proto/wire/evidence.h"
#include "proto/wire/evidence_check.h"
#include "proto/wire/exceptions.h"
#include "tests/server/api/api_world.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

using base::ErrorCode;
using tests::TestId;

class EvidenceTest : public ::testing::Test {
 protected:
  void Send(std::uint8_t n, wire::SealedBatch batch) {
    EXPECT_TRUE(world_.ingest_.Submit({TestId(n), tests::TestKey(10 + n).public_key(), {}},
                                      std::move(batch), [](const ingest::Outcome&) {}));
    world_.loop_.RunReady();
  }

  // An endpoint whose policy 1 is in force, with three batches in its chain and one beside it.
  void SeeEndpoint() {
    auto policy = world_.Policy(1);
    model::PolicyApplied applied;
    applied.version = 1;
    applied.manifest = openssl::Sha256Of(base::AsBytes(policy.document.bytes));
    ASSERT_TRUE(world_.Publish(std::move(policy)).has_value());
    world_.Enrol(1);
    tests::EndpointScript script(tests::TestKey(11), TestId(0xc1));
    Send(1, script.Start());
    Send(1, script.Seal({applied}));
    const auto fork = script.position();
    Send(1, script.Seal({model::SightingAppeared{tests::TestSighting("/m", 1)}}));
    script.position() = fork;
    Send(1, script.Seal({model::SightingAppeared{tests::TestSighting("/other", 2)}}));
    for (const std::optional<model::Id> scope : {std::optional<model::Id>(), {TestId(1)}}) {
      store::ExceptionSetRecord record;
      record.set = tests::MakeExceptionSet(1, {});
      record.set.endpoint = scope;
      record.document = tests::SignExceptions(record.set);
      ASSERT_TRUE(world_.store_->PublishExceptions(store::Scope::WholeFleet(), record).has_value());
    }
  }

  static v1::GetEvidenceRequest Request() {
    v1::GetEvidenceRequest request;
    request.set_endpoint_id(TestId(1).ToHex());
    return request;
  }
  v1::ListBatchesResponse Batches(const std::string& chain) {
    v1::ListBatchesRequest request;
    request.set_endpoint_id(TestId(1).ToHex());
    request.set_chain_id(chain);
    auto response = api_world_.Ask<v1::ListBatchesResponse>(request);
    EXPECT_TRUE(response.has_value()) << response.error().ToString();
    return *std::move(response);
  }

  // As weighctl puts it together.
  std::string File(const v1::GetEvidenceResponse& evidence) {
    std::string file;
    wire::EvidenceWriter writer([&](std::string_view bytes) -> base::Status {
      file += bytes;
      return {};
    });
    EXPECT_TRUE(writer.Begin().has_value());
    const auto add = [&](const auto& fill) {
      v1::EvidenceRecord record;
      fill(record);
      EXPECT_TRUE(writer.Add(record).has_value());
    };
    for (const auto& root : evidence.roots()) {
      add([&](v1::EvidenceRecord& record) { *record.mutable_root() = root; });
    }
    add([&](v1::EvidenceRecord& record) { *record.mutable_statement() = evidence.statement(); });
    for (const auto& set : evidence.exceptions()) {
      add([&](v1::EvidenceRecord& record) { *record.mutable_exceptions() = set; });
    }
    const auto policy = api_world_.Ask<v1::GetPolicyResponse>(v1::GetPolicyRequest());
    add([&](v1::EvidenceRecord& record) {
      *record.mutable_policy()->mutable_bundle() = policy->bundle();
      record.mutable_policy()->set_document(policy->document());
    });
    for (const auto& signed_word : evidence.acknowledgements()) {
      add([&](v1::EvidenceRecord& record) { *record.mutable_acknowledgement() = signed_word; });
    }
    const v1::ListBatchesResponse chain = Batches(TestId(0xc1).ToHex());
    for (const auto& batch : chain.batches()) {
      add([&](v1::EvidenceRecord& record) {
        EXPECT_TRUE(wire::PutBatch(batch, *record.mutable_batch()).has_value());
      });
    }
    const v1::ListBatchesResponse beside = Batches("");
    for (const auto& batch : beside.batches()) {
      add([&](v1::EvidenceRecord& record) {
        EXPECT_TRUE(wire::PutBatch(batch, *record.mutable_quarantined_batch()).has_value());
      });
    }
    const auto manifest = wire::ParseManifest(policy->bundle().manifest());
    EXPECT_TRUE(manifest.has_value());
    for (const wire::PartReference& part : manifest->parts) {
      v1::GetPolicyPartRequest request;
      request.set_sha256(part.sha256.ToHex());
      const auto piece = api_world_.Ask<v1::GetPolicyPartResponse>(request);
      EXPECT_TRUE(piece.has_value());
      add([&](v1::EvidenceRecord& record) {
        record.mutable_part()->set_sha256(std::string(base::AsText(part.sha256.view())));
        record.mutable_part()->set_data(piece->content());
      });
    }
    EXPECT_TRUE(writer.End().has_value());
    return file;
  }

  tests::ApiWorld api_world_;
  tests::ServerWorld& world_ = api_world_.world_;
};

TEST_F(EvidenceTest, IsEverythingThatAFileNeedsToHold) {
  SeeEndpoint();
  const auto evidence = api_world_.Ask<v1::GetEvidenceResponse>(Request());
  ASSERT_TRUE(evidence.has_value()) << evidence.error().ToString();
  wire::EvidenceCheck check(
      openssl::Sha256Of(base::AsBytes(tests::MakeTestFleet().signed_root.bytes)));
  check.Add(File(*evidence));
  const v1::EvidenceReport report = check.Finish();
  EXPECT_TRUE(report.verified()) << report.problems(0);
  ASSERT_EQ(report.chains_size(), 1);
  EXPECT_EQ(report.chains(0).batches(), 3U);
  EXPECT_EQ(report.chains(0).events(), 3U);
  EXPECT_EQ(report.quarantined_size(), 1);
  EXPECT_EQ(report.policy_versions_size(), 1);
  EXPECT_EQ(report.parts(), 1U);
  EXPECT_EQ(report.fleet_exceptions_version(), 1U);
  EXPECT_EQ(report.endpoint_exceptions_version(), 1U);
  EXPECT_EQ(report.server_time_us(), base::ToMicroseconds(world_.loop_.Now()));
}

TEST_F(EvidenceTest, AcknowledgesTheLastBatchOfTheRange) {
  SeeEndpoint();
  v1::GetEvidenceRequest request = Request();
  request.set_last_number(2);
  const auto evidence = api_world_.Ask<v1::GetEvidenceResponse>(request);
  ASSERT_TRUE(evidence.has_value());
  ASSERT_EQ(evidence->acknowledgements_size(), 1);
  const auto document = wire::FromProto(evidence->acknowledgements(0));
  const auto acknowledgement = wire::VerifyAcknowledgement(*document, tests::MakeTestFleet().root);
  ASSERT_TRUE(acknowledgement.has_value());
  EXPECT_EQ(acknowledgement->number, 2U);
  const v1::ListBatchesResponse batches = Batches(TestId(0xc1).ToHex());
  EXPECT_EQ(acknowledgement->header_digest, wire::HeaderDigest(batches.batches(1).header()));
}

TEST_F(EvidenceTest, RefusesARangeThatEndsBeforeItBegins) {
  SeeEndpoint();
  v1::GetEvidenceRequest numbers = Request();
  numbers.set_first_number(9);
  numbers.set_last_number(3);
  EXPECT_EQ(api_world_.Ask<v1::GetEvidenceResponse>(numbers).error().code(),
            ErrorCode::kInvalidArgument);
  v1::GetEvidenceRequest times = Request();
  times.set_from_time_us(9);
  times.set_until_time_us(8);
  EXPECT_EQ(api_world_.Ask<v1::GetEvidenceResponse>(times).error().code(),
            ErrorCode::kInvalidArgument);
  times.set_until_time_us(9);
  EXPECT_TRUE(api_world_.Ask<v1::GetEvidenceResponse>(times).has_value());
}

TEST_F(EvidenceTest, LeavesOutAPolicyThatTheServerDoesNotHave) {
  world_.Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), TestId(0xc1));
  Send(1, script.Start());
  model::PolicyApplied applied;
  applied.version = 9;
  applied.manifest = tests::TestDigest(9);
  Send(1, script.Seal({applied}));
  const auto evidence = api_world_.Ask<v1::GetEvidenceResponse>(Request());
  ASSERT_TRUE(evidence.has_value()) << evidence.error().ToString();
  const auto statement = wire::ParseStatement(evidence->statement().statement());
  ASSERT_TRUE(statement.has_value());
  EXPECT_TRUE(statement->policies.empty());
}

TEST_F(EvidenceTest, IsWrittenDownInTheAuditLog) {
  SeeEndpoint();
  ASSERT_TRUE(api_world_.Ask<v1::GetEvidenceResponse>(Request()).has_value());
  Batches("");
  const auto log = world_.queries_->ListAuditEntries({});
  ASSERT_EQ(log->rows.size(), 4U);
  EXPECT_EQ(log->rows[0].row.method, "GetEvidence");
  EXPECT_EQ(log->rows[0].row.summary, "endpoint_id=\"" + TestId(1).ToHex() + "\"");
  EXPECT_EQ(log->rows[3].row.method, "ListBatches");
  EXPECT_EQ(log->rows[3].row.summary, "batches=1 of them");
}

TEST_F(EvidenceTest, IsAskedForPageByPage) {
  world_.Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), TestId(0xc1));
  Send(1, script.Start());
  const std::vector<std::string> bodies(20, std::string(base::limits::kMaxEventBytes, 'x'));
  for (int i = 0; i < 2; ++i) Send(1, script.SealBodies(model::PriorityClass::kActivity, bodies));
  v1::ListBatchesRequest request;
  request.set_endpoint_id(TestId(1).ToHex());
  request.set_chain_id(TestId(0xc1).ToHex());
  auto page = api_world_.Ask<v1::ListBatchesResponse>(request);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->batches_size(), 2);
  request.set_page_token(page->next_page_token());
  page = api_world_.Ask<v1::ListBatchesResponse>(request);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->batches_size(), 1);
  EXPECT_EQ(page->next_page_token(), "");
  for (const char* bad : {"x", "b", "bx", "b1x", "1"}) {
    request.set_page_token(bad);
    EXPECT_EQ(api_world_.Ask<v1::ListBatchesResponse>(request).error().code(),
              ErrorCode::kInvalidArgument)
        << bad;
  }
}

}  // namespace
}  // namespace weighmaster::server::api
