// One definition, two forms: what gRPC answers, REST answers, for every method and every role.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "policy/base/bytes.h"
#include "proto/wire/convert.h"
#include "server/rest/path_template.h"
#include "server/rest/transcode.h"
#include "tests/integration/both_ports.h"
#include "tests/integration/tls_client.h"
#include "tests/support/endpoint_script.h"
#include "tests/support/keys.h"
#include "third_party/openssl/key.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::tests {
namespace {

namespace rest = server::rest;
using google::protobuf::Message;
using Json = nlohmann::ordered_json;
using server::api::Method;

// What came of a call: an answer, or a code and a message.
struct Outcome {
  int code = 0;
  std::string message;
  Json answer;
};

std::unique_ptr<Message> New(const google::protobuf::Descriptor& type) {
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->New());
}

Json AsJson(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(message, &text, options).ok());
  return Json::parse(text);
}

// What two calls that make something can't have in common.
void Mask(Json& json) {
  for (auto& [name, value] : json.items()) {
    // Evidence is signed anew in each answer, and says when.
    const bool varies = name == "token" || name == "token_id" || name == "statement" ||
                        name == "acknowledgements" || name.ends_with("_time_us");
    if (varies) value = "masked";
    if (value.is_object()) Mask(value);
  }
}

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped += "%" + base::HexEncode(base::AsBytes({&c, 1}));
  return escaped;
}

void AddParameters(const Json& fields, const std::string& prefix, std::string& query) {
  for (const auto& [name, value] : fields.items()) {
    if (value.is_object()) {
      AddParameters(value, prefix + name + ".", query);
      continue;
    }
    query += (query.empty() ? "?" : "&") + prefix + name + "=" +
             Escaped(value.is_string() ? value.get<std::string>() : value.dump());
  }
}

