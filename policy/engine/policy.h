#pragma once

#include <cstdint>
#include <memory>

#include "policy/base/result.h"
#include "policy/model/digest_lists.h"
#include "policy/model/rules.h"
#include "policy/model/sighting.h"
#include "policy/model/verdict.h"

namespace weighmaster::engine {

// Keeps the bytes of encoded lists alive: a mapped file in the agent, a vector elsewhere.
class ListsStorage {
 public:
  virtual ~ListsStorage() = default;
  virtual base::ByteView bytes() const = 0;
};

// One immutable policy, pinned for a whole decision by shared_ptr<const Policy>. Judging does no
// I/O, takes no lock, and may happen on any thread.
class Policy {
 public:
  // Checks lists and rules: unknown fields, operators that do not fit a field, depth, counts. The
  // error says which rule. `version` is the bundle's, or 0 for a local document. `lists` may be
  // null: no lists.
  static base::Result<std::shared_ptr<const Policy>> Make(std::uint64_t version,
                                                          model::RuleSet rules,
                                                          std::shared_ptr<const ListsStorage> lists);

  // The policy before any policy: everything is allowed by default, and the reason says that no
  // policy has been applied yet.
  static std::shared_ptr<const Policy> None();

  // The fixed order of judgement: blocked, (exceptions), denied, `always` rules, approved when
  // verified, the other rules from the top, the default. A claimed digest may deny, never approve.
  model::Verdict Judge(const model::Sighting& sighting) const;

  std::uint64_t version() const { return version_; }
  const model::RuleSet& rules() const { return rules_; }
  const model::DigestListsView& lists() const { return lists_; }

 private:
  Policy(std::uint64_t version, model::RuleSet rules, std::shared_ptr<const ListsStorage> storage,
         model::DigestListsView lists);

  const std::uint64_t version_;
  const model::RuleSet rules_;
  const std::shared_ptr<const ListsStorage> storage_;
  const model::DigestListsView lists_;
};

// Lists in memory.
std::shared_ptr<const ListsStorage> ListsInMemory(base::Bytes bytes);

}  // namespace weighmaster::engine
