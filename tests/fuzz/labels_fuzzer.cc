// A scope on the first line, an endpoint's labels on the others, a label each. What is read says
// what was written and is written and read again as the same, and the scope has the endpoint
// exactly if each of its labels is among the endpoint's.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/bytes.h"
#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "server/store/labels.h"

using namespace weighmaster;  // NOLINT(google-build-using-namespace): one file
using server::store::Labels;
using server::store::Scope;

namespace {

using Words = std::vector<std::string_view>;

// What the store looks for is a text of such words between blanks.
constexpr std::string_view kSigns =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-=";

Words Split(std::string_view text, char at) {
  Words words;
  while (true) {
    const std::size_t end = text.find(at);
    words.push_back(text.substr(0, end));
    if (end == text.npos) return words;
    text.remove_prefix(end + 1);
  }
}

// Foreign text of any length is in it.
void CheckSentence(const base::Error& error) {
  WM_CHECK(base::IsFitForDisplay(error.message()));
  WM_CHECK(error.message().size() <= base::limits::kMaxSentenceBytes);
}

Labels ReadLabels(const Words& words) {
  const auto labels = server::store::ParseLabels(words);
  if (!labels.has_value()) {
    CheckSentence(labels.error());
    return {};
  }
  const std::vector<std::string> written = server::store::LabelWords(*labels);
  for (const std::string& word : written) WM_CHECK(word.find_first_not_of(kSigns) == word.npos);
  WM_CHECK(std::ranges::is_permutation(written, words) && words.size() <= base::limits::kMaxLabels);
  WM_CHECK(server::store::ParseLabels(Words(written.begin(), written.end())) == *labels);
  return *labels;
}

void CheckScope(std::string_view text, const Labels& endpoint) {
  const Words words = text.empty() ? Words() : Split(text, ',');
  const auto scope = Scope::Parse(text);
  const bool are_labels = server::store::ParseLabels(words).has_value();
  WM_CHECK(scope.has_value() == (are_labels && words.size() <= base::limits::kMaxScopeLabels));
  if (!scope.has_value()) return CheckSentence(scope.error());

  const auto again = Scope::Parse(scope->ToText());
  WM_CHECK(again.has_value() && again->labels() == scope->labels());
  WM_CHECK(scope->ToText().size() == text.size());
  WM_CHECK(scope->is_whole_fleet() == text.empty());

  const std::vector<std::string> of_endpoint = server::store::LabelWords(endpoint);
  const std::set<std::string_view> among(of_endpoint.begin(), of_endpoint.end());
  WM_CHECK(scope->Has(endpoint) ==
           std::ranges::all_of(words, [&](auto word) { return among.contains(word); }));
  // What has its labels lies inside, whatever else it has, and nothing that lacks one of them.
  Labels inside = endpoint;
  for (const auto& [key, value] : scope->labels()) inside[key] = value;
  WM_CHECK(scope->Has(inside));
  for (const auto& [key, value] : scope->labels()) {
    Labels outside = inside;
    outside.erase(key);
    WM_CHECK(!scope->Has(outside));
    outside[key] = value + "x";
    WM_CHECK(!scope->Has(outside));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Words lines = Split(base::AsText({data, size}), '\n');
  const std::string_view scope = lines.front();
  lines.erase(lines.begin());
  CheckScope(scope, ReadLabels(lines));
  return 0;
}
