#include "agent/sync/bundle_fetch.h"

#include <utility>

#include "policy/base/limits.h"
#include "third_party/spdlog/log.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::agent::sync {

base::Status BundleFetch::OnOffer(wire::AgentChannel& channel, const v1::Offer& offer) {
  channel_ = &channel;
  if (offer.has_root()) {
    WM_ASSIGN_OR_RETURN(const wire::SignedDocument root, wire::FromProto(offer.root()));
    WM_RETURN_IF_ERROR(policy_.ConsiderRoot(root));
  }
  if (!offer.has_bundle()) return {};
  WM_ASSIGN_OR_RETURN(Offered offered, ReadOffer(offer));
  if (policy_.applying()) {
    // Perhaps by Resume(), which knows nothing of us.
    const bool waits_already = next_.has_value();
    next_ = std::move(offered);
    if (!waits_already) {
      policy_.WhenApplied([this, alive = std::weak_ptr<const bool>(alive_)] {
        if (!alive.expired()) TakeNext();
      });
    }
    return {};
  }
  return Take(std::move(offered));
}

base::Result<BundleFetch::Offered> BundleFetch::ReadOffer(const v1::Offer& offer) {
  Offered offered;
  WM_ASSIGN_OR_RETURN(offered.bundle, wire::FromProto(offer.bundle()));
  std::size_t bytes = 0;
  for (const v1::PartChunk& part : offer.parts()) {
    // What is not whole, or too much to be kept, is asked for like any other part.
    if (part.offset() != 0 || part.total_bytes() != part.data().size()) continue;
    bytes += part.data().size();
    if (bytes > base::limits::kMaxOfferedPartsBytes) break;
    WM_ASSIGN_OR_RETURN(const model::Sha256 sha256,
                        model::Sha256FromBytes(base::AsBytes(part.sha256())));
    offered.parts.emplace(sha256, part.data());
    if (offered.parts.size() == base::limits::kMaxBundleParts) break;
  }
  return offered;
}

base::Status BundleFetch::Take(Offered offered) {
  bundle_.reset();
  missing_.clear();
  delta_ = Delta::kMayAsk;
  WM_ASSIGN_OR_RETURN(decide::Considered considered, policy_.Consider(offered.bundle));
  if (considered.needs == decide::OfferNeeds::kNothing ||
      considered.needs == decide::OfferNeeds::kRefused) {
    writer_.reset();
    return {};
  }
  bundle_ = std::move(offered);
  missing_.assign(considered.missing.begin(), considered.missing.end());
  return FetchNext();
}

base::Status BundleFetch::FetchNext() {
  if (missing_.empty()) return Apply();
  const wire::PartReference& part = missing_.front();
  const auto brought = bundle_->parts.find(part.sha256);
  if (brought != bundle_->parts.end() && brought->second.size() == part.size_bytes) {
    writer_.reset();  // what an earlier stream brought of it is not needed
    WM_ASSIGN_OR_RETURN(writer_, policy_.Begin(part));
    WM_RETURN_IF_ERROR(writer_->Append(brought->second));
    return FinishPart();
  }
  const bool begun = writer_ != nullptr && writer_->sha256() == part.sha256 &&
                     writer_->size_bytes() == part.size_bytes;
  if (!begun) {
    writer_.reset();
    WM_ASSIGN_OR_RETURN(writer_, policy_.Begin(part));
  }
  return Request();
}

base::Status BundleFetch::Request() {
  if (channel_ == nullptr) return {};
  v1::AgentFrame frame;
  v1::PartRequest& request = *frame.mutable_part_request();
  request.set_sha256(std::string(base::AsText(writer_->sha256().view())));
  request.set_offset(writer_->received());
  if (WantsDelta()) {
    request.set_held_sha256(std::string(base::AsText(policy_.held_lists()->view())));
    delta_ = Delta::kAsked;
  }
  channel_->Send(frame);
  return {};
}

bool BundleFetch::WantsDelta() const {
  return delta_ != Delta::kNoMore && missing_.front().kind == wire::PartKind::kLists &&
         writer_->received() == 0 && policy_.held_lists().has_value();
}

base::Status BundleFetch::OnDelta(const std::string& delta) {
  if (delta_ != Delta::kAsked) return {};
  delta_ = Delta::kNoMore;
  const auto part = policy_.ApplyDelta(missing_.front(), base::AsBytes(delta));
  if (!part.has_value()) {
    logging::Warning("sync",
                     "the lists are fetched whole, because what the server says has changed "
                     "of them can't be used: " +
                         part.error().message());
    return Request();
  }
  WM_RETURN_IF_ERROR(writer_->Append(base::AsText(*part)));
  return FinishPart();
}

base::Status BundleFetch::OnChunk(const v1::PartChunk& chunk) {
  // Answers to what is not wanted any more may still be under way, and may come twice.
  if (writer_ == nullptr || !bundle_.has_value()) return {};
  if (chunk.sha256() != base::AsText(writer_->sha256().view())) return {};
  if (!chunk.delta().empty()) return OnDelta(chunk.delta());
  if (chunk.data().empty()) return GiveUp("the server does not have a part of this bundle");
  if (chunk.offset() < writer_->received()) return {};
  if (chunk.offset() > writer_->received()) {
    return base::FailedPrecondition("the server sent a part of a policy with a hole in it");
  }
  if (chunk.total_bytes() != writer_->size_bytes() ||
      chunk.data().size() > writer_->size_bytes() - writer_->received()) {
    return GiveUp("a part of this bundle has another length than its manifest says");
  }
  delta_ = Delta::kNoMore;
  WM_RETURN_IF_ERROR(writer_->Append(chunk.data()));
  return writer_->complete() ? FinishPart() : Request();
}

base::Status BundleFetch::FinishPart() {
  base::Status committed = writer_->Commit();
  writer_.reset();
  if (!committed.has_value()) {
    if (committed.error().code() == base::ErrorCode::kDataLoss) {
      return GiveUp(committed.error().message());
    }
    return committed;
  }
  missing_.pop_front();
  return FetchNext();
}

base::Status BundleFetch::GiveUp(const std::string& detail) {
  writer_.reset();
  missing_.clear();
  const wire::SignedDocument bundle = std::move(bundle_->bundle);
  bundle_.reset();
  return policy_.RefuseForPart(bundle, detail);
}

base::Status BundleFetch::Apply() {
  writer_.reset();
  const wire::SignedDocument bundle = std::move(bundle_->bundle);
  bundle_.reset();
  return policy_.Apply(bundle, [] {});
}

void BundleFetch::TakeNext() {
  Offered offered = std::move(*next_);
  next_.reset();
  if (const auto taken = Take(std::move(offered)); !taken.has_value()) on_error_(taken.error());
}

void BundleFetch::End() {
  channel_ = nullptr;
  bundle_.reset();
  missing_.clear();
}

}  // namespace weighmaster::agent::sync
