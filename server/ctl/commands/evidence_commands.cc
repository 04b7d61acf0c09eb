#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "policy/base/limits.h"
#include "policy/report/table.h"
#include "proto/wire/evidence.h"
#include "proto/wire/evidence_check.h"
#include "proto/wire/trust.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/commands/policy_files.h"
#include "server/ctl/listing.h"
#include "server/ctl/message_json.h"
#include "server/ctl/trust/root_files.h"
#include "third_party/openssl/sha256.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/admin.pb.h"
#include "weighmaster/v1/evidence.pb.h"

namespace weighmaster::server::ctl {
namespace {

using Align = report::Table::Align;
using report::Cell;
using Record = v1::EvidenceRecord;

// A file that holds is no proof of silence: its range may be one in which nothing was said.
constexpr std::string_view kNothing = "Nothing of this endpoint is in this file.\n";

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// A batch's number, or when the server received it.
base::Status ReadBound(const Arguments& arguments, std::string_view option, std::uint64_t& number,
                       std::int64_t& time_us) {
  if (IsNumber(arguments.Value(option))) {
    WM_ASSIGN_OR_RETURN(number, arguments.Number(option, 0));
    if (number == 0) return base::InvalidArgument("batches are numbered from 1");
    return {};
  }
  WM_ASSIGN_OR_RETURN(time_us, MomentOf(arguments, option));
  return {};
}

base::Result<v1::GetEvidenceRequest> ReadRequest(const Arguments& arguments) {
  v1::GetEvidenceRequest request;
  request.set_endpoint_id(arguments.Value("endpoint"));
  std::uint64_t number = 0;
  std::int64_t time_us = 0;
  WM_RETURN_IF_ERROR(ReadBound(arguments, "from", number, time_us));
  request.set_first_number(number);
  request.set_from_time_us(time_us);
  number = 0;
  time_us = 0;
  WM_RETURN_IF_ERROR(ReadBound(arguments, "to", number, time_us));
  request.set_last_number(number);
  request.set_until_time_us(time_us);
  return request;
}

// One export, from the server's statement to the trailer.
class Export {
 public:
  Export(Context& context, AdminClient& client, v1::GetEvidenceRequest range,
         wire::EvidenceWriter& writer)
      : context_(context), client_(client), range_(std::move(range)), writer_(writer) {}

  base::Status Run() {
    v1::GetEvidenceResponse evidence;
    WM_RETURN_IF_ERROR(client_.GetEvidence(range_, evidence));
    WM_ASSIGN_OR_RETURN(const wire::EvidenceStatement statement,
                        wire::ParseStatement(evidence.statement().statement()));
    WM_RETURN_IF_ERROR(WriteContext(evidence, statement));
    for (const wire::EvidenceChain& chain : statement.chains) {
      WM_RETURN_IF_ERROR(WriteChain(chain));
    }
    WM_RETURN_IF_ERROR(WriteQuarantined(statement));
    for (const wire::PartReference& part : parts_) WM_RETURN_IF_ERROR(WritePart(part));
    return writer_.End();
  }

 private:
  base::Status WriteContext(const v1::GetEvidenceResponse& evidence,
                            const wire::EvidenceStatement& statement) {
    WM_RETURN_IF_ERROR(writer_.Begin());
    Record record;
    for (const v1::SignedRoot& root : evidence.roots()) {
      *record.mutable_root() = root;
      WM_RETURN_IF_ERROR(writer_.Add(record));
    }
    *record.mutable_statement() = evidence.statement();
    WM_RETURN_IF_ERROR(writer_.Add(record));
    for (const v1::SignedExceptions& set : evidence.exceptions()) {
      *record.mutable_exceptions() = set;
      WM_RETURN_IF_ERROR(writer_.Add(record));
    }
    for (const wire::EvidenceAppliedPolicy& policy : statement.policies) {
      WM_RETURN_IF_ERROR(WritePolicy(policy.version));
    }
    for (const v1::SignedAcknowledgement& acknowledgement : evidence.acknowledgements()) {
      *record.mutable_acknowledgement() = acknowledgement;
      WM_RETURN_IF_ERROR(writer_.Add(record));
    }
    return {};
  }

  base::Status WritePolicy(std::uint64_t version) {
    v1::GetPolicyRequest request;
    request.set_version(version);
    v1::GetPolicyResponse response;
    WM_RETURN_IF_ERROR(client_.GetPolicy(request, response));
    WM_ASSIGN_OR_RETURN(const wire::BundleManifest manifest,
                        wire::ParseManifest(response.bundle().manifest()));
    for (const wire::PartReference& part : manifest.parts) {
      // Versions of a policy often have parts in common.
      if (std::ranges::find(parts_, part.sha256, &wire::PartReference::sha256) == parts_.end()) {
        parts_.push_back(part);
      }
    }
    Record record;
    record.mutable_policy()->mutable_bundle()->Swap(response.mutable_bundle());
    record.mutable_policy()->set_document(response.document());
    return writer_.Add(record);
  }

