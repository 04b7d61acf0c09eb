#include <chrono>
#include <filesystem>
#include <string>
#include <utility>

#include "policy/base/limits.h"
#include "policy/lang/cases.h"
#include "policy/lang/compile.h"
#include "policy/lang/diff.h"
#include "policy/lang/document.h"
#include "policy/lang/schema.h"
#include "policy/lang/suggest.h"
#include "policy/model/lists/digest_lists.h"
#include "policy/report/table.h"
#include "proto/wire/convert.h"
#include "proto/wire/trust.h"
#include "server/ctl/command.h"
#include "server/ctl/listing.h"
#include "third_party/openssl/key.h"
#include "third_party/openssl/sha256.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

namespace limits = base::limits;

struct DocumentFile {
  std::string text;
  lang::Reading reading;
};

base::Result<DocumentFile> ReadDocumentFile(const std::string& path, base::WallTime now) {
  DocumentFile file;
  WM_ASSIGN_OR_RETURN(file.text, posix::ReadFile(path, limits::kMaxPolicyBytes));
  const std::string folder = std::filesystem::path(path).parent_path().string();
  file.reading = lang::ReadDocument(
      path, file.text,
      [&folder](const std::string& list) {
        return posix::ReadFileBelow(folder, list, limits::kMaxListFileBytes);
      },
      now);
  return file;
}

std::string CountLine(const lang::Diagnostics& diagnostics) {
  return std::to_string(diagnostics.errors()) + " errors, " +
         std::to_string(diagnostics.warnings()) + " warnings";
}

base::Result<ExitCode> Lint(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const DocumentFile file,
                      ReadDocumentFile(arguments.Positional(0), context.clock.Now()));
  const lang::Diagnostics& diagnostics = file.reading.diagnostics;
  context.err << diagnostics.ToText();
  context.out << arguments.Positional(0) << ": " << CountLine(diagnostics) << "\n";
  return diagnostics.has_errors() ? ExitCode::kFailed : ExitCode::kOk;
}

// What a bundle is signed for: asked of the server, or given whole for a machine that has none.
struct Target {
  std::string fleet_id;
  std::uint64_t version = 0;
  std::uint64_t floor = 0;
};

base::Result<Target> FindTarget(const Context& context, const Arguments& arguments) {
  Target target;
  if (arguments.Has("fleet")) {
    if (!arguments.Has("version") || !arguments.Has("floor")) {
      return base::InvalidArgument("--fleet, --version and --floor go together");
    }
    target.fleet_id = arguments.Value("fleet");
  } else {
    WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
    v1::GetFleetResponse fleet;
    WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).GetFleet({}, fleet));
    target.fleet_id = fleet.fleet_id();
    target.version = fleet.newest_policy_version() + 1;
    // The version that is promoted now stays a way back.
    target.floor = fleet.newest_policy_version();
  }
  WM_ASSIGN_OR_RETURN(target.version, arguments.Number("version", target.version));
  WM_ASSIGN_OR_RETURN(target.floor, arguments.Number("floor", target.floor));
  if (target.version == 0 || target.floor > target.version) {
    return base::InvalidArgument("--version must be 1 or more, and --floor not above it");
  }
  return target;
}

wire::PartReference AddPart(v1::Publication& request, wire::PartKind kind, std::string_view feature,
                            std::string content) {
  wire::PartReference reference;
  reference.kind = kind;
  reference.sha256 = openssl::Sha256Of(base::AsBytes(content));
  reference.size_bytes = content.size();
  reference.features = {std::string(feature)};
  v1::Part& part = *request.add_parts();
  part.mutable_reference()->set_kind(static_cast<v1::PartKind>(kind));
  part.mutable_reference()->set_sha256(std::string(base::AsText(reference.sha256.view())));
  part.mutable_reference()->set_size_bytes(reference.size_bytes);
  part.mutable_reference()->add_features(std::string(feature));
  part.set_content(std::move(content));
  return reference;
}

