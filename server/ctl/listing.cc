#include "server/ctl/listing.h"

#include <cctype>

#include "server/query/filter_value.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {

std::vector<Arguments::Option> WithJsonOption(std::vector<Arguments::Option> own) {
  own.push_back({"json", "", "as one JSON object"});
  return own;
}

std::vector<Arguments::Option> WithFormOptions(std::vector<Arguments::Option> own) {
  own.push_back({"json", "", "one JSON object a line"});
  own.push_back({"csv", "", "RFC 4180 with a header, safe to open in a spreadsheet"});
  return own;
}

std::vector<Arguments::Option> WithWatchOptions(std::vector<Arguments::Option> own) {
  own = WithFormOptions(std::move(own));
  own.push_back({"watch", "[TIME]", "go on, and print again what changes, every so often (2s)"});
  return own;
}

std::vector<Arguments::Option> WithListOptions(std::vector<Arguments::Option> own) {
  own.push_back({"filter", "FILTER", "only rows that match, e.g. 'state = active'"});
  own.push_back({"order", "FIELDS", "e.g. 'hostname, enrolled_time desc'"});
  own.push_back({"limit", "N", "at most so many rows"});
  return WithWatchOptions(std::move(own));
}

base::Result<report::Form> FormOf(const Arguments& arguments) {
  if (arguments.Has("json") && arguments.Has("csv")) {
    return base::InvalidArgument("--json and --csv exclude each other");
  }
  if (arguments.Has("json")) return report::Form::kJson;
  return arguments.Has("csv") ? report::Form::kCsv : report::Form::kTable;
}

base::Result<ExitCode> PrintObject(Context& context, const Members& members) {
  std::vector<report::Heading> keys;
  std::vector<report::Cell> cells;
  for (const Member& member : members) {
    keys.push_back({member.key, ""});
    cells.push_back(member.cell);
  }
  context.out << report::Rows(report::Form::kJson, std::move(keys)).Add(cells);
  return ExitCode::kOk;
}

report::Cell TimeOf(std::int64_t time_us) {
  if (time_us == 0) return report::Cell::Nothing().ShownAs(TimeCell(0));
  return report::Cell::Text(base::FormatWallTime(base::WallTimeFromMicroseconds(time_us)))
      .ShownAs(TimeCell(time_us));
}

std::string EnumWord(const std::string& name, std::string_view prefix) {
  std::string word = name.substr(std::min(prefix.size(), name.size()));
  std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::tolower(c); });
  return word;
}

Arguments::Option AsOfOption(std::string_view help) { return {"as-of", "TIME", help}; }

base::Result<std::int64_t> MomentOf(const Arguments& arguments, std::string_view option) {
  if (!arguments.Has(option)) return 0;
  auto moment = base::ParseWallTimeOrDay(arguments.Value(option));
  if (!moment.has_value()) {
    return base::InvalidArgument("--" + std::string(option) + ": " + moment.error().message());
  }
  const std::int64_t time_us = base::ToMicroseconds(*moment);
  if (time_us > 0) return time_us;
  return base::InvalidArgument("--" + std::string(option) + ": there was no fleet then");
}

std::string BothFilters(const std::string& own, const std::string& given) {
  if (own.empty() || given.empty()) return own + given;
  return "(" + given + ") AND " + own;
}

std::string TotalLine(std::uint64_t shown, std::uint64_t total, bool total_is_least,
                      std::string_view what) {
  std::string line =
      (total_is_least ? "More than " : "") + std::to_string(total) + " " + std::string(what);
  if (shown < total || total_is_least) {
    line += ", of which " + std::to_string(shown) + " are shown";
  }
  return line + ".";
}

std::string PartlyNote(std::uint64_t endpoints) {
  return endpoints == 0 ? "" : ", " + std::to_string(endpoints) + " of these partly";
}

namespace {

std::string LookedText(const v1::FleetCoverage& coverage) {
  std::string text = std::to_string(coverage.endpoints_looked()) + " were looked at whole";
  if (coverage.endpoints_partly() > 0) {
    text += ", " + std::to_string(coverage.endpoints_partly()) + " partly";
  }
  if (coverage.endpoints_not() > 0) {
    text += ", " + std::to_string(coverage.endpoints_not()) + " not at all";
  }
  return text;
}

}  // namespace

std::string CoverageLine(const v1::FleetCoverage& coverage, bool past) {
  if (coverage.endpoints() == 0) {
    return past ? "No endpoint was enrolled then that was not revoked."
                : "No endpoint is enrolled that is not revoked.";
  }
  return "Of " + std::to_string(coverage.endpoints()) + " endpoints " +
         (past ? "enrolled then " : "") + LookedText(coverage) + ".";
}

}  // namespace weighmaster::server::ctl
