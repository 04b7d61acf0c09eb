#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/ctl/command.h"

namespace weighmaster::v1 {
class FleetCoverage;
enum FindingState : int;
}  // namespace weighmaster::v1

namespace weighmaster::server::ctl {

// What the commands that print lists have in common.

// "filter", "order" and "limit" after the command's own options.
std::vector<Arguments::Option> WithListOptions(std::vector<Arguments::Option> own);

// A moment as a person writes it, "2026-03-01T12:00:00Z" or a date, in microseconds since 1970; 0
// when the option was not given.
base::Result<std::int64_t> MomentOf(const Arguments& arguments, std::string_view option);

// "7 findings.", "more than 10000 findings, of which 100 are shown."
std::string TotalLine(std::uint64_t shown, std::uint64_t total, bool total_is_least,
                      std::string_view what);

// "open", "resolved", "acknowledged", "dismissed".
std::string FindingStateText(v1::FindingState state);

// How much of the fleet a count speaks for, as a sentence: "could not look" is never shown as none.
std::string CoverageLine(const v1::FleetCoverage& coverage);

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
    request.set_filter(arguments.Value("filter"));
  }
  request.set_order_by(arguments.Value("order"));
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

}  // namespace weighmaster::server::ctl