base::Result<v1::Publication> Bundle(const Context& context, const Arguments& arguments,
                                     const DocumentFile& file) {
  WM_ASSIGN_OR_RETURN(const lang::CompiledPolicy compiled, lang::Compile(file.reading));
  WM_ASSIGN_OR_RETURN(const Target target, FindTarget(context, arguments));
  WM_ASSIGN_OR_RETURN(const base::Duration valid_for,
                      arguments.Duration("valid-for", std::chrono::hours(90 * 24)));
  const base::Bytes lists = model::EncodeDigestLists(compiled.lists);
  v1::Publication request;
  wire::BundleManifest manifest;
  manifest.fleet_id = target.fleet_id;
  manifest.line = arguments.Value("line", "default");
  manifest.version = target.version;
  manifest.floor = target.floor;
  manifest.issued = context.clock.Now();
  manifest.expires = manifest.issued + valid_for;
  manifest.document = openssl::Sha256Of(base::AsBytes(file.text));
  manifest.document_name = std::filesystem::path(arguments.Positional(0)).filename().string();
  manifest.parts.push_back(AddPart(request, wire::PartKind::kLists, wire::kFeatureLists,
                                   std::string(base::AsText(lists))));
  manifest.parts.push_back(AddPart(request, wire::PartKind::kRules, wire::kFeatureRules,
                                   wire::SerialiseRules(compiled.rules)));
  request.mutable_bundle()->set_manifest(wire::SerialiseManifest(manifest));
  request.set_document(file.text);
  return request;
}

base::Status AddSignature(v1::Publication& request, const std::string& key_file) {
  WM_ASSIGN_OR_RETURN(const openssl::PrivateKey key, openssl::PrivateKey::FromFile(key_file));
  WM_ASSIGN_OR_RETURN(wire::SignedDocument document, wire::FromProto(request.bundle()));
  WM_RETURN_IF_ERROR(wire::Sign(document, wire::kDomainBundle, key));
  wire::ToProto(document, *request.mutable_bundle());
  return {};
}

base::Result<v1::Publication> ReadBundleFile(const std::string& path) {
  WM_ASSIGN_OR_RETURN(const std::string bytes, posix::ReadFile(path, limits::kMaxBundleBytes));
  v1::Publication request;
  if (!request.ParseFromString(bytes) || request.bundle().manifest().empty()) {
    return base::InvalidArgument(path + " is no bundle; \"weighctl policy sign\" makes one");
  }
  return request;
}

base::Result<ExitCode> Sign(Context& context, const Arguments& arguments) {
  if (!arguments.Has("key") || !arguments.Has("out")) {
    return base::InvalidArgument("--key FILE and --out FILE are needed");
  }
  v1::Publication request;
  if (arguments.Has("cosign")) {
    WM_ASSIGN_OR_RETURN(request, ReadBundleFile(arguments.Positional(0)));
  } else {
    WM_ASSIGN_OR_RETURN(const DocumentFile file,
                        ReadDocumentFile(arguments.Positional(0), context.clock.Now()));
    context.err << file.reading.diagnostics.ToText();
    if (file.reading.diagnostics.has_errors()) return ExitCode::kFailed;
    WM_ASSIGN_OR_RETURN(request, Bundle(context, arguments, file));
  }
  WM_RETURN_IF_ERROR(AddSignature(request, arguments.Value("key")));
  WM_RETURN_IF_ERROR(posix::ReplaceFile(arguments.Value("out"), request.SerializeAsString(), 0644));
  WM_ASSIGN_OR_RETURN(const wire::BundleManifest manifest,
                      wire::ParseManifest(request.bundle().manifest()));
  context.out << "Signed version " << manifest.version << " for the fleet " << manifest.fleet_id
              << ", " << request.bundle().signatures_size() << " signature(s), good until "
              << base::FormatWallTime(manifest.expires) << ": " << arguments.Value("out") << "\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Publish(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const v1::Publication request, ReadBundleFile(arguments.Positional(0)));
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  v1::PublishPolicyResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).PublishPolicy(request, response));
  context.out << "Published version " << response.version() << "; offered to "
              << response.endpoints_offered() << " connected endpoint(s).\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Show(Context& context, const Arguments& arguments) {
  v1::GetPolicyRequest request;
  WM_ASSIGN_OR_RETURN(const std::uint64_t version, arguments.Number("version", 0));
  request.set_version(version);
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  v1::GetPolicyResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).GetPolicy(request, response));
  WM_ASSIGN_OR_RETURN(const wire::BundleManifest manifest,
                      wire::ParseManifest(response.bundle().manifest()));
  context.err << "Version " << response.version() << ", published "
              << base::FormatWallTime(base::WallTimeFromMicroseconds(response.published_time_us()))
              << ", good until " << base::FormatWallTime(manifest.expires) << ", floor "
              << manifest.floor << ", in force on " << response.endpoints_in_force() << " of "
              << response.endpoints_total() << " endpoints.\n";
  context.out << response.document();
  return ExitCode::kOk;
}

