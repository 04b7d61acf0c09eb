#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/random.h"
#include "server/store/values.h"

namespace weighmaster::server::store {

// A row of a list as the values of its fields, without SQL; a field that is not there is lacking.
struct NaiveRow {
  std::string name;  // tells it from all other rows of the list
  std::map<std::string_view, query::Value> values;

  bool operator==(const NaiveRow&) const = default;
};

// As a row's set.
std::string LabelSet(const Labels& labels);

NaiveRow Naive(const EndpointRow& row);
NaiveRow Naive(const SightingRow& row);
NaiveRow Naive(const ArtifactRow& row);
NaiveRow Naive(const EventRow& row);
NaiveRow Naive(const PolicyRow& row);
NaiveRow Naive(const ExceptionRow& row);
NaiveRow Naive(const FindingRow& row);
NaiveRow Naive(const Change& row);
NaiveRow Naive(const AdminTokenRecord& row);
NaiveRow Naive(const AuditEntry& row);

// The meaning of a filter and of an order, as docs/formats/filters.md has it, said once more.
bool Matches(const query::Filter& filter, const NaiveRow& row);
// `rows` come in the list's own order.
std::vector<NaiveRow> Answer(const query::List& list, std::vector<NaiveRow> rows,
                             const std::optional<query::Filter>& filter, const query::Order& order);

// For the message of a test that failed.
std::string Describe(const query::Filter& filter);

// A filter whose values are mostly those of rows that there are.
query::Filter RandomFilter(const query::List& list, const std::vector<NaiveRow>& rows, int depth,
                           base::Random& random);
query::Order RandomOrder(const query::List& list, base::Random& random);

}  // namespace weighmaster::server::store
