#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "policy/base/limits.h"
#include "policy/engine/fields.h"
#include "policy/lang/cases.h"
#include "policy/lang/compile.h"
#include "policy/lang/diff.h"
#include "policy/lang/document.h"
#include "policy/lang/schema.h"
#include "policy/lang/suggest.h"
#include "policy/model/settings.h"
#include "proto/wire/convert.h"
#include "proto/wire/trust.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/commands/policy_files.h"
#include "server/ctl/listing.h"
#include "server/ctl/trust/root_files.h"
#include "third_party/openssl/key.h"
#include "third_party/openssl/sha256.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

namespace limits = base::limits;
using report::Cell;
constexpr auto kRight = report::Table::Align::kRight;

std::string CountLine(const lang::Diagnostics& diagnostics) {
  return std::to_string(diagnostics.errors()) + " errors, " +
         std::to_string(diagnostics.warnings()) + " warnings";
}

// Messages quote the document's text escaped for display.
Columns<lang::Diagnostic> DiagnosticColumns() {
  using Diagnostic = lang::Diagnostic;
  return {
      {{"file", ""}, [](const Diagnostic& d) { return Cell::Text(d.file); }},
      {{"line", ""}, [](const Diagnostic& d) { return Cell::Number(d.at.line); }},
      {{"column", ""}, [](const Diagnostic& d) { return Cell::Number(d.at.column); }},
      {{"severity", ""},
       [](const Diagnostic& d) { return Cell::Text(lang::DiagnosticSeverityName(d.severity)); }},
      {{"message", ""}, [](const Diagnostic& d) { return Cell::EscapedText(d.message); }},
      {{"hint", ""}, [](const Diagnostic& d) { return Cell::EscapedText(d.hint); }},
  };
}

base::Result<ExitCode> Lint(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const DocumentFile file,
                      ReadDocumentFile(arguments.Positional(0), context.clock.Now()));
  const lang::Diagnostics& diagnostics = file.reading.diagnostics;
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  if (form == report::Form::kTable) {
    context.err << diagnostics.ToText();
    context.out << arguments.Positional(0) << ": " << CountLine(diagnostics) << "\n";
  } else {
    Sheet<lang::Diagnostic> sheet(context.out, form, DiagnosticColumns());
    for (const lang::Diagnostic& diagnostic : diagnostics.all()) sheet.Add(diagnostic);
    sheet.End("");
  }
  return diagnostics.has_errors() ? ExitCode::kFailed : ExitCode::kOk;
}

// What a bundle is signed for: asked of the server, or given whole for a machine that has none.
struct Target {
  std::string fleet_id;
  std::uint64_t version = 0;
  std::uint64_t floor = 0;
  std::optional<wire::Root> root;
};

base::Result<Target> FindTarget(const Context& context, const Arguments& arguments) {
  Target target;
  if (arguments.Has("fleet")) {
    if (!arguments.Has("version") || !arguments.Has("floor")) {
      return base::InvalidArgument("--fleet, --version and --floor go together");
    }
    target.fleet_id = arguments.Value("fleet");
  } else {
    WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
    v1::GetFleetResponse fleet;
    WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).GetFleet({}, fleet));
    WM_ASSIGN_OR_RETURN(const wire::SignedDocument root, wire::FromProto(fleet.root()));
    WM_ASSIGN_OR_RETURN(target.root, wire::ParseRoot(root.bytes));
    target.fleet_id = fleet.fleet_id();
    target.version = fleet.next_policy_version();
    target.floor = fleet.newest_policy_version();
  }
  WM_ASSIGN_OR_RETURN(target.version, arguments.Number("version", target.version));
  WM_ASSIGN_OR_RETURN(target.floor, arguments.Number("floor", target.floor));
  if (target.version == 0 || target.floor > target.version) {
    return base::InvalidArgument("--version must be 1 or more, and --floor not above it");
  }
  return target;
}