// The request of these fields, as a client would write it that has read the OpenAPI page.
std::string HttpRequest(const Method& method, Json fields, const std::string& bearer) {
  std::string target = method.path;
  for (const std::string& name : rest::PathTemplate(method.path).variables()) {
    target.replace(target.find("{" + name + "}"), name.size() + 2,
                   Escaped(fields.at(name).get<std::string>()));
    fields.erase(name);
  }
  std::string body = method.has_body ? fields.dump() : "";
  if (!method.has_body) {
    std::string query;
    AddParameters(fields, "", query);
    target += query;
  }
  std::string text = method.http_method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n";
  if (!bearer.empty()) text += "Authorization: " + bearer + "\r\n";
  if (method.has_body) {
    text +=
        "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  return text + "\r\n" + body;
}

class SameAnswersTest : public testing::Test {
 protected:
  SameAnswersTest() {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = api_.ca_pem_;
    stub_ = std::make_unique<grpc::GenericStub>(
        grpc::CreateChannel(ports_.rpc_address(), grpc::SslCredentials(tls)));
    SeeModels();
  }

  // An endpoint with two models, one of them denied, with hostile names.
  void SeeModels() {
    server::store::EnrolmentTokenRecord token;
    token.secret_sha256 = TestDigest(1);
    token.expires = ports_.clock_.Now() + std::chrono::hours(1);
    WM_CHECK(api_.store_->AddToken(token));
    const openssl::PrivateKey& key = TestKey(10);
    WM_CHECK(
        api_.store_->Enrol(token.secret_sha256, ports_.clock_.Now(),
                           {TestId(1), key.public_key(), {"<b>host\n", "linux", "", "1", {}}}));
    EndpointScript script(key, TestId(1));
    std::vector<wire::SealedBatch> batches = {script.Start()};
    for (const int n : {1, 2}) {
      const std::string path = "/m/" + std::to_string(n) + "<b>\n\xff\x1b[2J";
      batches.push_back(script.Seal({model::SightingAppeared{TestSighting(path, n)}}));
      batches.push_back(script.Seal({model::SightingJudged{
          {path},
          TestDigest(n),
          TestVerdict(n == 1 ? model::Outcome::kDeny : model::Outcome::kAllow)}}));
    }
    for (wire::SealedBatch& batch : batches) {
      WM_CHECK(api_.ingest_.Submit({TestId(1), key.public_key(), {}}, std::move(batch),
                                   [&](const auto&) { ports_.loop_.Stop(); }));
      ports_.loop_.Run();
    }
    WM_CHECK(Must(api_.queries_->ListSightings(server::store::Scope::WholeFleet(), {})).total == 2);
  }

  Outcome AskGrpc(const Method& method, const Json& fields, const std::string& bearer) {
    auto request = New(*method.request);
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(fields.dump(), request.get()).ok());
    std::string bytes = request->SerializeAsString();
    if (method.descriptor->client_streaming()) {
      v1::PublishPolicyRequest chunk;
      chunk.set_chunk(bytes);
      bytes = chunk.SerializeAsString();
    }
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer in(&slice, 1);
    grpc::ByteBuffer out;
    grpc::ClientContext context;
    if (!bearer.empty()) context.AddMetadata("authorization", bearer);
    std::promise<grpc::Status> done;
    stub_->UnaryCall(&context, "/weighmaster.v1.AdminService/" + method.name, {}, &in, &out,
                     [&](const grpc::Status& status) { done.set_value(status); });
    const grpc::Status status = done.get_future().get();
    Outcome outcome{status.error_code(), status.error_message(), {}};
    if (!status.ok()) return outcome;
    std::vector<grpc::Slice> slices;
    EXPECT_TRUE(out.Dump(&slices).ok());
    std::string answer;
    for (const grpc::Slice& piece : slices) {
      answer.append(reinterpret_cast<const char*>(piece.begin()), piece.size());
    }
    auto response = New(*method.response);
    EXPECT_TRUE(response->ParseFromString(answer));
    outcome.answer = AsJson(*response);
    return outcome;
  }

  Outcome AskRest(const Method& method, const Json& fields, const std::string& bearer) {
    const std::string request = HttpRequest(method, fields, bearer);
    HttpAnswer answer = client_ == nullptr ? HttpAnswer() : client_->Ask(request);
    if (answer.status == 0) {  // the first, or the server has closed it after the answer before
      client_ = std::make_unique<TlsClient>(ports_.rest_->port(), api_.ca_pem_);
      answer = client_->Ask(request);
    }
    const Json json = Json::parse(answer.body, nullptr, false);
    EXPECT_TRUE(json.is_object()) << answer.status << " " << answer.body;
    if (answer.status == 200) return {0, "", json};
    const Outcome outcome{json.value("code", 0), json.value("message", ""), {}};
    EXPECT_EQ(answer.status, rest::HttpStatusOf(static_cast<base::ErrorCode>(outcome.code)));
    return outcome;
  }

  // Both calls; the code that they agree on.
  int Compare(const Method& method, const Json& fields, const std::string& bearer) {
    Outcome grpc = AskGrpc(method, fields, bearer);
    Outcome rest = AskRest(method, fields, bearer);
    if (method.audited) {
      Mask(grpc.answer);
      Mask(rest.answer);
    }
    EXPECT_EQ(grpc.code, rest.code) << method.name << " " << fields << rest.message;
    EXPECT_EQ(grpc.message, rest.message) << method.name << " " << fields;
    EXPECT_EQ(grpc.answer, rest.answer) << method.name << " " << fields;
    return rest.code;
  }

  // A policy of this fleet that nobody has to sign again.
  Json Publication() {
    const auto fleet = Must(api_.queries_->Fleet());
    const auto key =
        Must(openssl::PrivateKey::FromFile(api_.folder_ / "fleet/offline-keys/policy.key"));
    const std::string text = "policy: none\n";
    wire::BundleManifest manifest = MakeManifest(1);
    manifest.fleet_id = fleet.fleet_id;
    manifest.issued = ports_.clock_.Now();
    manifest.expires = manifest.issued + std::chrono::hours(1);
    manifest.document = openssl::Sha256Of(base::AsBytes(text));
    manifest.parts = {PartOf(wire::PartKind::kContent, "content", {})};
    wire::SignedDocument document{wire::SerialiseManifest(manifest), {}};
    WM_CHECK(wire::Sign(document, wire::kDomainBundle, key));
    v1::Publication publication;
    wire::ToProto(document, *publication.mutable_bundle());
    v1::Part& part = *publication.add_parts();
    part.mutable_reference()->set_kind(v1::PART_KIND_CONTENT);
    part.mutable_reference()->set_sha256(
        std::string(base::AsText(manifest.parts[0].sha256.view())));
    part.set_content("content");
    publication.set_document(text);
    return AsJson(publication);
  }

  Json Exceptions() {
    const auto key =
        Must(openssl::PrivateKey::FromFile(api_.folder_ / "fleet/offline-keys/exceptions.key"));
    model::ExceptionSet set = MakeExceptionSet(1, {});
    set.fleet_id = Must(api_.queries_->Fleet()).fleet_id;
    set.endpoint = TestId(1);
    wire::SignedDocument document{wire::SerialiseExceptions(set), {}};
    WM_CHECK(wire::Sign(document, wire::kDomainExceptions, key));
    v1::PublishExceptionsRequest request;
    wire::ToProto(document, *request.mutable_signed_exceptions());
    return AsJson(request);
  }

  BothPorts ports_;
  ServedApi& api_ = ports_.api_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::unique_ptr<TlsClient> client_;
};

