#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weighmaster::server::rest {

// "%2Fa" as "/a". None where a % is not followed by two hexadecimal digits.
std::optional<std::string> PercentDecode(std::string_view text);

// The path of a method: "/v1/endpoints/{endpoint_id}:revoke". A variable stands for the whole of
// one segment, or for all of it before the verb, and holds no ":" itself unless it is escaped.
class PathTemplate {
 public:
  using Variables = std::vector<std::pair<std::string, std::string>>;  // names and decoded values

  // The template is our own: a malformed one is a failed CHECK.
  explicit PathTemplate(std::string_view text);

  // None when the path is another one. `path` is raw, without a query.
  std::optional<Variables> Match(std::string_view path) const;
  // The names, in order.
  std::vector<std::string> variables() const;

 private:
  struct Segment {
    std::string text;  // a literal, or the name of a variable
    bool is_variable = false;
  };
  std::vector<Segment> segments_;
  std::string verb_;  // "revoke", or ""
};

}  // namespace weighmaster::server::rest
