#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/base/result.h"

namespace weighmaster::server::store {

// What administrators say of an endpoint, by key: each key once. The server's alone; an agent
// neither sends nor sees them.
using Labels = std::map<std::string, std::string>;

// Of words like "site=berlin". INVALID_ARGUMENT says which of them is no label, whose key comes
// twice, or that there are more than limits::kMaxLabels.
base::Result<Labels> ParseLabels(std::span<const std::string_view> words);
// By their keys.
std::vector<std::string> LabelWords(const Labels& labels);

// Whose endpoints a question or an order is about: those that have all of its labels. It is a
// parameter of everything that is asked of endpoints, and has no default: who forgets it does not
// compile.
class Scope {
 public:
  static Scope WholeFleet() { return Scope({}); }
  // Reads "site=berlin,team=ml"; "" is the whole fleet. INVALID_ARGUMENT as of ParseLabels, and
  // past limits::kMaxScopeLabels.
  static base::Result<Scope> Parse(std::string_view text);

  bool is_whole_fleet() const { return labels_.empty(); }
  const Labels& labels() const { return labels_; }
  // What Parse reads, by the keys.
  std::string ToText() const;

  // Whether what has these labels lies inside: an endpoint by its own, another scope by what it
  // asks for.
  bool Has(const Labels& labels) const;

 private:
  explicit Scope(Labels labels) : labels_(std::move(labels)) {}

  Labels labels_;
};

}  // namespace weighmaster::server::store
