// A filter, an order and a page token from one text, for each list; what is read is within limits.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "server/query/cursor.h"

using namespace weighmaster;  // NOLINT(google-build-using-namespace): one file
using server::query::Filter;

namespace {

std::size_t Terms(const Filter& filter, std::size_t depth) {
  // Brackets and NOT add one each, AND and OR one more each.
  WM_CHECK(depth <= 3 * base::limits::kMaxFilterDepth + 2);
  if (filter.kind == Filter::Kind::kTerm) {
    WM_CHECK(filter.term.field != nullptr && filter.parts.empty());
    return 1;
  }
  WM_CHECK(filter.parts.size() >= (filter.kind == Filter::Kind::kNot ? 1 : 2));
  std::size_t terms = 0;
  for (const Filter& part : filter.parts) terms += Terms(part, depth + 1);
  return terms;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = base::AsText({data, size});
  for (const server::query::List* const list : server::query::Lists()) {
    const auto filter = server::query::ParseFilter(*list, text);
    if (!filter.has_value()) {
      WM_CHECK(base::IsUtf8(filter.error().message()));
    } else if (filter->has_value()) {
      WM_CHECK(Terms(**filter, 0) <= base::limits::kMaxFilterTerms);
    }
    const auto order = server::query::ParseOrder(*list, text);
    if (!order.has_value()) WM_CHECK(base::IsUtf8(order.error().message()));
  }
  const server::query::Order order{{&server::query::Endpoints().fields.front(), true}};
  const auto position = server::query::ReadCursor(text, {}, order);
  if (position.has_value()) WM_CHECK(server::query::WriteCursor(*position, {}) == text);
  return 0;
}
