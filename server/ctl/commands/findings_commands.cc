#include <charconv>
#include <string>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "policy/model/severity.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/commands/message_json.h"
#include "server/ctl/listing.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

using report::Cell;

base::Result<std::uint64_t> FindingNumber(const Arguments& arguments) {
  const std::string& text = arguments.Positional(0);
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && last == end) return number;
  return base::InvalidArgument("\"" + text + "\" is no number of a finding");
}

std::string FindingStateText(v1::FindingState state) {
  return EnumWord(v1::FindingState_Name(state), "FINDING_STATE_");
}

std::string SeverityText(v1::Severity severity) {
  return std::string(model::SeverityName(static_cast<model::Severity>(severity)));
}

// The server tells subject and detail escaped for display.
void Print(std::ostream& out, const v1::Finding& finding) {
  const auto line = [&out](std::string_view name, const Cell& value) {
    out << name << std::string(14 - name.size(), ' ') << value.ForTable() << "\n";
  };
  line("finding", Cell::Number(finding.finding_id()));
  line("state", Cell::Text(FindingStateText(finding.state())));
  line("severity", Cell::Text(SeverityText(finding.severity())));
  line("rule", Cell::Text(finding.rule()));
  line("endpoint", Cell::Text(finding.hostname() + " " + finding.endpoint_id()));
  line("subject", Cell::EscapedText(finding.subject()));
  line("detail", Cell::EscapedText(finding.detail()));
  line("first seen", Cell::Text(TimeCell(finding.first_time_us())));
  line("last seen", Cell::Text(TimeCell(finding.last_time_us())));
  line("times", Cell::Number(finding.count()));
}

base::Result<ExitCode> Show(Context& context, const Arguments& arguments) {
  v1::GetFindingRequest request;
  WM_ASSIGN_OR_RETURN(const std::uint64_t number, FindingNumber(arguments));
  request.set_finding_id(number);
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::GetFindingResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).GetFinding(request, response));
  if (arguments.Has("json")) {
    WM_RETURN_IF_ERROR(PrintMessageJson(context, response));
    return ExitCode::kOk;
  }
  Print(context.out, response.finding());
  for (const v1::FindingComment& comment : response.comments()) {
    context.out << "\n"
                << TimeCell(comment.time_us()) << " "
                << base::EscapeForDisplay(comment.token_name());
    if (comment.state() != v1::FINDING_STATE_UNSPECIFIED) {
      context.out << ": " << FindingStateText(comment.state());
    }
    context.out << "\n";
    if (!comment.text().empty()) {
      context.out << "  " << base::EscapeForDisplay(comment.text()) << "\n";
    }
  }
  return ExitCode::kOk;
}

base::Result<ExitCode> Update(Context& context, const Arguments& arguments,
                              v1::FindingState state) {
  v1::UpdateFindingRequest request;
  WM_ASSIGN_OR_RETURN(const std::uint64_t number, FindingNumber(arguments));
  request.set_finding_id(number);
  request.set_state(state);
  request.set_comment(arguments.Value("comment"));
  if (request.comment() == "-") {
    WM_ASSIGN_OR_RETURN(std::string comment,
                        posix::ReadFile("-", base::limits::kMaxFindingCommentBytes + 1));
    // The end of its last line belongs to the terminal or the file, and not to what was said.
    comment.erase(comment.find_last_not_of('\n') + 1);
    request.set_comment(std::move(comment));
  }
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::UpdateFindingResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).UpdateFinding(request, response));
  context.out << "Finding " << response.finding().finding_id() << " is "
              << FindingStateText(response.finding().state()) << ".\n";
  return ExitCode::kOk;
}

Command UpdateCommand(std::string_view name, std::string_view summary, v1::FindingState state) {
  return {name,
          summary,
          {"FINDING"},
          {{"comment", "TEXT", "what there is to say; - is standard input"}},
          [state](Context& context, const Arguments& arguments) {
            return Update(context, arguments, state);
          }};
}

}  // namespace

std::vector<Command> FindingsCommands() {
  return {
      {"finding show",
       "prints a finding and what was said of it",
       {"FINDING"},
       {{"json", "", "one JSON object, as REST answers"}},
       Show},
      UpdateCommand("finding acknowledge", "says that somebody works on a finding",
                    v1::FINDING_STATE_ACKNOWLEDGED),
      UpdateCommand("finding dismiss", "says that a finding is known and fine, until it is graver",
                    v1::FINDING_STATE_DISMISSED),
      UpdateCommand("finding reopen", "puts a finding among those to be worked on",
                    v1::FINDING_STATE_OPEN),
      UpdateCommand("finding comment", "says something of a finding",
                    v1::FINDING_STATE_UNSPECIFIED)};
}

}  // namespace weighmaster::server::ctl