// What the new bundle says whatever is in it: for whom, since when, until when.
base::Result<wire::BundleManifest> NewManifest(const Context& context, const Arguments& arguments,
                                               const Target& target) {
  WM_ASSIGN_OR_RETURN(const base::Duration valid_for,
                      arguments.Duration("valid-for", std::chrono::hours(90 * 24)));
  wire::BundleManifest manifest;
  manifest.fleet_id = target.fleet_id;
  manifest.line = arguments.Value("line", "default");
  manifest.version = target.version;
  manifest.floor = target.floor;
  manifest.issued = context.clock.Now();
  manifest.expires = manifest.issued + valid_for;
  return manifest;
}

base::Result<v1::Publication> BundleOf(const DocumentFile& file, const std::string& path,
                                       wire::BundleManifest manifest) {
  WM_ASSIGN_OR_RETURN(std::vector<CompiledPart> parts, CompileParts(file.reading));
  v1::Publication request;
  manifest.document = openssl::Sha256Of(base::AsBytes(file.text));
  manifest.document_name = std::filesystem::path(path).filename().string();
  for (CompiledPart& part : parts) {
    manifest.parts.push_back(part.reference);
    PutPart(std::move(part), *request.add_parts());
  }
  request.mutable_bundle()->set_manifest(wire::SerialiseManifest(manifest));
  request.set_document(file.text);
  return request;
}

// A published policy once more, under a version of its own: the way back.
base::Result<v1::Publication> BundleAgain(const Context& context, const Arguments& arguments,
                                          const wire::Root& root, wire::BundleManifest manifest) {
  WM_ASSIGN_OR_RETURN(const std::uint64_t version, arguments.Number("again", 0));
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  AdminClient client(std::move(profile));
  WM_ASSIGN_OR_RETURN(v1::Publication publication, FetchPublication(client, version, root));
  WM_ASSIGN_OR_RETURN(wire::BundleManifest before,
                      wire::ParseManifest(publication.bundle().manifest()));
  manifest.document = before.document;
  manifest.document_name = std::move(before.document_name);
  manifest.parts = std::move(before.parts);
  publication.mutable_bundle()->set_manifest(wire::SerialiseManifest(manifest));
  return publication;
}

// Nothing, and its errors are printed, when the document has any.
base::Result<std::optional<v1::Publication>> NewBundle(Context& context, const Arguments& arguments,
                                                       const openssl::PublicKey& key) {
  const std::string& path = arguments.Positional(0);
  if (path.empty() != arguments.Has("again")) {
    return base::InvalidArgument("a document is signed, or a published policy with --again N");
  }
  DocumentFile file;
  if (!path.empty()) {
    WM_ASSIGN_OR_RETURN(file, ReadDocumentFile(path, context.clock.Now()));
    context.err << file.reading.diagnostics.ToText();
    if (file.reading.diagnostics.has_errors()) return std::optional<v1::Publication>();
  }
  WM_ASSIGN_OR_RETURN(const Target target, FindTarget(context, arguments));
  if (target.root.has_value()) {
    WM_RETURN_IF_ERROR(CheckRole(*target.root, wire::kRolePolicy, key));
  } else if (path.empty()) {
    return base::InvalidArgument("--again takes the policy from the server, so not with --fleet");
  }
  WM_ASSIGN_OR_RETURN(wire::BundleManifest manifest, NewManifest(context, arguments, target));
  auto bundle = path.empty() ? BundleAgain(context, arguments, *target.root, std::move(manifest))
                             : BundleOf(file, path, std::move(manifest));
  if (!bundle.has_value()) return std::move(bundle).error();
  return std::optional(*std::move(bundle));
}

base::Status AddSignature(v1::Publication& request, const openssl::PrivateKey& key) {
  WM_ASSIGN_OR_RETURN(wire::SignedDocument document, wire::FromProto(request.bundle()));
  WM_RETURN_IF_ERROR(wire::Sign(document, wire::kDomainBundle, key));
  wire::ToProto(document, *request.mutable_bundle());
  return {};
}

