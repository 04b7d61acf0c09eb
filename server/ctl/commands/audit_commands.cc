#include <charconv>
#include <functional>
#include <string>
#include <utility>

#include "proto/wire/audit.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/listing.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

using report::Cell;
constexpr auto kRight = report::Table::Align::kRight;

using Tell = std::function<base::Status(const v1::AuditEntry&)>;

// The last page comes back.
base::Result<v1::ListAuditEntriesResponse> ForEachEntry(Context& context,
                                                        const Arguments& arguments,
                                                        const Tell& tell) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  AdminClient client(std::move(profile));
  const auto tell_page =
      [&](const v1::ListAuditEntriesResponse& page) -> base::Result<std::uint64_t> {
    for (const v1::AuditEntry& entry : page.entries()) WM_RETURN_IF_ERROR(tell(entry));
    return static_cast<std::uint64_t>(page.entries_size());
  };
  return ForEachPage(client, arguments, v1::ListAuditEntriesRequest(),
                     &AdminClient::ListAuditEntries, tell_page);
}

std::string OutcomeName(const v1::AuditEntry& entry) {
  return std::string(wire::AuditOutcomeName(static_cast<wire::AuditOutcome>(entry.outcome())));
}

std::string OutcomeCell(const v1::AuditEntry& entry) {
  std::string cell = OutcomeName(entry);
  if (entry.begun_number() != 0) cell += " " + std::to_string(entry.begun_number());
  return cell;
}

Columns<v1::AuditEntry> EntryColumns() {
  using Entry = v1::AuditEntry;
  return {
      {{"number", "ROW", kRight}, [](const Entry& entry) { return Cell::Number(entry.number()); }},
      {{"time", "TIME"}, [](const Entry& entry) { return TimeOf(entry.time_us()); }},
      {{"token_name", "WHO"}, [](const Entry& entry) { return Cell::Text(entry.token_name()); }},
      {{"token_id", "TOKEN"}, [](const Entry& entry) { return Cell::Text(entry.token_id()); }},
      {{"method", "METHOD"}, [](const Entry& entry) { return Cell::Text(entry.method()); }},
      {{"outcome", "OUTCOME"},
       [](const Entry& entry) {
         return Cell::Text(OutcomeName(entry)).ShownAs(OutcomeCell(entry));
       }},
      {{"begun_number", ""}, [](const Entry& entry) { return Cell::Number(entry.begun_number()); }},
      {{"code", ""}, [](const Entry& entry) { return Cell::Number(entry.code()); }},
      {{"summary", "SUMMARY"},
       [](const Entry& entry) { return Cell::EscapedText(entry.summary()); }},
      {{"sha256", ""}, [](const Entry& entry) { return Cell::Text(entry.sha256()); }},
  };
}

base::Result<ExitCode> List(Context& context, const Arguments& arguments) {
  return PrintList(
      context, arguments, v1::ListAuditEntriesRequest(), &AdminClient::ListAuditEntries,
      [](const auto& page) -> const auto& { return page.entries(); }, EntryColumns(), "rows");
}

base::Result<wire::AuditRow> ReadRow(const v1::AuditEntry& entry) {
  wire::AuditRow row;
  row.number = entry.number();
  row.time = base::WallTimeFromMicroseconds(entry.time_us());
  WM_ASSIGN_OR_RETURN(row.token_id, model::ParseId(entry.token_id()));
  row.token_name = entry.token_name();
  row.method = entry.method();
  row.outcome = static_cast<wire::AuditOutcome>(entry.outcome());
  row.begun_number = entry.begun_number();
  row.code = entry.code();
  row.summary = entry.summary();
  return row;
}

// What an earlier verification printed: "12:3f…".
struct Head {
  std::uint64_t number = 0;
  model::Sha256 digest;
};

base::Result<Head> ParseHead(const std::string& text) {
  const base::Error wrong = base::InvalidArgument("--head is ROW:SHA256, as verify printed it");
  Head head;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), head.number);
  const auto colon = static_cast<std::size_t>(end - text.data());
  if (error != std::errc() || colon >= text.size() || text[colon] != ':') return wrong;
  auto digest = model::ParseSha256(text.substr(colon + 1));
  if (!digest.has_value()) return wrong;
  head.digest = *digest;
  return head;
}

base::Result<ExitCode> Verify(Context& context, const Arguments& arguments) {
  Head kept;
  if (arguments.Has("head")) {
    WM_ASSIGN_OR_RETURN(kept, ParseHead(arguments.Value("head")));
  }
  wire::AuditChain chain;
  const auto hold = [&](const v1::AuditEntry& entry) -> base::Status {
    WM_ASSIGN_OR_RETURN(const wire::AuditRow row, ReadRow(entry));
    WM_ASSIGN_OR_RETURN(const model::Sha256 digest, model::ParseSha256(entry.sha256()));
    WM_RETURN_IF_ERROR(chain.Add(row, digest));
    if (row.number == kept.number && digest != kept.digest) {
      return base::DataLoss("row " + std::to_string(row.number) +
                            " is not the one that --head names: the log was written anew");
    }
    return {};
  };
  WM_RETURN_IF_ERROR(ForEachEntry(context, arguments, hold));
  if (chain.number() < kept.number) {
    return base::DataLoss("the log ends at row " + std::to_string(chain.number()) +
                          "; --head names a later one, so the end was cut off");
  }
  if (arguments.Has("json")) {
    return PrintObject(context, {{"number", Cell::Number(chain.number())},
                                 {"sha256", Cell::Text(chain.head().ToHex())}});
  }
  context.err << chain.number() << " rows, each covers the one before it. To see a cut-off end the "
              << "next time, keep:\n";
  context.out << chain.number() << ":" << chain.head().ToHex() << "\n";
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> AuditCommands() {
  return {
      {"audit list",
       "lists what administrators did",
       {},
       WithListOptions({}),
       List,
       &query::AuditEntries()},
      {"audit verify",
       "computes the digests of the audit log anew and compares",
       {},
       WithJsonOption({{"head", "ROW:SHA256", "what an earlier verification printed"}}),
       Verify},
  };
}

}  // namespace weighmaster::server::ctl
