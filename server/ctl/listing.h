#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/report/rows.h"
#include "server/ctl/command.h"

namespace weighmaster::v1 {
class FleetCoverage;
}  // namespace weighmaster::v1

namespace weighmaster::server::ctl {

// What commands print has in common: lists, and what was done as one object.

// "json" after the command's own options, of a command that does or makes one thing.
std::vector<Arguments::Option> WithJsonOption(std::vector<Arguments::Option> own);
// "json" and "csv" after the command's own options, of a command that prints a list or counts.
std::vector<Arguments::Option> WithFormOptions(std::vector<Arguments::Option> own);
// The form, and "watch", which the program itself carries out.
std::vector<Arguments::Option> WithWatchOptions(std::vector<Arguments::Option> own);
// "filter", "order", "limit", the form and "watch".
std::vector<Arguments::Option> WithListOptions(std::vector<Arguments::Option> own);

// INVALID_ARGUMENT when two are asked for at once.
base::Result<report::Form> FormOf(const Arguments& arguments);

// "as-of TIME", which ForEachPage asks by.
Arguments::Option AsOfOption(std::string_view help);

// A moment as a person writes it, "2026-03-01T12:00:00Z" or a date, in microseconds since 1970; 0
// when the option was not given.
base::Result<std::int64_t> MomentOf(const Arguments& arguments, std::string_view option);

// A time of the API: to programs RFC 3339, nothing for "never".
report::Cell TimeOf(std::int64_t time_us);
// "ADMIN_ROLE_POLICY_AUTHOR" without its prefix: "policy_author".
std::string EnumWord(const std::string& name, std::string_view prefix);

// "7 findings.", "more than 10000 findings, of which 100 are shown."
std::string TotalLine(std::uint64_t shown, std::uint64_t total, bool total_is_least,
                      std::string_view what);

// After the number of endpoints where a policy is in force: ", 2 of these partly"; "" for none.
std::string PartlyNote(std::uint64_t endpoints);

// How much of the fleet a count speaks for, as a sentence: "could not look" is never shown as none.
// It may be of a moment in the past.
std::string CoverageLine(const v1::FleetCoverage& coverage, bool past);

// What both leave. A person's may be any text, and an error is told in its own columns where it is
// the only one.
std::string BothFilters(const std::string& own, const std::string& given);

// Fetches page after page and tells each, until the list or the limit that was asked for ends. The
// last page comes back; its total is that of the list.
template <typename Request, typename Response, typename Tell>
base::Result<Response> ForEachPage(AdminClient& client, const Arguments& arguments, Request request,
                                   base::Status (AdminClient::*list)(const Request&, Response&),
                                   Tell tell) {
  constexpr std::uint64_t kRowsAtOnce = 1'000;
  WM_ASSIGN_OR_RETURN(std::uint64_t left, arguments.Number("limit", UINT64_MAX));
  if (left == 0) return base::InvalidArgument("--limit must be 1 or more");
  if constexpr (requires { request.set_filter(""); }) {
    request.set_filter(BothFilters(request.filter(), arguments.Value("filter")));
  }
  request.set_order_by(arguments.Value("order"));
  if constexpr (requires { request.set_as_of_time_us(0); }) {
    WM_ASSIGN_OR_RETURN(const std::int64_t moment, MomentOf(arguments, "as-of"));
    request.set_as_of_time_us(moment);
  }
  Response response;
  while (true) {
    request.set_page_size(static_cast<std::uint32_t>(std::min(left, kRowsAtOnce)));
    response.Clear();
    WM_RETURN_IF_ERROR((client.*list)(request, response));
    WM_ASSIGN_OR_RETURN(const std::uint64_t told, tell(response));
    left -= std::min(left, told);
    if (left == 0 || response.next_page_token().empty()) return response;
    request.set_page_token(response.next_page_token());
  }
}

// What a list shows of a row, described once for all forms.
template <typename Row>
struct Column {
  report::Heading heading;
  std::function<report::Cell(const Row&)> cell;
};
template <typename Row>
using Columns = std::vector<Column<Row>>;

// Prints the rows of a list in one form. `out` must outlive it.
template <typename Row>
class Sheet {
 public:
  Sheet(std::ostream& out, report::Form form, Columns<Row> columns)
      : out_(out), form_(form), columns_(std::move(columns)), rows_(form, Headings(columns_)) {}

  void Add(const Row& row) {
    Begin();
    std::vector<report::Cell> cells;
    for (const Column<Row>& column : columns_) cells.push_back(column.cell(row));
    out_ << rows_.Add(cells);
    ++added_;
  }

  // For people, a closing sentence follows the table.
  void End(const std::string& sentence) {
    Begin();
    const std::string table = rows_.End();
    out_ << table;
    if (form_ != report::Form::kTable || sentence.empty()) return;
    out_ << (table.empty() ? "" : "\n") << sentence << "\n";
  }

  std::uint64_t added() const { return added_; }

 private:
  static std::vector<report::Heading> Headings(const Columns<Row>& columns) {
    std::vector<report::Heading> headings;
    for (const Column<Row>& column : columns) headings.push_back(column.heading);
    return headings;
  }

  // As late as it can be: a list that fails prints nothing.
  void Begin() {
    if (!begun_) out_ << rows_.Begin();
    begun_ = true;
  }

  std::ostream& out_;
  const report::Form form_;
  const Columns<Row> columns_;
  report::Rows rows_;
  bool begun_ = false;
  std::uint64_t added_ = 0;
};

// A whole command: asks for a list, and prints it in the form that was asked for. `rows_of` takes
// the rows out of a page; `what` they are is for the closing sentence.
template <typename Row, typename Request, typename Response, typename RowsOf>
base::Result<ExitCode> PrintList(Context& context, const Arguments& arguments, Request request,
                                 base::Status (AdminClient::*list)(const Request&, Response&),
                                 RowsOf rows_of, Columns<Row> columns, std::string_view what) {
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  AdminClient client(std::move(profile));
  Sheet<Row> sheet(context.out, form, std::move(columns));
  const auto tell = [&](const Response& page) -> base::Result<std::uint64_t> {
    const auto& rows = rows_of(page);
    for (const Row& row : rows) sheet.Add(row);
    return static_cast<std::uint64_t>(rows.size());
  };
  WM_ASSIGN_OR_RETURN(const Response last,
                      ForEachPage(client, arguments, std::move(request), list, tell));
  sheet.End(TotalLine(sheet.added(), last.total(), last.total_is_least(), what));
  return ExitCode::kOk;
}

// A key and its value in the JSON object of one thing.
struct Member {
  std::string_view key;
  report::Cell cell;
};
using Members = std::vector<Member>;

// The same keys and values as a row of the list has.
template <typename Row>
Members MembersOf(const Row& row, const Columns<Row>& columns) {
  Members members;
  for (const Column<Row>& column : columns)
    members.push_back({column.heading.key, column.cell(row)});
  return members;
}

// What --json prints of a command that did or made one thing: one object on one line, in the form
// of a list's.
base::Result<ExitCode> PrintObject(Context& context, const Members& members);

// One thing, as a list of one row: `sentence` is all that people read of it, unless columns have
// titles.
template <typename Row>
base::Result<ExitCode> PrintThing(Context& context, const Arguments& arguments, const Row& row,
                                  Columns<Row> columns, const std::string& sentence) {
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  Sheet<Row> sheet(context.out, form, std::move(columns));
  sheet.Add(row);
  sheet.End(sentence);
  return ExitCode::kOk;
}

}  // namespace weighmaster::server::ctl