base::Result<ExitCode> Sign(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const openssl::PrivateKey key,
                      openssl::PrivateKey::FromFile(arguments.Value("key")));
  if (arguments.Has("root")) {
    WM_ASSIGN_OR_RETURN(const wire::Root root, ReadTrustedRoot(arguments.Value("root")));
    WM_RETURN_IF_ERROR(CheckRole(root, wire::kRolePolicy, key.public_key()));
  }
  v1::Publication request;
  if (arguments.Has("cosign")) {
    if (arguments.Positional(0).empty()) {
      return base::InvalidArgument("--cosign adds a signature to a bundle; name its file");
    }
    WM_ASSIGN_OR_RETURN(request, ReadBundleFile(arguments.Positional(0)));
  } else {
    WM_ASSIGN_OR_RETURN(std::optional<v1::Publication> bundle,
                        NewBundle(context, arguments, key.public_key()));
    if (!bundle.has_value()) return ExitCode::kFailed;
    request = *std::move(bundle);
  }
  // What endpoints would refuse is neither signed nor put in the place of a bundle that is good.
  WM_ASSIGN_OR_RETURN(const wire::BundleManifest manifest,
                      wire::ParseManifest(request.bundle().manifest()));
  WM_RETURN_IF_ERROR(AddSignature(request, key));
  const auto form = arguments.Has("json") ? BundleForm::kJson : BundleForm::kProtobuf;
  const auto signatures = static_cast<std::uint64_t>(request.bundle().signatures().size());
  WM_RETURN_IF_ERROR(WriteBundleFile(arguments.Value("out"), form, request));
  if (arguments.Has("json")) {
    return PrintObject(context, {{"version", Cell::Number(manifest.version)},
                                 {"fleet_id", Cell::Text(manifest.fleet_id)},
                                 {"signatures", Cell::Number(signatures)},
                                 {"expires_time", TimeOf(base::ToMicroseconds(manifest.expires))},
                                 {"file", Cell::Text(arguments.Value("out"))}});
  }
  context.out << "Signed version " << manifest.version << " for the fleet " << manifest.fleet_id
              << ", " << request.bundle().signatures_size() << " signature(s), good until "
              << base::FormatWallTime(manifest.expires) << ": "
              << base::EscapeForDisplay(arguments.Value("out")) << "\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Publish(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const v1::Publication request, ReadBundleFile(arguments.Positional(0)));
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::PublishPolicyResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).PublishPolicy(request, response));
  if (arguments.Has("json")) {
    return PrintObject(context,
                       {{"version", Cell::Number(response.version())},
                        {"endpoints_offered", Cell::Number(response.endpoints_offered())}});
  }
  context.out << "Published version " << response.version() << "; offered to "
              << response.endpoints_offered() << " connected endpoint(s).\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Show(Context& context, const Arguments& arguments) {
  v1::GetPolicyRequest request;
  WM_ASSIGN_OR_RETURN(const std::uint64_t version, arguments.Number("version", 0));
  request.set_version(version);
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::GetPolicyResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).GetPolicy(request, response));
  WM_ASSIGN_OR_RETURN(const wire::BundleManifest manifest,
                      wire::ParseManifest(response.bundle().manifest()));
  if (arguments.Has("json")) {
    return PrintObject(context,
                       {{"version", Cell::Number(response.version())},
                        {"published_time", TimeOf(response.published_time_us())},
                        {"expires_time", TimeOf(base::ToMicroseconds(manifest.expires))},
                        {"floor", Cell::Number(manifest.floor)},
                        {"endpoints_in_force", Cell::Number(response.endpoints_in_force())},
                        {"endpoints_partly", Cell::Number(response.endpoints_partly())},
                        {"endpoints_total", Cell::Number(response.endpoints_total())},
                        {"document", Cell::Text(response.document())}});
  }
  context.err << "Version " << response.version() << ", published "
              << base::FormatWallTime(base::WallTimeFromMicroseconds(response.published_time_us()))
              << (response.published_by().empty() ? "" : " by ")
              << base::EscapeForDisplay(response.published_by()) << ", good until "
              << base::FormatWallTime(manifest.expires) << ", floor " << manifest.floor
              << ", in force on " << response.endpoints_in_force() << " of "
              << response.endpoints_total() << " endpoints"
              << PartlyNote(response.endpoints_partly()) << ".\n";
  context.out << response.document();
  return ExitCode::kOk;
}

