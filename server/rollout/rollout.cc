#include "server/rollout/rollout.h"

#include <algorithm>
#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "policy/model/lists/digest_lists.h"
#include "proto/wire/convert.h"
#include "server/store/ask.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::server::rollout {
namespace {

namespace limits = base::limits;

using base::Result;
using base::Status;

// A part that this server cannot read would be refused by every endpoint as well.
Status CheckContent(const store::BundlePart& part) {
  switch (part.reference.kind) {
    case wire::PartKind::kLists: {
      auto lists = model::DigestListsView::Parse(base::AsBytes(part.content));
      if (!lists.has_value())
        return std::move(lists.error()).While("reading the part with the lists");
      return {};
    }
    case wire::PartKind::kRules: {
      auto rules = wire::ParseRules(part.content);
      if (!rules.has_value())
        return std::move(rules.error()).While("reading the part with the rules");
      return {};
    }
    default:
      return {};
  }
}

// What is stored of a part is what the signed manifest says of it.
Status CheckPart(store::BundlePart& part, const wire::BundleManifest& manifest) {
  const auto reference =
      std::ranges::find(manifest.parts, part.reference.sha256, &wire::PartReference::sha256);
  if (reference == manifest.parts.end()) {
    return base::InvalidArgument("the part " + part.reference.sha256.ToHex() +
                                 " is not in the manifest");
  }
  if (part.content.size() > limits::kMaxPartBytes) {
    return base::InvalidArgument("a part has more than " + std::to_string(limits::kMaxPartBytes) +
                                 " bytes");
  }
  if (part.content.size() != reference->size_bytes ||
      openssl::Sha256Of(base::AsBytes(part.content)) != reference->sha256) {
    return base::InvalidArgument("the part " + reference->sha256.ToHex() +
                                 " has another size or digest than the manifest says");
  }
  part.reference = *reference;
  return CheckContent(part);
}

// Those that may travel with the offer, as far as there is room.
std::vector<store::BundlePart> SmallParts(const std::vector<store::BundlePart>& parts) {
  std::vector<store::BundlePart> small;
  std::size_t bytes = 0;
  for (const store::BundlePart& part : parts) {
    if (part.content.size() > limits::kMaxOfferedPartsBytes - bytes) continue;
    bytes += part.content.size();
    small.push_back(part);
  }
  return small;
}

}  // namespace

Rollout::Rollout(base::Loop& loop, const base::Clock& clock, base::Executor& pool,
                 base::Executor& writer, store::Store& store)
    : loop_(loop), clock_(clock), pool_(pool), writer_(writer), store_(store) {}

Status Rollout::Load(store::Queries& queries) {
  WM_ASSIGN_OR_RETURN(roots_, queries.Roots());
  if (roots_.empty()) return base::FailedPrecondition("the store holds no root document");
  WM_ASSIGN_OR_RETURN(const wire::Root first, wire::ParseRoot(roots_.front().bytes));
  first_root_version_ = first.version;
  WM_ASSIGN_OR_RETURN(wire::Root root, wire::ParseRoot(roots_.back().bytes));
  root_ = std::make_shared<const wire::Root>(std::move(root));
  auto bundle = queries.FindBundle(store::Scope::WholeFleet(), 0);
  if (!bundle.has_value()) {
    if (bundle.error().code() == base::ErrorCode::kNotFound) return {};
    return std::move(bundle).error();
  }
  PublishedPolicy policy;
  WM_ASSIGN_OR_RETURN(policy.manifest, wire::ParseManifest(bundle->document.bytes));
  policy.document = std::move(bundle->document);
  policy.manifest_sha256 = bundle->manifest_sha256;
  std::vector<store::BundlePart> parts;
  for (const wire::PartReference& part : policy.manifest.parts) {
    if (part.size_bytes > limits::kMaxOfferedPartsBytes) continue;
    // One that can't be read now is left out; whoever lacks it asks for it.
    auto piece = queries.ReadPart(part.sha256, 0);
    if (piece.has_value()) parts.push_back({part, std::move(piece->data)});
  }
  policy.small_parts = SmallParts(parts);
  current_ = std::make_shared<const PublishedPolicy>(std::move(policy));
  return {};
}

