
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "policy/report/table.h"
#include "proto/wire/convert.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/commands/policy_files.h"
#include "server/ctl/listing.h"
#include "server/ctl/message_json.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

using Align = report::Table::Align;

// The document's parts. Nothing when the document has errors, which were printed.
base::Result<bool> AddDocument(Context& context, const std::string& path, v1::PolicyDraft& draft) {
  WM_ASSIGN_OR_RETURN(const DocumentFile file, ReadDocumentFile(path, context.clock.Now()));
  context.err << file.reading.diagnostics.ToText();
  if (file.reading.diagnostics.has_errors()) return false;
  WM_ASSIGN_OR_RETURN(auto parts, CompileParts(file.reading));
  for (CompiledPart& part : parts) PutPart(std::move(part), *draft.add_parts());
  return true;
}

// The parts of a published policy, which the server has.
base::Status AddPublished(AdminClient& client, std::uint64_t version, v1::PolicyDraft& draft) {
  v1::GetPolicyRequest request;
  request.set_version(version);
  v1::GetPolicyResponse response;
  WM_RETURN_IF_ERROR(client.GetPolicy(request, response));
  WM_ASSIGN_OR_RETURN(const wire::BundleManifest manifest,
                      wire::ParseManifest(response.bundle().manifest()));
  for (const wire::PartReference& part : manifest.parts) {
    PutPart({part, ""}, *draft.add_parts());
  }
  return {};
}

std::string OutcomeCell(v1::Outcome outcome) {
  if (outcome == v1::OUTCOME_UNSPECIFIED) return "pending";
  return std::string(model::OutcomeName(static_cast<model::Outcome>(outcome)));
}

std::string ModeCell(v1::Mode mode) {
  return std::string(model::ModeName(static_cast<model::Mode>(mode)));
}

std::string SeverityCell(v1::Severity severity) {
  return std::string(model::SeverityName(static_cast<model::Severity>(severity)));
}

// `title` is what changes, `cell` makes a word of it.
template <typename Shifts, typename CellOf>
void PrintShifts(std::ostream& out, const std::string& title, const Shifts& shifts, CellOf cell) {
  report::Table table({{title + " NOW"}, {title + " THEN"}, {"MODELS", Align::kRight}});
  for (const auto& shift : shifts) {
    table.AddRow({cell(shift.from()), cell(shift.to()), std::to_string(shift.sightings())});
  }
  if (!table.empty()) out << table.ToString() << "\n";
}

void PrintCounts(std::ostream& out, const v1::SimulatePolicyResponse& simulation) {
  report::Table outcomes({{"NOW"}, {"THEN"}, {"MODELS", Align::kRight}});
  for (const v1::SimulatedTransition& transition : simulation.transitions()) {
    outcomes.AddRow({OutcomeCell(transition.from()), OutcomeCell(transition.to()),
                     std::to_string(transition.sightings())});
  }
  if (!outcomes.empty()) out << outcomes.ToString() << "\n";
  PrintShifts(out, "MODE", simulation.mode_changes(), ModeCell);
  PrintShifts(out, "SEVERITY", simulation.severity_changes(), SeverityCell);
  report::Table rules({{"RULE"}, {"NOW", Align::kRight}, {"THEN", Align::kRight}});
  for (const v1::SimulatedRule& rule : simulation.rules()) {
    rules.AddRow({rule.rule(), std::to_string(rule.now()), std::to_string(rule.then())});
  }
  if (!rules.empty()) out << rules.ToString() << "\n";
  report::Table audits({{"AUDIT RULE"}, {"WOULD DECIDE", Align::kRight}});
  for (const v1::SimulatedAudit& audit : simulation.audits()) {
    audits.AddRow({audit.rule(), std::to_string(audit.sightings())});
  }
  if (!audits.empty()) out << audits.ToString() << "\n";
}