// Adds the models that are there now, and could be read, of every endpoint.
base::Status AddInventory(Context& context, lang::Suggestion& suggestion) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  AdminClient client(std::move(profile));
  v1::ListSightingsRequest request;
  request.set_page_size(limits::kMaxPageSize);
  v1::ListSightingsResponse response;
  do {
    response.Clear();
    WM_RETURN_IF_ERROR(client.ListSightings(request, response));
    for (const v1::StoredSighting& row : response.sightings()) {
      WM_ASSIGN_OR_RETURN(const model::Sighting sighting, wire::FromProto(row.sighting()));
      suggestion.Add(sighting);
    }
    request.set_page_token(response.next_page_token());
  } while (!response.next_page_token().empty());
  return {};
}

base::Result<ExitCode> Suggest(Context& context, const Arguments& arguments) {
  if (!arguments.Has("from-inventory")) {
    return base::InvalidArgument("say what from: --from-inventory");
  }
  const std::filesystem::path out(arguments.Value("out", "policy.yaml"));
  const std::string list = out.stem().string() + "-approved.txt";
  const std::string list_path = (out.parent_path() / list).string();
  // Before anything is written, so that both files are new or neither is.
  for (const std::string& path : {out.string(), list_path}) {
    std::error_code unreadable;  // is then told by the writing
    if (!std::filesystem::exists(path, unreadable)) continue;
    return base::AlreadyExists(path + " is there already, and nothing is overwritten");
  }
  lang::Suggestion suggestion(arguments.Value("name", "suggested"), list);
  WM_RETURN_IF_ERROR(AddInventory(context, suggestion));
  constexpr int kMode = 0644;
  WM_RETURN_IF_ERROR(posix::WriteNewFile(out.string(), suggestion.document(), kMode));
  if (suggestion.approved_files() > 0) {
    WM_RETURN_IF_ERROR(posix::WriteNewFile(list_path, suggestion.approved(), kMode));
  }
  context.out << "Wrote " << out.string() << " and approved " << suggestion.approved_files()
              << " different files of " << suggestion.files() << " that are there";
  if (suggestion.approved_files() > 0) context.out << " (" << list_path << ")";
  context.out << ".\nNot approved: " << suggestion.dangerous() << " dangerous, "
              << suggestion.unread() << " not read yet.\nRead it, change it, and try it: weighctl "
              << "policy lint " << out.string() << "\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Diff(Context& context, const Arguments& arguments) {
  const base::WallTime now = context.clock.Now();
  WM_ASSIGN_OR_RETURN(const DocumentFile before, ReadDocumentFile(arguments.Positional(0), now));
  WM_ASSIGN_OR_RETURN(const DocumentFile after, ReadDocumentFile(arguments.Positional(1), now));
  for (const DocumentFile* const file : {&before, &after}) {
    if (!file->reading.diagnostics.has_errors()) continue;
    context.err << file->reading.diagnostics.ToText();
    return ExitCode::kFailed;
  }
  const auto changes = lang::ChangesBetween(before.reading.document, after.reading.document);
  for (const lang::PolicyChange& change : changes) {
    context.out << change.what << "\n";
    for (const std::string& detail : change.details) context.out << "  " << detail << "\n";
  }
  if (changes.empty()) context.out << "the two mean the same\n";
  return ExitCode::kOk;
}

// "policy.test.yaml" beside "policy.yaml".
std::string CasesBeside(const std::string& document) {
  const std::filesystem::path path(document);
  return (path.parent_path() / path.stem()).string() + ".test" + path.extension().string();
}

void PrintOutcome(std::ostream& out, const std::string& file, std::size_t count,
                  const lang::CasesOutcome& outcome) {
  for (const lang::CaseFailure& failure : outcome.failures) {
    out << base::EscapeForDisplay(file) << ":" << failure.failed->at.line
        << ": failed: " << base::EscapeForDisplay(failure.failed->name) << "\n";
    for (const std::string& difference : failure.differences) out << "  " << difference << "\n";
    out << "  because: " << base::EscapeForDisplay(failure.verdict.reason) << "\n";
  }
  out << outcome.passed << " of " << count << " cases pass\n";
  if (outcome.idle_rules.empty()) return;
  out << "no case shows what these rules do:";
  for (const std::string& id : outcome.idle_rules) out << " " << id;
  out << "\n";
}

