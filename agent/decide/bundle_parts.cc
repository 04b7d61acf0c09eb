#include "agent/decide/bundle_parts.h"

#include <set>
#include <string_view>

#include "policy/base/limits.h"

namespace weighmaster::agent::decide {
namespace {

// Adds what this build lacks for the part; true when it lacks nothing.
bool CanRead(const wire::PartReference& part, std::set<std::string>& missing) {
  const bool known_kind =
      part.kind == wire::PartKind::kLists || part.kind == wire::PartKind::kRules;
  bool usable = known_kind;
  for (const std::string& feature : part.features) {
    if (feature == wire::kFeatureLists || feature == wire::kFeatureRules) continue;
    missing.insert(feature);
    usable = false;
  }
  if (!known_kind && part.features.empty()) {
    missing.insert("part-kind-" + std::to_string(static_cast<int>(part.kind)));
  }
  return usable;
}

}  // namespace

base::Result<BundleParts> SortParts(const wire::BundleManifest& manifest) {
  BundleParts parts;
  std::set<std::string> missing;
  for (const wire::PartReference& part : manifest.parts) {
    if (part.size_bytes > base::limits::kMaxPartBytes) {
      return base::ResourceExhausted("a part of the bundle is longer than a part may be");
    }
    if (part.size_bytes == 0) return base::InvalidArgument("a part of the bundle is empty");
    const bool usable = CanRead(part, missing);
    const bool is_lists = part.kind == wire::PartKind::kLists;
    if (!is_lists && part.kind != wire::PartKind::kRules) continue;
    bool& seen = is_lists ? parts.lists_in_manifest : parts.rules_in_manifest;
    if (seen) return base::InvalidArgument("the bundle has two parts of one kind");
    seen = true;
    if (usable) (is_lists ? parts.lists : parts.rules) = part;
  }
  for (const std::string& feature : missing) {
    if (!parts.missing_features.empty()) parts.missing_features += ',';
    parts.missing_features += feature;
  }
  return parts;
}

}  // namespace weighmaster::agent::decide
