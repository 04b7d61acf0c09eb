#include "agent/sync/batch_pump.h"

#include <algorithm>
#include <optional>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::agent::sync {

base::Result<BatchPump::Next> BatchPump::Begin(wire::AgentChannel& channel,
                                               const v1::ChainHead& server_head) {
  const model::Id& chain = journal_.head().chain;
  const bool knows_our_chain =
      server_head.number() > 0 && server_head.chain_id() == base::AsText(chain.view());
  const std::uint64_t number = knows_our_chain ? server_head.number() : 0;
  if (number > 0) {
    WM_ASSIGN_OR_RETURN(const model::Sha256 digest,
                        model::Sha256FromBytes(base::AsBytes(server_head.header_digest())));
    WM_ASSIGN_OR_RETURN(const journal::Knowledge knowledge, journal_.Knows(number, digest));
    if (knowledge == journal::Knowledge::kForeign) {
      return StartChain(model::ChainReason::kHeadUnknown, journal_.acknowledged_number());
    }
  }
  WM_ASSIGN_OR_RETURN(const std::uint64_t oldest, journal_.OldestKept());
  if (number + 1 < oldest) return StartChain(model::ChainReason::kCannotRefill, number);
  const bool acknowledged = number <= journal_.acknowledged_number();
  channel_ = &channel;
  paused_ = false;
  resends_ = 0;
  SendFrom(acknowledged ? number + 1 : number);
  return Next::kGoOn;
}

base::Result<BatchPump::Next> BatchPump::StartChain(model::ChainReason reason,
                                                    std::uint64_t told_up_to) {
  WM_RETURN_IF_ERROR(events_.StartChain(reason, told_up_to));
  channel_ = nullptr;
  return Next::kSayHelloAgain;
}

void BatchPump::SendFrom(std::uint64_t number) {
  sent_ = number - 1;
  answered_ = number - 1;
}

base::Status BatchPump::Send() {
  blocked_ = false;
  while (channel_ != nullptr && !paused_ && sent_ < journal_.head().number &&
         sent_ - answered_ < base::limits::kMaxBatchesInFlight) {
    if (channel_->queued() >= base::limits::kMaxQueuedBatches) {
      blocked_ = true;
      return {};
    }
    WM_ASSIGN_OR_RETURN(const std::optional<wire::SealedBatch> batch, journal_.Read(sent_ + 1));
    if (!batch.has_value()) {
      return base::FailedPrecondition("batch " + std::to_string(sent_ + 1) + " is not kept");
    }
    v1::AgentFrame frame;
    wire::ToProto(*batch, *frame.mutable_batch());
    channel_->Send(frame);
    ++sent_;
  }
  return {};
}

base::Result<base::WallTime> BatchPump::OnAcknowledgement(const v1::SignedAcknowledgement& frame,
                                                          const wire::Root& root,
                                                          const model::Id& lineage) {
  WM_ASSIGN_OR_RETURN(const wire::SignedDocument document, wire::FromProto(frame));
  WM_ASSIGN_OR_RETURN(const wire::Acknowledgement acknowledgement,
                      wire::VerifyAcknowledgement(document, root));
  if (acknowledgement.lineage != lineage) {
    return base::FailedPrecondition(
        "the acknowledgement is of another lineage of the server's store than this stream");
  }
  const base::Status noted = journal_.Acknowledge(acknowledgement.chain, acknowledgement.number,
                                                  acknowledgement.header_digest);
  if (!noted.has_value() && noted.error().code() == base::ErrorCode::kFailedPrecondition) {
    return noted.error();
  }
  answered_ = std::max(answered_, acknowledgement.number);
  sent_ = std::max(sent_, answered_);
  resends_ = 0;
  return acknowledgement.server_time;
}

base::Result<BatchPump::Next> BatchPump::OnResend(const v1::Resend& frame) {
  if (frame.chain_id() != base::AsText(journal_.head().chain.view())) return Next::kGoOn;
  const std::uint64_t number = frame.number();
  if (number == 0 || number > journal_.head().number) {
    return base::FailedPrecondition("the server asks for batch " + std::to_string(number) +
                                    ", which does not exist");
  }
  if (++resends_ > base::limits::kMaxResends) {
    return base::FailedPrecondition("the server asks for the same batches again and again");
  }
  WM_ASSIGN_OR_RETURN(const std::uint64_t oldest, journal_.OldestKept());
  if (number < oldest) return StartChain(model::ChainReason::kCannotRefill, number - 1);
  SendFrom(number);
  return Next::kGoOn;
}

void BatchPump::OnRefused(const v1::BatchRefused& frame) {
  const bool ours = frame.chain_id() == base::AsText(journal_.head().chain.view()) &&
                    frame.number() > answered_ && frame.number() <= sent_;
  SendFrom(ours ? frame.number() : answered_ + 1);
  paused_ = true;
}

}  // namespace weighmaster::agent::sync