  base::Status WritePart(const wire::PartReference& part) {
    return VisitPart(client_, part, [&](std::uint64_t offset, std::string piece) {
      Record record;
      record.mutable_part()->set_sha256(std::string(base::AsText(part.sha256.view())));
      record.mutable_part()->set_offset(offset);
      record.mutable_part()->set_data(std::move(piece));
      return writer_.Add(record);
    });
  }

  // By the numbers of the statement, which no batch that came since changes.
  base::Status WriteChain(const wire::EvidenceChain& chain) {
    v1::ListBatchesRequest request;
    request.set_endpoint_id(range_.endpoint_id());
    request.set_chain_id(chain.chain.ToHex());
    request.set_first_number(chain.first_number);
    request.set_last_number(chain.last_number);
    return ForEachBatch(request, [&](const v1::SealedBatch& batch) -> base::Status {
      Record record;
      WM_RETURN_IF_ERROR(wire::PutBatch(batch, *record.mutable_batch()));
      return writer_.Add(record);
    });
  }

  base::Status WriteQuarantined(const wire::EvidenceStatement& statement) {
    std::set<model::Sha256> wanted;
    for (const wire::EvidenceQuarantined& batch : statement.quarantined) {
      wanted.insert(batch.header_digest);
    }
    if (wanted.empty()) return {};
    v1::ListBatchesRequest request;
    request.set_endpoint_id(range_.endpoint_id());
    request.set_first_number(range_.first_number());
    request.set_last_number(range_.last_number());
    request.set_from_time_us(range_.from_time_us());
    request.set_until_time_us(range_.until_time_us());
    return ForEachBatch(request, [&](const v1::SealedBatch& batch) -> base::Status {
      // One that came since is not in the statement.
      if (!wanted.contains(wire::HeaderDigest(batch.header()))) return {};
      Record record;
      WM_RETURN_IF_ERROR(wire::PutBatch(batch, *record.mutable_quarantined_batch()));
      return writer_.Add(record);
    });
  }

  template <typename Tell>
  base::Status ForEachBatch(v1::ListBatchesRequest request, const Tell& tell) {
    v1::ListBatchesResponse page;
    do {
      page.Clear();
      WM_RETURN_IF_ERROR(client_.ListBatches(request, page));
      for (const v1::SealedBatch& batch : page.batches()) WM_RETURN_IF_ERROR(tell(batch));
      request.set_page_token(page.next_page_token());
      if (!page.next_page_token().empty()) {
        context_.err << writer_.batches() << " batches so far\n";
      }
    } while (!page.next_page_token().empty());
    return {};
  }

