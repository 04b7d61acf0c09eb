#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/base/random.h"
#include "policy/base/time.h"
#include "policy/model/exception.h"
#include "policy/model/lists/digest_lists.h"
#include "policy/model/rules.h"
#include "policy/model/sighting.h"

namespace weighmaster::tests {

// Random policies and sightings of one small world, so that they meet: every rule may fire, every
// digest may be listed, every field may be unknown. A seed gives the same again.
class RandomPolicies {
 public:
  explicit RandomPolicies(std::uint64_t seed) : random_(seed) {}

  // Up to five rules. `may_ask_known`: also whether fields are known.
  model::RuleSet Rules(bool may_ask_known);
  // A condition of at most so many levels below its own.
  model::Condition MakeCondition(int depth, bool may_ask_known);
  model::DigestLists Lists();
  // Those of one policy end at different times, up to 59 microseconds after 1970.
  std::vector<model::Exception> Exceptions();
  model::Sighting Sighting();
  // The same sighting once everything is known.
  model::Sighting Completed(model::Sighting sighting);
  // One of the first microseconds of 1970, around which rules expire.
  base::WallTime AnyTime();

 private:
  model::Sha256 AnyDigest();
  bool Chance(std::uint64_t one_in) { return random_.Below(one_in) == 0; }
  std::string Pick(const std::vector<std::string>& from) {
    return from[random_.Below(from.size())];
  }
  std::string Name() { return Pick({"Llama-3", "qwen2", "a/b"}); }
  std::string License() { return Pick({"mit", "Apache-2.0", "cc-by-nc-4.0"}); }
  model::User Owner() { return {Pick({"0", "1000"}), Pick({"", "ada", "root"})}; }
  model::Outcome AnyOutcome() { return static_cast<model::Outcome>(1 + random_.Below(3)); }
  model::Severity AnySeverity() { return static_cast<model::Severity>(1 + random_.Below(5)); }
  model::Mode AnyMode() { return static_cast<model::Mode>(random_.Below(3)); }
  model::FieldTest MakeTest(bool may_ask_known);
  std::string Text(model::Operator op);

  base::SeededRandom random_;
};

}  // namespace weighmaster::tests