// Adds the models that are there now, and could be read, of every endpoint.
base::Status AddInventory(Context& context, lang::Suggestion& suggestion) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
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
  if (arguments.Has("json")) {
    const bool has_list = suggestion.approved_files() > 0;
    return PrintObject(context, {{"file", Cell::Text(out.string())},
                                 {"list_file", has_list ? Cell::Text(list_path) : Cell::Nothing()},
                                 {"files", Cell::Number(suggestion.files())},
                                 {"approved", Cell::Number(suggestion.approved_files())},
                                 {"dangerous", Cell::Number(suggestion.dangerous())},
                                 {"unread", Cell::Number(suggestion.unread())}});
  }
  const std::string shown = base::EscapeForDisplay(out.string());
  context.out << "Wrote " << shown << " and approved " << suggestion.approved_files()
              << " different files of " << suggestion.files() << " that are there";
  if (suggestion.approved_files() > 0)
    context.out << " (" << base::EscapeForDisplay(list_path) << ")";
  context.out << ".\nNot approved: " << suggestion.dangerous() << " dangerous, "
              << suggestion.unread() << " not read yet.\nRead it, change it, and try it: weighctl "
              << "policy lint " << shown << "\n";
  return ExitCode::kOk;
}

// Nothing, and its errors are printed, when it has any.
base::Result<std::optional<lang::Document>> GoodDocument(Context& context,
                                                         const std::string& path) {
  WM_ASSIGN_OR_RETURN(DocumentFile file, ReadDocumentFile(path, context.clock.Now()));
  if (!file.reading.diagnostics.has_errors())
    return std::optional(std::move(file.reading.document));
  context.err << file.reading.diagnostics.ToText();
  return std::optional<lang::Document>();
}

Columns<lang::PolicyChange> ChangeColumns() {
  return {
      {{"what", ""},
       [](const lang::PolicyChange& change) { return Cell::EscapedText(change.what); }},
      {{"details", ""},
       [](const lang::PolicyChange& change) { return Cell::Words(change.details); }},
  };
}

