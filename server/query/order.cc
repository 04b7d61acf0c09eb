#include "server/query/order.h"

#include <algorithm>
#include <string>

#include "policy/base/limits.h"
#include "policy/lang/yaml/diagnostics.h"

namespace weighmaster::server::query {
namespace {

using base::InvalidArgument;

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

base::Result<OrderTerm> ParseTerm(const List& list, std::string_view text) {
  OrderTerm term;
  const auto blank = text.find_first_of(" \t");
  const std::string_view name = text.substr(0, blank);
  const std::string_view direction =
      blank == std::string_view::npos ? std::string_view() : Trim(text.substr(blank));
  term.field = FindField(list, name);
  if (term.field == nullptr || !term.field->orders) {
    std::vector<std::string_view> names;
    for (const Field& known : list.fields) {
      if (known.orders) names.push_back(known.name);
    }
    return InvalidArgument("order_by: " + lang::Quote(name) +
                           (term.field == nullptr ? " is no field; " : " gives no order; ") +
                           lang::SpellingHint(name, names, "fields that do"));
  }
  if (!direction.empty() && direction != "asc" && direction != "desc") {
    return InvalidArgument("order_by: expected asc, desc or a comma instead of " +
                           lang::Quote(direction));
  }
  term.descending = direction == "desc";
  return term;
}

}  // namespace

base::Result<Order> ParseOrder(const List& list, std::string_view text) {
  Order order;
  if (Trim(text).empty()) return order;
  while (true) {
    const auto comma = text.find(',');
    WM_ASSIGN_OR_RETURN(const OrderTerm term, ParseTerm(list, Trim(text.substr(0, comma))));
    if (std::ranges::find(order, term.field, &OrderTerm::field) != order.end()) {
      return InvalidArgument("order_by: " + std::string(term.field->name) + " comes twice");
    }
    if (order.size() == base::limits::kMaxOrderFields) {
      return InvalidArgument("order_by has at most " +
                             std::to_string(base::limits::kMaxOrderFields) + " fields");
    }
    order.push_back(term);
    if (comma == std::string_view::npos) return order;
    text.remove_prefix(comma + 1);
  }
}

bool KeyDescends(const List& list, const Order& order) {
  return order.empty() ? list.newest_first : order.back().descending;
}

}  // namespace weighmaster::server::query
