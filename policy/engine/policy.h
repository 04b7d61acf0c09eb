#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/engine/condition.h"
#include "policy/model/exception.h"
#include "policy/model/lists/digest_lists.h"
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
  // Checks lists and rules: unknown fields, operators that do not fit a field, depth, counts, ids
  // (present, different, and none of "blocked", "denied", "approved", "default", which name the
  // steps without rules), settings out of their bounds. The error is INVALID_ARGUMENT and says
  // which rule or setting. `version` is the bundle's, or 0 for a local document. `lists` may be
  // null: no lists. An exception that names a rule that is not there, or something else that is
  // not, does nothing.
  static base::Result<std::shared_ptr<const Policy>> Make(
      std::uint64_t version, model::RuleSet rules, std::shared_ptr<const ListsStorage> lists,
      std::vector<model::Exception> exceptions = {});

  // The policy before any policy: everything is allowed by default, and the reason says that no
  // policy has been applied yet. `withheld` is what stays withheld all the same.
  static std::shared_ptr<const Policy> None(model::WithheldFields withheld = {});

  // The fixed order of judgement: blocked, denied, `always` rules, approved when verified, the
  // other rules from the top, the default. A claimed digest may deny, never approve. A step that
  // warns or denies is passed over where an exception that names it is for this file: what is
  // allowed then is allowed by the exception. Nothing overrides blocked.
  // A rule that has expired at `now` is not asked; one marked `audit` never decides and is named
  // beside the verdict where it applies.
  //
  // The basis is `claimed` when a claimed digest decided; `partial` when the verdict could be
  // another once more is known: the digest is not verified, or the deciding rule or one before it
  // asked for something that is unknown or may still change; else `verified`.
  model::Verdict Judge(const model::Sighting& sighting, base::WallTime now) const {
    return Judge(sighting, now, exceptions_);
  }
  // The same with these exceptions in the place of its own.
  model::Verdict Judge(const model::Sighting& sighting, base::WallTime now,
                       std::span<const model::Exception> exceptions) const;

  // The exceptions in force at `now` that are for this file, as far as it is known, whether or not
  // its judgement needs them. For whoever explains a verdict.
  std::vector<model::Exception> ExceptionsFor(const model::Sighting& sighting,
                                              base::WallTime now) const;

  // The first moment after `now` at which something in the policy expires, and verdicts with it.
  std::optional<base::WallTime> NextExpiry(base::WallTime now) const;

  std::uint64_t version() const { return version_; }
  const model::RuleSet& rules() const { return rules_; }
  const model::DigestListsView& lists() const { return lists_; }
  const std::vector<model::Exception>& exceptions() const { return exceptions_; }

 private:
  struct CompiledRule {
    std::size_t index = 0;  // in rules_.rules
    CompiledCondition when;
  };

  Policy(std::uint64_t version, model::RuleSet rules, std::vector<CompiledRule> compiled,
         std::shared_ptr<const ListsStorage> storage, model::DigestListsView lists,
         std::vector<model::Exception> exceptions);

  // One judgement under way; engine/policy.cc.
  class Judgement;

  const std::uint64_t version_;
  const model::RuleSet rules_;
  const std::vector<CompiledRule> compiled_;
  const std::shared_ptr<const ListsStorage> storage_;
  const model::DigestListsView lists_;
  const std::vector<model::Exception> exceptions_;
};

// Whether a rule may have this id: 1 to limits::kMaxRuleIdBytes of a-z, 0-9, '.', '_', '-', the
// first a letter or digit, and not the name of a step without rules.
bool IsRuleId(std::string_view id);

// Whether a person may be sent there: an https URL of at most limits::kMaxLinkBytes, in printable
// ASCII, without quotes, brackets or backslashes.
bool IsLink(std::string_view link);

// Lists in memory.
std::shared_ptr<const ListsStorage> ListsInMemory(base::Bytes bytes);

}  // namespace weighmaster::engine