base::Result<ExitCode> Diff(Context& context, const Arguments& arguments) {
  const bool published = arguments.Has("version");
  if (arguments.Positional(1).empty() != published) {
    return base::InvalidArgument(published ? "with --version, one document is compared with it"
                                           : "two documents are compared, or one with --version N");
  }
  std::optional<lang::Document> before;
  if (published) {
    WM_ASSIGN_OR_RETURN(const std::uint64_t version, arguments.Number("version", 0));
    WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
    AdminClient client(std::move(profile));
    WM_ASSIGN_OR_RETURN(before, FetchPublished(client, version));
  } else {
    WM_ASSIGN_OR_RETURN(before, GoodDocument(context, arguments.Positional(0)));
  }
  WM_ASSIGN_OR_RETURN(const auto after,
                      GoodDocument(context, arguments.Positional(published ? 0 : 1)));
  if (!before || !after) return ExitCode::kFailed;
  const auto changes = lang::ChangesBetween(*before, *after);
  if (arguments.Has("json")) {
    Sheet<lang::PolicyChange> sheet(context.out, report::Form::kJson, ChangeColumns());
    for (const lang::PolicyChange& change : changes) sheet.Add(change);
    return ExitCode::kOk;
  }
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

Columns<lang::CaseFailure> FailureColumns() {
  using Failure = lang::CaseFailure;
  return {
      {{"case", ""}, [](const Failure& failure) { return Cell::Text(failure.failed->name); }},
      {{"line", ""}, [](const Failure& failure) { return Cell::Number(failure.failed->at.line); }},
      {{"differences", ""},
       [](const Failure& failure) { return Cell::Words(failure.differences); }},
      {{"reason", ""}, [](const Failure& failure) { return Cell::Text(failure.verdict.reason); }},
  };
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
  WM_ASSIGN_OR_RETURN(const auto policy, lang::MakePolicy(0, file.reading, reading.digests));
  const lang::CasesOutcome outcome = lang::RunCases(*policy, reading.cases);
  if (arguments.Has("json")) {
    Sheet<lang::CaseFailure> sheet(context.out, report::Form::kJson, FailureColumns());
    for (const lang::CaseFailure& failure : outcome.failures) sheet.Add(failure);
  } else {
    PrintOutcome(context.out, cases_path, reading.cases.size(), outcome);
  }
  return outcome.failures.empty() ? ExitCode::kOk : ExitCode::kFailed;
}

base::Result<ExitCode> Schema(Context& context, const Arguments& /*arguments*/) {
  context.out << lang::PolicySchema();
  return ExitCode::kOk;
}

Columns<engine::Field> FieldColumns() {
  using Field = engine::Field;
  return {
      {{"field", "FIELD"}, [](const Field& field) { return Cell::Text(field.name); }},
      {{"type", "TYPE"},
       [](const Field& field) { return Cell::Text(engine::FieldTypeName(field.type)); }},
      {{"can_be_unknown", "CAN BE UNKNOWN"},
       [](const Field& field) {
         return Cell::Flag(field.can_be_unknown).ShownAs(field.can_be_unknown ? "yes" : "no");
       }},
      {{"values", "VALUES"},
       [](const Field& field) {
         return Cell::Words({field.values.begin(), field.values.end()});
       }},
      {{"description", "WHAT IT IS"},
       [](const Field& field) { return Cell::Text(field.description); }},
  };
}

base::Result<ExitCode> Fields(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  const std::string& name = arguments.Positional(0);
  if (name.empty() && form == report::Form::kTable) {
    context.out << lang::FieldsPage();
    return ExitCode::kOk;
  }
  Sheet<engine::Field> sheet(context.out, form, FieldColumns());
  for (const engine::Field& field : engine::Fields()) {
    if (name.empty() || field.name == name) sheet.Add(field);
  }
  if (sheet.added() == 0) {
    return base::NotFound("there is no field \"" + name + "\"; \"weighctl policy fields\" has all");
  }
  sheet.End("");
  return ExitCode::kOk;
}

Columns<model::SentField> SentColumns() {
  using Sent = model::SentField;
  return {
      {{"field", ""}, [](const Sent& sent) { return Cell::Text(sent.name); }},
      {{"can_be_withheld", ""}, [](const Sent& sent) { return Cell::Flag(sent.as.has_value()); }},
      {{"description", ""}, [](const Sent& sent) { return Cell::Text(sent.description); }},
  };
}

base::Result<ExitCode> Collected(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  if (form == report::Form::kTable) {
    context.out << lang::CollectedPage();
    return ExitCode::kOk;
  }
  Sheet<model::SentField> sheet(context.out, form, SentColumns());
  for (const model::SentField& sent : model::SentFields()) sheet.Add(sent);
  sheet.End("");
  return ExitCode::kOk;
}

Columns<v1::PublishedPolicy> PolicyColumns() {
  using Policy = v1::PublishedPolicy;
  return {
      {{"version", "VERSION", kRight}, [](const Policy& p) { return Cell::Number(p.version()); }},
      {{"published_time", "PUBLISHED"},
       [](const Policy& p) { return TimeOf(p.published_time_us()); }},
      {{"endpoints_in_force", "IN FORCE ON", kRight},
       [](const Policy& p) { return Cell::Number(p.endpoints_in_force()); }},
      {{"endpoints_partly", "PARTLY", kRight},
       [](const Policy& p) { return Cell::Number(p.endpoints_partly()); }},
      {{"floor", "FLOOR", kRight}, [](const Policy& p) { return Cell::Number(p.floor()); }},
      {{"published_by", "PUBLISHED BY"},
       [](const Policy& p) { return Cell::Text(p.published_by()); }},
      {{"manifest_sha256", "MANIFEST"},
       [](const Policy& p) { return Cell::Text(p.manifest_sha256()); }},
  };
}

base::Result<ExitCode> List(Context& context, const Arguments& arguments) {
  return PrintList(
      context, arguments, v1::ListPoliciesRequest(), &AdminClient::ListPolicies,
      [](const auto& page) -> const auto& { return page.policies(); }, PolicyColumns(), "policies");
}

}  // namespace

