#include <charconv>
#include <string>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "policy/model/severity.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/listing.h"
#include "server/ctl/message_json.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

using report::Cell;
constexpr auto kRight = report::Table::Align::kRight;

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
Columns<v1::Finding> FindingColumns() {
  using Finding = v1::Finding;
  return {
      {{"finding_id", "ID", kRight}, [](const Finding& f) { return Cell::Number(f.finding_id()); }},
      {{"severity", "SEVERITY"},
       [](const Finding& f) { return Cell::Text(SeverityText(f.severity())); }},
      {{"rule", "RULE"}, [](const Finding& f) { return Cell::Text(f.rule()); }},
      {{"endpoint_id", ""}, [](const Finding& f) { return Cell::Text(f.endpoint_id()); }},
      {{"hostname", "ENDPOINT"}, [](const Finding& f) { return Cell::Text(f.hostname()); }},
      {{"first_time", ""}, [](const Finding& f) { return TimeOf(f.first_time_us()); }},
      {{"last_time", "LAST SEEN"}, [](const Finding& f) { return TimeOf(f.last_time_us()); }},
      {{"count", "TIMES", kRight}, [](const Finding& f) { return Cell::Number(f.count()); }},
      {{"state", "STATE"},
       [](const Finding& f) { return Cell::Text(FindingStateText(f.state())); }},
      {{"subject", "SUBJECT"}, [](const Finding& f) { return Cell::EscapedText(f.subject()); }},
      {{"detail", "DETAIL"}, [](const Finding& f) { return Cell::EscapedText(f.detail()); }},
  };
}

base::Result<ExitCode> Findings(Context& context, const Arguments& arguments) {
  v1::ListFindingsRequest request;
  request.set_include_resolved(arguments.Has("all"));
  return PrintList(
      context, arguments, request, &AdminClient::ListFindings,
      [](const auto& page) -> const auto& { return page.findings(); }, FindingColumns(),
      "findings");
}

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

void Print(std::ostream& out, const v1::FindingComment& comment) {
  out << "\n" << TimeCell(comment.time_us()) << " " << base::EscapeForDisplay(comment.token_name());
  if (comment.state() != v1::FINDING_STATE_UNSPECIFIED) {
    out << ": " << FindingStateText(comment.state());
  }
  out << "\n";
  if (!comment.text().empty()) out << "  " << base::EscapeForDisplay(comment.text()) << "\n";
}

Columns<v1::FindingComment> CommentColumns(std::uint64_t finding) {
  using Comment = v1::FindingComment;
  return {
      {{"finding_id", ""}, [finding](const Comment&) { return Cell::Number(finding); }},
      {{"time", ""}, [](const Comment& c) { return TimeOf(c.time_us()); }},
      {{"token_id", ""}, [](const Comment& c) { return Cell::Text(c.token_id()); }},
      {{"token_name", ""}, [](const Comment& c) { return Cell::Text(c.token_name()); }},
      {{"state", ""},
       [](const Comment& c) {
         return c.state() == v1::FINDING_STATE_UNSPECIFIED
                    ? Cell::Nothing()
                    : Cell::Text(FindingStateText(c.state()));
       }},
      {{"text", ""}, [](const Comment& c) { return Cell::Text(c.text()); }},
  };
}

// The rows that the list of findings does not have.
void PrintComments(std::ostream& out, const v1::GetFindingResponse& response) {
  Sheet<v1::FindingComment> sheet(out, report::Form::kCsv,
                                  CommentColumns(response.finding().finding_id()));
  for (const v1::FindingComment& comment : response.comments()) sheet.Add(comment);
  sheet.End("");
}

base::Result<ExitCode> Show(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  v1::GetFindingRequest request;
  WM_ASSIGN_OR_RETURN(const std::uint64_t number, FindingNumber(arguments));
  request.set_finding_id(number);
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::GetFindingResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).GetFinding(request, response));
  switch (form) {
    case report::Form::kJson:
      WM_RETURN_IF_ERROR(PrintMessageJson(context, response));
      break;
    case report::Form::kCsv:
      PrintComments(context.out, response);
      break;
    case report::Form::kTable:
      Print(context.out, response.finding());
      for (const v1::FindingComment& comment : response.comments()) Print(context.out, comment);
      break;
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
  if (arguments.Has("json")) {
    return PrintObject(context, MembersOf(response.finding(), FindingColumns()));
  }
  context.out << "Finding " << response.finding().finding_id() << " is "
              << FindingStateText(response.finding().state()) << ".\n";
  return ExitCode::kOk;
}

Command UpdateCommand(std::string_view name, std::string_view summary, v1::FindingState state) {
  return {name,
          summary,
          {"FINDING"},
          WithJsonOption({{"comment", "TEXT", "what there is to say; - is standard input"}}),
          [state](Context& context, const Arguments& arguments) {
            return Update(context, arguments, state);
          }};
}

}  // namespace

std::vector<Command> FindingsCommands() {
  return {
      {"findings",
       "lists what the SOC has to look at",
       {},
       WithListOptions({{"all", "", "also those that are resolved or dismissed"},
                        AsOfOption("as they stood then: 2026-03-01T12:00:00Z or a date")}),
       Findings,
       &query::Findings()},
      {"finding show",
       "prints a finding and what was said of it",
       {"FINDING"},
       WithWatchOptions({}),
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