std::span<const wire::SignedDocument> Rollout::RootsAfter(std::uint64_t version) const {
  const std::span<const wire::SignedDocument> roots(roots_);
  // An endpoint whose next root this store never had can't be helped by those after it.
  if (version + 1 < first_root_version_ || version >= first_root_version_ + roots.size()) return {};
  return roots.subspan(static_cast<std::size_t>(version + 1 - first_root_version_));
}

void Rollout::Publish(Publication publication,
                      Reply<std::shared_ptr<const PublishedPolicy>> reply) {
  WM_CHECK(loop_.OnLoop() && root_ != nullptr);
  store::Ask(
      pool_, loop_, alive_,
      [publication = std::move(publication), root = root_, now = clock_.Now()]() mutable {
        return Verify(std::move(publication), *root, now);
      },
      [this, reply = std::move(reply)](Verified verified) {
        if (!verified.has_value()) return reply(std::move(verified).error());
        Commit(*std::move(verified), reply);
      });
}

Rollout::Verified Rollout::Verify(Publication publication, const wire::Root& root,
                                  base::WallTime now) {
  auto bundle = std::make_shared<store::NewBundle>();
  wire::BundleCheck check = wire::CheckBundle(publication.document, root, kDefaultLine, 0);
  if (check.refusal != model::PolicyRefusal::kNone) {
    return base::FailedPrecondition("endpoints would refuse this policy: " +
                                    std::string(model::PolicyRefusalName(check.refusal)) + ": " +
                                    check.detail);
  }
  bundle->manifest = std::move(check.manifest);
  const wire::BundleManifest& manifest = bundle->manifest;
  if (now >= manifest.expires) {
    return base::FailedPrecondition("the policy expired at " +
                                    base::FormatWallTime(manifest.expires) + "; sign it again");
  }
  // Endpoints take the time of signing for verified, and it never goes back: one from the future
  // would make every other policy stale.
  if (manifest.issued > now + limits::kMaxClockOffset) {
    return base::FailedPrecondition("the policy says that it was signed at " +
                                    base::FormatWallTime(manifest.issued) +
                                    ", which is in the future; set the clock of the machine that "
                                    "signs and sign it again");
  }
  if (!manifest.label_selector.empty()) {
    return base::FailedPrecondition("this server does not deliver to a part of the fleet yet");
  }
  if (manifest.parts.size() > limits::kMaxBundleParts) {
    return base::InvalidArgument("a policy has at most " + std::to_string(limits::kMaxBundleParts) +
                                 " parts");
  }
  if (publication.text.size() > limits::kMaxPolicyBytes || !base::IsUtf8(publication.text)) {
    return base::InvalidArgument("the document is too large or not UTF-8");
  }
  if (openssl::Sha256Of(base::AsBytes(publication.text)) != manifest.document) {
    return base::InvalidArgument("the document is not the one that was signed");
  }
  for (store::BundlePart& part : publication.parts) {
    WM_RETURN_IF_ERROR(CheckPart(part, manifest));
  }
  bundle->document = std::move(publication.document);
  bundle->parts = std::move(publication.parts);
  bundle->text = std::move(publication.text);
  bundle->published = now;
  bundle->publisher = std::move(publication.publisher);
  return std::shared_ptr<const store::NewBundle>(std::move(bundle));
}

void Rollout::Commit(std::shared_ptr<const store::NewBundle> bundle,
                     Reply<std::shared_ptr<const PublishedPolicy>> reply) {
  store::Ask(
      writer_, loop_, alive_, [&store = store_, bundle] { return store.Publish(*bundle); },
      [this, bundle, reply = std::move(reply)](Status published) {
        if (!published.has_value()) return reply(std::move(published).error());
        Promote(*bundle);
        reply(current_);
      });
}

void Rollout::Promote(const store::NewBundle& bundle) {
  if (current_ != nullptr && current_->manifest.version >= bundle.manifest.version) return;
  PublishedPolicy policy;
  policy.document = bundle.document;
  policy.manifest = bundle.manifest;
  policy.manifest_sha256 = openssl::Sha256Of(base::AsBytes(bundle.document.bytes));
  policy.small_parts = SmallParts(bundle.parts);
  current_ = std::make_shared<const PublishedPolicy>(std::move(policy));
  if (listener_) listener_();
}

}  // namespace weighmaster::server::rollout
