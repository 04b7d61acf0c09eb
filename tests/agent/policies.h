#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policy/model/lists/digest_lists.h"
#include "policy/model/rules.h"
#include "proto/wire/convert.h"
#include "proto/wire/trust.h"
#include "tests/support/keys.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::tests {

// A bundle as a server offers it, and its parts.
struct OfferedPolicy {
  wire::BundleManifest manifest;
  wire::SignedDocument bundle;
  std::map<model::Sha256, std::string> parts;

  model::Sha256 digest() const { return openssl::Sha256Of(base::AsBytes(bundle.bytes)); }
};

// What is in a test's policy: who is denied by digest, and what the default is.
struct PolicyText {
  std::uint64_t version = 1;
  std::uint64_t floor = 0;
  std::vector<std::string> denied_contents = {};  // of tests::Seen()
  model::Outcome default_outcome = model::Outcome::kAllow;
  std::vector<std::string> rules_features = {std::string(wire::kFeatureRules)};
  std::vector<model::Rule> rules = {};
  model::Settings settings = {};
};

inline OfferedPolicy MakePolicy(const PolicyText& text) {
  OfferedPolicy offered;
  model::DigestLists lists;
  for (const std::string& content : text.denied_contents) {
    lists.denied.push_back(openssl::Sha256Of(base::AsBytes(content)));
  }
  const base::Bytes encoded = model::EncodeDigestLists(lists);
  model::RuleSet rules;
  rules.policy_name = "test";
  rules.default_outcome = text.default_outcome;
  rules.rules = text.rules;
  rules.settings = text.settings;
  const std::string lists_part(base::AsText(encoded));
  const std::string rules_part = wire::SerialiseRules(rules);
  offered.manifest = MakeManifest(text.version, text.floor);
  offered.manifest.parts = {
      PartOf(wire::PartKind::kLists, lists_part, {std::string(wire::kFeatureLists)}),
      PartOf(wire::PartKind::kRules, rules_part, text.rules_features)};
  offered.parts = {{offered.manifest.parts[0].sha256, lists_part},
                   {offered.manifest.parts[1].sha256, rules_part}};
  offered.bundle = SignBundle(offered.manifest);
  return offered;
}

}  // namespace weighmaster::tests
