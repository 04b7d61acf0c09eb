#include "server/rollout/lists_deltas.h"

#include <algorithm>
#include <utility>

#include "policy/base/limits.h"
#include "policy/model/lists/lists_delta.h"
#include "server/rollout/whole_part.h"

namespace weighmaster::server::rollout {

namespace limits = base::limits;

std::shared_ptr<const std::string> ListsDeltas::Find(const model::Sha256& from,
                                                     const model::Sha256& to) {
  const auto known = std::ranges::find_if(
      known_, [&](const Known& other) { return other.from == from && other.to == to; });
  if (known != known_.end()) {
    std::rotate(known_.begin(), known, known + 1);
    return known_.front().delta;
  }
  auto made = Make(from, to);
  if (!made.has_value()) return nullptr;
  if (known_.size() == limits::kMaxListsDeltasKept) known_.pop_back();
  known_.push_front({from, to, *std::move(made)});
  return known_.front().delta;
}

base::Result<std::shared_ptr<const std::string>> ListsDeltas::Make(const model::Sha256& from,
                                                                   const model::Sha256& to) {
  WM_ASSIGN_OR_RETURN(const std::string before, ReadWholePart(queries_, from));
  WM_ASSIGN_OR_RETURN(const std::string after, ReadWholePart(queries_, to));
  const std::size_t most = std::min(limits::kMaxListsDeltaBytes, after.size());
  const auto delta = model::EncodeListsDelta(base::AsBytes(before), base::AsBytes(after), most);
  if (!delta.has_value()) return std::shared_ptr<const std::string>();
  return std::make_shared<const std::string>(base::AsText(*delta));
}

}  // namespace weighmaster::server::rollout
