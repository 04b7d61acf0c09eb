#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "policy/base/result.h"
#include "policy/engine/policy.h"
#include "policy/lang/document.h"
#include "policy/model/lists/digest_lists.h"
#include "policy/model/rules.h"

namespace weighmaster::lang {

// What a document becomes: the two parts of a bundle, before wire and model encode them.
struct CompiledPolicy {
  model::RuleSet rules;
  model::DigestLists lists;
};

// INVALID_ARGUMENT with the first error when the reading has errors.
base::Result<CompiledPolicy> Compile(const Reading& reading);

// What the parts of a bundle say, as a document that compares with others: without places, notes
// and list files, which do not travel.
Document Decompile(const model::RuleSet& rules, const model::DigestListsView& lists);

// Straight to a judge, without a bundle: for `scan --policy`, simulation and lint. A reading
// without errors always succeeds. `more` stands on the lists beside what the document has there.
base::Result<std::shared_ptr<const engine::Policy>> MakePolicy(
    std::uint64_t version, const Reading& reading, std::span<const ListedDigest> more = {});

}  // namespace weighmaster::lang