base::Result<ExitCode> Test(Context& context, const Arguments& arguments) {
  const base::WallTime now = context.clock.Now();
  const std::string& document = arguments.Positional(0);
  WM_ASSIGN_OR_RETURN(const DocumentFile file, ReadDocumentFile(document, now));
  const std::string cases_path = arguments.Value("cases", CasesBeside(document));
  WM_ASSIGN_OR_RETURN(const std::string text, posix::ReadFile(cases_path, limits::kMaxPolicyBytes));
  const lang::CasesReading reading = lang::ReadCases(cases_path, text, now);
  context.err << file.reading.diagnostics.ToText() << reading.diagnostics.ToText();
  if (file.reading.diagnostics.has_errors() || reading.diagnostics.has_errors()) {
    return ExitCode::kFailed;
  }
  WM_ASSIGN_OR_RETURN(const auto policy, lang::MakePolicy(0, file.reading));
  const lang::CasesOutcome outcome = lang::RunCases(*policy, reading.cases);
  PrintOutcome(context.out, cases_path, reading.cases.size(), outcome);
  return outcome.failures.empty() ? ExitCode::kOk : ExitCode::kFailed;
}

base::Result<ExitCode> Schema(Context& context, const Arguments& /*arguments*/) {
  context.out << lang::PolicySchema();
  return ExitCode::kOk;
}

base::Result<ExitCode> Fields(Context& context, const Arguments& /*arguments*/) {
  context.out << lang::FieldsPage();
  return ExitCode::kOk;
}

base::Result<ExitCode> Collected(Context& context, const Arguments& /*arguments*/) {
  context.out << lang::CollectedPage();
  return ExitCode::kOk;
}

base::Result<ExitCode> List(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  AdminClient client(std::move(profile));
  report::Table table({{"VERSION", report::Table::Align::kRight},
                       {"PUBLISHED"},
                       {"IN FORCE ON", report::Table::Align::kRight},
                       {"FLOOR", report::Table::Align::kRight},
                       {"MANIFEST"}});
  std::uint64_t shown = 0;
  const auto tell = [&](const v1::ListPoliciesResponse& page) -> base::Result<std::uint64_t> {
    for (const v1::PublishedPolicy& policy : page.policies()) {
      table.AddRow({std::to_string(policy.version()), TimeCell(policy.published_time_us()),
                    std::to_string(policy.endpoints_in_force()), std::to_string(policy.floor()),
                    policy.manifest_sha256()});
    }
    const auto rows = static_cast<std::uint64_t>(page.policies_size());
    shown += rows;
    return rows;
  };
  WM_ASSIGN_OR_RETURN(
      const v1::ListPoliciesResponse last,
      ForEachPage(client, arguments, v1::ListPoliciesRequest(), &AdminClient::ListPolicies, tell));
  if (!table.empty()) context.out << table.ToString() << "\n";
  context.out << TotalLine(shown, last.total(), last.total_is_least(), "policies") << "\n";
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> PolicyCommands() {
  return {
      {"policy lint",
       "reads a policy document and says all that is wrong with it",
       {"FILE"},
       {},
       Lint},
      {"policy diff",
       "says in which meaning two policy documents differ",
       {"BEFORE", "AFTER"},
       {},
       Diff},
      {"policy fields",
       "prints the fields that a condition may test, as a Markdown page",
       {},
       {},
       Fields},
      {"policy collected",
       "prints what endpoints tell of a model file, as a Markdown page",
       {},
       {},
       Collected},
      {"policy schema", "prints the JSON Schema of policy documents, for editors", {}, {}, Schema},
      {"policy test",
       "judges the cases of a file by a policy document and says where they differ",
       {"FILE"},
       {{"cases", "FILE", "the cases (FILE with .test before its ending)"}},
       Test},
      {"policy suggest",
       "writes a first policy document from what is there",
       {},
       {{"from-inventory", "", "from the models that the server knows"},
        {"out", "FILE", "the document; its list goes beside it (policy.yaml)"},
        {"name", "NAME", "the policy's name (suggested)"}},
       Suggest},
      {"policy sign",
       "compiles a policy document into a bundle and signs it",
       {"FILE"},
       {{"key", "FILE", "a private key of the role \"policy\", PEM"},
        {"out", "FILE", "where the bundle goes"},
        {"valid-for", "TIME", "when it goes stale: 36h, 90d (90d)"},
        {"line", "NAME", "the policy line (default)"},
        {"version", "N", "the version (one above the newest)"},
        {"floor", "N", "the lowest version still accepted after it (the newest)"},
        {"fleet", "ID", "sign without a server, with --version and --floor"},
        {"cosign", "", "FILE is a bundle already: add this key's signature"}},
       Sign},
      {"policy publish",
       "gives a signed bundle to the server, which offers it at once",
       {"BUNDLE"},
       {},
       Publish},
      {"policy list",
       "lists the published policies and on how many endpoints each is in force",
       {},
       WithListOptions({}),
       List},
      {"policy show",
       "prints a published policy document",
       {},
       {{"version", "N", "which (the newest)"}},
       Show},
  };
}

}  // namespace weighmaster::server::ctl