  Context& context_;
  AdminClient& client_;
  const v1::GetEvidenceRequest range_;
  wire::EvidenceWriter& writer_;
  std::vector<wire::PartReference> parts_;  // that the written policies consist of
};

base::Result<ExitCode> RunExport(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const v1::GetEvidenceRequest request, ReadRequest(arguments));
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  AdminClient client(std::move(profile));
  std::uint64_t batches = 0;
  std::uint64_t bodies = 0;
  const auto fill = [&](const posix::Sink& sink) -> base::Status {
    wire::EvidenceWriter writer(sink);
    WM_RETURN_IF_ERROR(Export(context, client, request, writer).Run());
    batches = writer.batches();
    bodies = writer.bodies();
    return {};
  };
  // Paths and names of people are in it.
  WM_RETURN_IF_ERROR(posix::ReplaceFile(arguments.Value("out"), fill, 0600));
  if (arguments.Has("json")) {
    return PrintObject(context, {{"endpoint_id", Cell::Text(request.endpoint_id())},
                                 {"batches", Cell::Number(batches)},
                                 {"events", Cell::Number(bodies)},
                                 {"file", Cell::Text(arguments.Value("out"))}});
  }
  if (batches == 0) context.out << kNothing;
  context.out << batches << " batches with " << bodies << " events, into "
              << base::EscapeForDisplay(arguments.Value("out")) << ".\n";
  return ExitCode::kOk;
}

base::Result<std::optional<model::Sha256>> ReadPin(const Arguments& arguments) {
  if (arguments.Has("root") && arguments.Has("root-sha256")) {
    return base::InvalidArgument("either --root or --root-sha256, not both");
  }
  if (arguments.Has("root-sha256")) {
    WM_ASSIGN_OR_RETURN(const model::Sha256 pin,
                        model::ParseSha256(arguments.Value("root-sha256")));
    return std::optional(pin);
  }
  if (!arguments.Has("root")) return std::optional<model::Sha256>();
  WM_ASSIGN_OR_RETURN(const wire::SignedDocument document, ReadRootFile(arguments.Value("root")));
  WM_RETURN_IF_ERROR(wire::VerifyRoot(document));
  return std::optional(openssl::Sha256Of(base::AsBytes(document.bytes)));
}

void PrintChains(std::ostream& out, const v1::EvidenceReport& report) {
  report::Table chains({{"CHAIN"},
                        {"BATCHES"},
                        {"OF", Align::kRight},
                        {"EVENTS", Align::kRight},
                        {"HOLES", Align::kRight},
                        {"FIRST"},
                        {"LAST"},
                        {"STATE"}});
  for (const v1::EvidenceReport::Chain& chain : report.chains()) {
    chains.AddRow(
        {chain.chain_id(),
         std::to_string(chain.first_number()) + " to " + std::to_string(chain.last_number()),
         std::to_string(chain.head_number()), std::to_string(chain.events()),
         std::to_string(chain.holes()), TimeCell(chain.first_time_us()),
         TimeCell(chain.last_time_us()), chain.superseded() ? "superseded" : "live"});
  }
  if (!chains.empty()) out << chains.ToString() << "\n";
  report::Table quarantined(
      {{"QUARANTINED IN"}, {"BATCH", Align::kRight}, {"REASON"}, {"RECEIVED"}});
  for (const v1::EvidenceReport::Quarantined& batch : report.quarantined()) {
    quarantined.AddRow({batch.chain_id(), std::to_string(batch.number()),
                        std::string(wire::QuarantineReasonName(
                            static_cast<wire::QuarantineReason>(batch.reason()))),
                        TimeCell(batch.received_time_us())});
  }
  if (!quarantined.empty()) out << quarantined.ToString() << "\n";
}

void PrintVersions(std::ostream& out, std::string_view before,
                   const google::protobuf::RepeatedField<std::uint64_t>& versions,
                   std::string_view after) {
  if (versions.empty()) return;
  out << before;
  for (int i = 0; i < versions.size(); ++i) out << (i == 0 ? "" : ", ") << versions[i];
  out << after << "\n";
}

void Print(std::ostream& out, const v1::EvidenceReport& report) {
  if (!report.endpoint_id().empty()) {
    out << "Endpoint " << report.endpoint_id() << " (" << base::EscapeForDisplay(report.hostname())
        << ") of fleet " << base::EscapeForDisplay(report.fleet_id())
        << ", by the server's word of " << TimeCell(report.server_time_us()) << ".\n\n";
  }
  PrintChains(out, report);
  const bool nothing = report.chains().empty() && report.quarantined().empty();
  if (nothing && !report.endpoint_id().empty()) out << kNothing;
  PrintVersions(out, "Policies that were in force: ", report.policy_versions(),
                report.format_version() == 1
                    ? ", without their parts, which files of version 1 do not have."
                    : ", with " + std::to_string(report.parts()) + " parts.");
  PrintVersions(out, "Said to have been in force, and not on the server: ",
                report.missing_policy_versions(), ".");
  if (!report.root_sha256().empty()) {
    out << (report.root_pinned() ? "The pinned root is "
                                 : "No root was pinned: the file's own was trusted on sight, ")
        << report.root_sha256() << ".\n";
  }
}

base::Result<ExitCode> Verify(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const std::optional<model::Sha256> pin, ReadPin(arguments));
  wire::EvidenceCheck check(pin);
  WM_RETURN_IF_ERROR(
      posix::ReadPieces(arguments.Positional(0), [&](std::string_view piece) -> base::Status {
        check.Add(piece);
        return {};
      }));
  const v1::EvidenceReport report = check.Finish();
  if (arguments.Has("json")) {
    WM_RETURN_IF_ERROR(PrintMessageJson(context, report));
    return report.verified() ? ExitCode::kOk : ExitCode::kFailed;
  }
  Print(context.out, report);
  for (const std::string& problem : report.problems()) {
    context.err << "weighctl: " << base::EscapeForDisplay(problem) << "\n";
  }
  const auto told = static_cast<std::uint64_t>(report.problems_size());
  if (report.problems_total() > told) {
    context.err << "weighctl: and " << report.problems_total() - told << " more\n";
  }
  context.out << (report.verified() ? "Everything holds.\n" : "This is not what was signed.\n");
  return report.verified() ? ExitCode::kOk : ExitCode::kFailed;
}

}  // namespace

std::vector<Command> EvidenceCommands() {
  return {
      {"evidence export",
       "writes a file that proves what an endpoint said",
       {},
       WithJsonOption(
           {{"endpoint", "ID", "whose", true},
            {"from", "N|TIME", "only from this batch of each chain on, or received since"},
            {"to", "N|TIME", "only up to this batch of each chain, or received until"},
            {"out", "FILE", "where to; a file of this name is replaced once the new one is whole",
             true}}),
       RunExport},
      {"evidence verify",
       "checks such a file, with no server",
       {"FILE"},
       WithJsonOption(
           {{"root", "FILE", "the signed root document that trust begins with (root.signed)"},
            {"root-sha256", "HEX", "its digest, instead of --root"}}),
       Verify},
  };
}

}  // namespace weighmaster::server::ctl