// Of the one part of the policy that Publication publishes.
model::Sha256 PartDigest() { return openssl::Sha256Of(base::AsBytes(std::string_view("content"))); }

// A policy that warns of everything.
Json Draft(std::uint32_t samples) {
  model::RuleSet rules;
  rules.policy_name = "draft";
  rules.default_outcome = model::Outcome::kWarn;
  v1::PolicyDraft draft;
  draft.set_samples(samples);
  v1::Part& part = *draft.add_parts();
  part.mutable_reference()->set_kind(v1::PART_KIND_RULES);
  part.mutable_reference()->set_sha256(std::string(32, 'x'));
  part.set_content(wire::SerialiseRules(rules));
  return AsJson(draft);
}

// The first of each method goes well for whoever may call it; the others are refused.
std::map<std::string, std::vector<Json>> Samples(const Json& publication, const Json& exceptions,
                                                 const std::string& token_id) {
  const std::string nobody(32, '0');
  const std::string endpoint = TestId(1).ToHex();
  const Json too_large = {{"page_size", 1001}};
  const Json no_token = {{"page_token", "p1.x"}};
  Json no_policy = publication;
  no_policy["document"] = "another text";
  Json no_signature = publication;
  no_signature["bundle"]["signatures"] = Json::array();
  return {
      {"GetFleet", {Json::object()}},
      {"ListEndpoints", {{{"page_size", 1}}, too_large, no_token}},
      {"GetEndpoint",
       {{{"endpoint_id", endpoint}}, {{"endpoint_id", nobody}}, {{"endpoint_id", "x/y:z"}}}},
      {"ListSightings",
       {{{"include_gone", true}, {"page_size", 1}}, too_large, {{"endpoint_id", "\u00e4&=+%"}}}},
      {"Where",
       {{{"sha256", TestDigest(1).ToHex()}},
        {{"sha256", "00"}},
        {{"sha256", TestDigest(1).ToHex()}, {"weights_digest", TestDigest(1).ToHex()}},
        Json::object()}},
      {"ListArtifacts", {{{"order_by", "places desc"}}, too_large, {{"filter", "size >"}}}},
      {"ListEvents",
       {{{"endpoint_id", endpoint}, {"filter", "kind = sighting_judged"}},
        {{"endpoint_id", nobody}},
        {{"endpoint_id", endpoint}, {"order_by", "nothing"}}}},
      {"GetEvidence",
       {{{"endpoint_id", endpoint}, {"first_number", "2"}},
        {{"endpoint_id", nobody}},
        {{"endpoint_id", endpoint}, {"from_time_us", "-1"}}}},
      {"ListBatches",
       {{{"endpoint_id", endpoint}, {"chain_id", endpoint}, {"last_number", "3"}},
        {{"endpoint_id", nobody}},
        {{"endpoint_id", endpoint}, {"chain_id", "x"}},
        {{"endpoint_id", endpoint}, {"page_token", "p1.x"}}}},
      {"CountVerdicts", {Json::object(), {{"endpoint_id", "x"}}}},
      {"ListPolicies", {{{"page_size", 1}}, no_token}},
      {"CreateToken",
       {{{"uses", 2}, {"valid_for_ms", "60000"}, {"comment", "<b>\n\""}},
        Json::object(),
        {{"uses", 1}, {"valid_for_ms", "9223372036854775807"}}}},
      {"PublishPolicy", {publication, no_policy, no_signature, Json::object()}},
      {"SimulatePolicy", {Draft(1), Draft(101), Json::object()}},
      {"GetPolicy", {{{"version", "1"}}, {{"version", "18446744073709551615"}}}},
      {"ListExceptions",
       {{{"page_size", 1}, {"include_ended", true}, {"as_of_time_us", "1"}},
        {{"filter", "x"}},
        {{"page_token", "p1.0"}},
        {{"page_size", 1001}}}},
      {"PublishExceptions", {exceptions, Json::object()}},
      {"GetExceptionSet", {Json::object(), {{"endpoint_id", nobody}}, {{"endpoint_id", "x"}}}},
      {"ListFindings", {{{"include_resolved", true}}, no_token}},
      {"GetPolicyPart",
       {{{"sha256", PartDigest().ToHex()}, {"offset", "3"}},
        {{"sha256", PartDigest().ToHex()}, {"offset", "8"}},
        {{"sha256", std::string(64, '0')}},
        {{"sha256", "x"}}}},
      {"GetStatistics", {Json::object()}},
      {"GetFinding", {{{"finding_id", "1"}}, {{"finding_id", "999"}}}},
      {"UpdateFinding",
       {{{"finding_id", "1"}, {"state", "FINDING_STATE_ACKNOWLEDGED"}, {"comment", "<b>\n"}},
        {{"finding_id", "999"}, {"comment", "x"}},
        {{"finding_id", "1"}},
        {{"finding_id", "1"}, {"state", "FINDING_STATE_RESOLVED"}}}},
      {"ListChanges",
       {{{"position", "0"}, {"page_size", 2}},
        {{"position", "999999999"}},
        {{"position", "x"}},
        too_large}},
      {"RevokeEndpoint",
       {{{"endpoint_id", endpoint}, {"reason", "lost"}},
        {{"endpoint_id", nobody}},
        {{"endpoint_id", "x"}}}},
      {"SetEndpointLabels",
       {{{"endpoint_id", endpoint}, {"labels", {"site=berlin", "team=ml"}}},
        {{"endpoint_id", nobody}, {"labels", {"site=berlin"}}},
        {{"endpoint_id", endpoint}, {"labels", {"Site=berlin"}}},
        {{"endpoint_id", "x"}}}},
      {"CreateAdminToken",
       {{{"name", "new"}, {"role", "ADMIN_ROLE_VIEWER"}, {"valid_for_ms", "60000"}},
        {{"name", ""}, {"role", "ADMIN_ROLE_VIEWER"}, {"valid_for_ms", "60000"}},
        {{"name", "new"}, {"valid_for_ms", "60000"}},
        {{"name", "new"},
         {"role", "ADMIN_ROLE_VIEWER"},
         {"valid_for_ms", "60000"},
         {"scope", "a"}}}},
      {"ListAdminTokens", {{{"page_size", 2}}, {{"page_size", 1001}}}},
      {"RevokeAdminToken", {{{"token_id", token_id}}, {{"token_id", nobody}}, {{"token_id", "-"}}}},
      {"ListAuditEntries", {{{"page_size", 1000}}, {{"page_token", "p1.0"}}}},
      {"WhoAmI", {Json::object()}},
  };
}

