#include "policy/lang/compile.h"

#include <algorithm>
#include <string>
#include <utility>

namespace weighmaster::lang {
namespace {

void AddTo(model::DigestLists& lists, std::span<const ListedDigest> digests) {
  for (const ListedDigest& digest : digests) lists.of(digest.kind).push_back(digest.digest);
}

}  // namespace

base::Result<CompiledPolicy> Compile(const Reading& reading) {
  if (reading.diagnostics.has_errors()) {
    const auto first = std::ranges::find(reading.diagnostics.all(), DiagnosticSeverity::kError,
                                         &Diagnostic::severity);
    return base::InvalidArgument("the policy has " + std::to_string(reading.diagnostics.errors()) +
                                 " errors; the first: " + first->ToText());
  }
  CompiledPolicy compiled;
  compiled.rules.policy_name = reading.document.name;
  compiled.rules.default_outcome = reading.document.default_outcome;
  compiled.rules.default_message = reading.document.default_message;
  compiled.rules.default_severity = reading.document.default_severity;
  compiled.rules.default_link = reading.document.default_link;
  compiled.rules.mode = reading.document.mode;
  compiled.rules.settings = reading.document.settings;
  for (const DocumentRule& rule : reading.document.rules) compiled.rules.rules.push_back(rule.rule);
  AddTo(compiled.lists, reading.document.digests);
  return compiled;
}

Document Decompile(const model::RuleSet& rules, const model::DigestListsView& lists) {
  Document document;
  document.name = rules.policy_name;
  document.default_outcome = rules.default_outcome;
  document.default_message = rules.default_message;
  document.default_severity = rules.default_severity;
  document.default_link = rules.default_link;
  document.mode = rules.mode;
  document.settings = rules.settings;
  for (const model::Rule& rule : rules.rules) document.rules.emplace_back().rule = rule;
  for (const model::ListKind kind : model::kListKinds) {
    for (std::uint64_t place = 0; place < lists.count(kind); ++place) {
      ListedDigest& listed = document.digests.emplace_back();
      listed.digest = lists.At(kind, place);
      listed.kind = kind;
    }
  }
  return document;
}

base::Result<std::shared_ptr<const engine::Policy>> MakePolicy(std::uint64_t version,
                                                               const Reading& reading,
                                                               std::span<const ListedDigest> more) {
  WM_ASSIGN_OR_RETURN(CompiledPolicy compiled, Compile(reading));
  AddTo(compiled.lists, more);
  return engine::Policy::Make(version, std::move(compiled.rules),
                              engine::ListsInMemory(model::EncodeDigestLists(compiled.lists)));
}

}  // namespace weighmaster::lang
