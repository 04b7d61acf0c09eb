#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "server/query/filter.h"
#include "server/query/order.h"

namespace weighmaster::server::query {

// Where a page ended: the last row's values of the order's fields and its key, so that the next
// page begins after it whatever was inserted meanwhile. What was counted for the first page goes
// along: all pages of one question name one total.
struct Position {
  std::vector<Value> values;  // parallel to the order
  std::int64_t key = 0;
  std::uint64_t total = 0;
  bool total_is_least = false;

  friend bool operator==(const Position&, const Position&) = default;
};

// A position as a page token. `question` is a digest over everything that was asked but the page.
// The token is not secret and not signed: whoever makes one up is put somewhere in a list that they
// may read anyway.
std::string WriteCursor(const Position& position, const model::Sha256& question);
// INVALID_ARGUMENT when it is not one that WriteCursor makes, or belongs to another question.
base::Result<Position> ReadCursor(std::string_view token, const model::Sha256& question,
                                  const Order& order);

}  // namespace weighmaster::server::query