std::vector<Command> PolicyCommands() {
  return {
      {"policy lint",
       "reads a policy document and says all that is wrong with it",
       {"FILE"},
       WithFormOptions({}),
       Lint},
      {"policy diff",
       "says in which meaning two policies differ",
       {"BEFORE", "[AFTER]"},
       {{"version", "N", "a published policy is the one before; 0 is the newest"},
        {"json", "", "one JSON object a line"}},
       Diff},
      {"policy fields",
       "prints the fields that a condition may test, as a Markdown page, or one of them",
       {"[FIELD]"},
       WithFormOptions({}),
       Fields},
      {"policy collected",
       "prints what endpoints tell of a model file, as a Markdown page",
       {},
       WithFormOptions({}),
       Collected},
      {"policy schema", "prints the JSON Schema of policy documents, for editors", {}, {}, Schema},
      {"policy test",
       "judges the cases of a file by a policy document and says where they differ",
       {"FILE"},
       {{"cases", "FILE", "the cases (FILE with .test before its ending)"},
        {"json", "", "the cases that fail, one JSON object a line"}},
       Test},
      SimulateCommand(),
      {"policy suggest",
       "writes a first policy document from what is there",
       {},
       WithJsonOption({{"from-inventory", "", "from the models that the server knows", true},
                       {"out", "FILE", "the document; its list goes beside it (policy.yaml)"},
                       {"name", "NAME", "the policy's name (suggested)"}}),
       Suggest},
      {"policy sign",
       "compiles a policy document into a bundle and signs it",
       {"[FILE]"},
       {{"key", "FILE", "a private key of the role \"policy\", PEM", true},
        {"out", "FILE", "where the bundle goes", true},
        {"valid-for", "TIME", "when it goes stale: 36h, 90d (90d)"},
        {"line", "NAME", "the policy line (default)"},
        {"version", "N", "the version (one above the newest)"},
        {"floor", "N", "the lowest version still accepted after it (the newest)"},
        {"fleet", "ID", "sign without a server, with --version and --floor"},
        {"root", "FILE", "refuse to sign by a key that this root document does not trust"},
        {"again", "N", "no FILE: a published policy under a new version (0: the newest)"},
        {"cosign", "", "FILE is a bundle already: add this key's signature"},
        {"json", "", "as JSON: the bundle, which REST takes as well, and what is said of it"}},
       Sign},
      {"policy publish",
       "gives a signed bundle to the server, which offers it at once",
       {"BUNDLE"},
       WithJsonOption({}),
       Publish},
      {"policy list",
       "lists the published policies and on how many endpoints each is in force",
       {},
       WithListOptions({AsOfOption("as it was then: 2026-03-01T12:00:00Z or a date")}),
       List,
       &query::Policies()},
      {"policy show",
       "prints a published policy document",
       {},
       WithJsonOption({{"version", "N", "which (the newest)"}}),
       Show},
  };
}

}  // namespace weighmaster::server::ctl
