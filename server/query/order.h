#pragma once

#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "server/query/lists.h"

namespace weighmaster::server::query {

struct OrderTerm {
  const Field* field = nullptr;
  bool descending = false;
};

// After these, rows come in the list's own order, in the direction of the last of them; so an order
// is always total. A row that lacks a field stands before all that have it.
using Order = std::vector<OrderTerm>;

// "path desc, first_seen_time"; a blank text is the list's own order. INVALID_ARGUMENT names what
// is no field, can't order or comes twice, and says so past limits::kMaxOrderFields.
base::Result<Order> ParseOrder(const List& list, std::string_view text);

// Whether rows of one and the same value come in the list's own order backwards.
bool KeyDescends(const List& list, const Order& order);

}  // namespace weighmaster::server::query