// The models that are shown of a transition, or of a change of mode or severity.
template <typename Group, typename CellOf>
void PrintChanges(std::ostream& out, std::string_view what, const Group& group, CellOf cell) {
  if (group.first().empty()) return;
  out << what << cell(group.from()) << " to " << cell(group.to());
  if (static_cast<std::uint64_t>(group.first_size()) < group.sightings()) {
    out << ", " << group.first_size() << " of " << group.sightings();
  }
  out << ":\n";
  report::Table changes({{"ENDPOINT"}, {"RULE NOW"}, {"RULE THEN"}, {"SHA256"}, {"PATH"}});
  for (const v1::SimulatedChange& change : group.first()) {
    changes.AddRow({change.hostname(), change.rule_now(), change.verdict().rule(),
                    change.sha256().substr(0, 12), change.path().path().value()});
  }
  out << changes.ToString() << "\n";
}

void PrintAllChanges(std::ostream& out, const v1::SimulatePolicyResponse& simulation) {
  for (const auto& group : simulation.transitions()) {
    PrintChanges(out, "From ", group, OutcomeCell);
  }
  for (const auto& group : simulation.mode_changes()) {
    PrintChanges(out, "Mode from ", group, ModeCell);
  }
  for (const auto& group : simulation.severity_changes()) {
    PrintChanges(out, "Severity from ", group, SeverityCell);
  }
}

void PrintSentences(std::ostream& out, const v1::SimulatePolicyResponse& simulation) {
  out << simulation.changed() << " of " << simulation.sightings()
      << " models would have another verdict, " << simulation.changed_mode() << " another mode, "
      << simulation.changed_severity() << " another severity, on " << simulation.endpoints_changed()
      << " endpoints. " << CoverageLine(simulation.coverage(), false) << "\n";
  for (const v1::SimulatedWithheld& withheld : simulation.withheld()) {
    out << base::EscapeForDisplay(withheld.field()) << " is withheld by the policy in force on "
        << withheld.endpoints() << " endpoints: what is decided by it there can't be told.\n";
  }
}

base::Result<ExitCode> Simulate(Context& context, const Arguments& arguments) {
  v1::PolicyDraft draft;
  WM_ASSIGN_OR_RETURN(const std::uint64_t samples, arguments.Number("samples", 0));
  draft.set_samples(static_cast<std::uint32_t>(std::min<std::uint64_t>(samples, UINT32_MAX)));
  const std::string& document = arguments.Positional(0);
  if (!document.empty()) {
    if (arguments.Has("version")) {
      return base::InvalidArgument("either a document or --version, not both");
    }
    WM_ASSIGN_OR_RETURN(const bool good, AddDocument(context, document, draft));
    if (!good) return ExitCode::kFailed;
  }
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  AdminClient client(std::move(profile));
  if (document.empty()) {
    if (!arguments.Has("version")) {
      return base::InvalidArgument("say which policy: a document, or --version N");
    }
    WM_ASSIGN_OR_RETURN(const std::uint64_t version, arguments.Number("version", 0));
    WM_RETURN_IF_ERROR(AddPublished(client, version, draft));
  }
  v1::SimulatePolicyResponse simulation;
  WM_RETURN_IF_ERROR(client.SimulatePolicy(draft, simulation));
  if (arguments.Has("json")) {
    WM_RETURN_IF_ERROR(PrintMessageJson(context, simulation));
    return ExitCode::kOk;
  }
  PrintCounts(context.out, simulation);
  PrintAllChanges(context.out, simulation);
  PrintSentences(context.out, simulation);
  return ExitCode::kOk;
}

}  // namespace

Command SimulateCommand() {
  return {"policy simulate",
          "says what a policy would change, were it in force on every endpoint",
          {"[FILE]"},
          {{"version", "N", "a published policy instead of a document; 0 is the newest"},
           {"samples", "N", "changes to show of each kind: at most 100 (20)"},
           {"json", "", "one JSON object, as REST answers"}},
          Simulate};
}

}  // namespace weighmaster::server::ctl