TEST_F(SameAnswersTest, OfEveryMethodForEveryRole) {
  const auto spare = server::identity::MakeAdminToken("spare", server::store::AdminRole::kViewer,
                                                      server::store::Scope::WholeFleet(),
                                                      ports_.clock_.Now(), {}, api_.random_);
  ASSERT_TRUE(api_.store_->AddAdminToken(spare.record).has_value());
  server::store::ExceptionSetRecord of_fleet;
  of_fleet.set = MakeExceptionSet(1, {});
  of_fleet.document = SignExceptions(of_fleet.set);
  ASSERT_TRUE(
      api_.store_->PublishExceptions(server::store::Scope::WholeFleet(), of_fleet).has_value());
  const auto samples = Samples(Publication(), Exceptions(), spare.record.id.ToHex());
  std::vector<std::pair<std::string, server::store::AdminRole>> callers = {
      {api_.bearer_, server::store::AdminRole::kAdmin}};
  for (const auto role :
       {server::store::AdminRole::kPolicyAuthor, server::store::AdminRole::kViewer,
        server::store::AdminRole::kResponder}) {
    callers.emplace_back(api_.MakeBearer(role, std::string(server::store::AdminRoleName(role))),
                         role);
  }
  ports_.Beside([&] {
    for (const auto& [bearer, role] : callers) {
      for (const Method& method : api_.dispatch_->methods()) {
        ASSERT_TRUE(samples.contains(method.name)) << method.name << " has no sample";
        const bool may =
            server::identity::Allows(role, server::store::Scope::WholeFleet(), method.permission);
        bool first = true;
        for (const Json& fields : samples.at(method.name)) {
          const int code = Compare(method, fields, bearer);
          EXPECT_EQ(code == 0, may && first) << method.name << " " << fields << " " << code;
          EXPECT_EQ(code == 7, !may) << method.name << " " << fields << " " << code;
          first = false;
        }
      }
    }
  });
}

TEST_F(SameAnswersTest, OfEveryMethodForNobody) {
  const auto samples = Samples(Json::object(), Json::object(), std::string(32, '1'));
  std::string guessed = api_.bearer_;
  guessed[20] = guessed[20] == 'A' ? 'B' : 'A';
  ports_.Beside([&] {
    for (const Method& method : api_.dispatch_->methods()) {
      for (const std::string& bearer : {std::string(), guessed, std::string("Basic YTpi")}) {
        EXPECT_EQ(Compare(method, samples.at(method.name).front(), bearer), 16) << method.name;
      }
    }
  });
}

}  // namespace
}  // namespace weighmaster::tests
