#include "agent/weights/weights_hasher.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "policy/base/limits.h"

namespace weighmaster::agent::weights {
namespace {

using base::Result;
using base::Status;
using formats::Tensor;
using formats::TensorMap;

constexpr std::string_view kTensorTag = "weighmaster wd1 tensor\n";
constexpr std::string_view kModelTag = "weighmaster wd1 model\n";
constexpr std::uint8_t kStateVersion = 1;

void AppendLittle(base::Bytes& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

// What the digest of a tensor begins with, before its elements.
base::Bytes TensorHead(const Tensor& tensor, std::uint64_t bytes) {
  base::Bytes head(kTensorTag.begin(), kTensorTag.end());
  head.push_back(static_cast<std::uint8_t>(tensor.type->name.size()));
  head.insert(head.end(), tensor.type->name.begin(), tensor.type->name.end());
  AppendLittle(head, tensor.dims.size(), 4);
  for (const std::uint64_t extent : tensor.dims) AppendLittle(head, extent, 8);
  AppendLittle(head, bytes, 8);
  return head;
}

}  // namespace

// Reads what Serialise has written; a field that is not there gives nothing.
class WeightsHasher::StateReader {
 public:
  explicit StateReader(base::ByteView bytes) : rest_(bytes) {}

  std::optional<std::uint64_t> Number() {
    const auto bytes = Bytes(8);
    if (!bytes.has_value()) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 8; i-- > 0;) value = (value << 8) | (*bytes)[i];
    return value;
  }
  std::optional<base::ByteView> Bytes(std::uint64_t count) {
    if (count > rest_.size()) {
      rest_ = {};  // nothing that follows is there either
      return std::nullopt;
    }
    const base::ByteView taken = rest_.first(static_cast<std::size_t>(count));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  bool at_end() const { return rest_.empty(); }

 private:
  base::ByteView rest_;
};

model::Sha256 WeightsDigestOf(std::vector<TensorDigest> tensors) {
  std::sort(tensors.begin(), tensors.end());
  openssl::ResumableSha256 hasher;
  base::Bytes head(kModelTag.begin(), kModelTag.end());
  AppendLittle(head, tensors.size(), 8);
  hasher.Update(head);
  for (const TensorDigest& tensor : tensors) hasher.Update(tensor.digest.view());
  return hasher.Finish();
}

model::WeightsReason CheckWork(const TensorMap& map, std::uint64_t file_bytes) {
  constexpr std::uint64_t kFree = 256 * base::limits::kMiB;
  constexpr std::uint64_t kMost = 16 * base::limits::kGiB;
  std::uint64_t work = 0;
  for (std::size_t i = 0; i < map.size(); ++i) {
    if (map.IsInOrderAt(i)) continue;
    const auto more = OutOfOrderWork(map.At(i));
    if (!more.has_value() || __builtin_add_overflow(work, *more, &work) || work > kMost ||
        (work > kFree && (work - kFree) / 4 > file_bytes)) {
      return model::WeightsReason::kRepeats;
    }
  }
  return model::WeightsReason::kNone;
}

WeightsHasher::WeightsHasher(TensorMap map) : map_(std::move(map)) {
  openssl::ResumableSha256 hasher;
  for (std::size_t i = 0; i < map_.size(); ++i) {
    base::Bytes place;
    AppendLittle(place, map_.BeginAt(i), 8);
    AppendLittle(place, map_.EndAt(i), 8);
    hasher.Update(place);
    hasher.Update(TensorHead(map_.At(i), map_.BytesAt(i)));
  }
  map_digest_ = hasher.Finish();
}

openssl::ResumableSha256 WeightsHasher::Begin(std::size_t index) const {
  openssl::ResumableSha256 hasher;
  hasher.Update(TensorHead(map_.At(index), map_.BytesAt(index)));
  return hasher;
}

std::size_t WeightsHasher::held_bytes() const {
  return map_.held_bytes() + done_.capacity() * sizeof(TensorDigest) +
         open_.capacity() * sizeof(Open);
}

void WeightsHasher::OpenUntil(std::uint64_t end) {
  for (; next_ < map_.size() && map_.BeginAt(next_) < end; ++next_) {
    if (map_.IsInOrderAt(next_)) open_.push_back({next_, Begin(next_)});
  }
}

void WeightsHasher::Close(Open& open) {
  done_.push_back({open.hasher.Finish(), map_.BytesAt(open.index)});
}

void WeightsHasher::Update(base::ByteView bytes) {
  const std::uint64_t begin = at_;
  at_ += bytes.size();
  OpenUntil(at_);
  for (Open& open : open_) {
    const std::uint64_t from = std::max(begin, map_.BeginAt(open.index));
    const std::uint64_t to = std::min(at_, map_.EndAt(open.index));
    open.hasher.Update(
        bytes.subspan(static_cast<std::size_t>(from - begin), static_cast<std::size_t>(to - from)));
    if (to == map_.EndAt(open.index)) Close(open);
  }
  std::erase_if(open_, [this](const Open& open) { return map_.EndAt(open.index) <= at_; });
}

Result<std::vector<TensorDigest>> WeightsHasher::Finish(const ReadAt& read) && {
  for (std::size_t i = 0; i < map_.size(); ++i) {
    if (map_.IsInOrderAt(i)) continue;
    openssl::ResumableSha256 hasher = Begin(i);
    WM_RETURN_IF_ERROR(ReadOutOfOrder(map_.At(i), read,
                                      [&hasher](base::ByteView piece) { hasher.Update(piece); }));
    done_.push_back({hasher.Finish(), map_.BytesAt(i)});
  }
  return std::move(done_);
}

base::Bytes WeightsHasher::Serialise() const {
  base::Bytes out = {kStateVersion};
  out.insert(out.end(), map_digest_.bytes.begin(), map_digest_.bytes.end());
  AppendLittle(out, at_, 8);
  AppendLittle(out, next_, 8);
  AppendLittle(out, open_.size(), 8);
  for (const Open& open : open_) {
    const base::Bytes state = open.hasher.Serialise();
    AppendLittle(out, open.index, 8);
    AppendLittle(out, state.size(), 8);
    out.insert(out.end(), state.begin(), state.end());
  }
  AppendLittle(out, done_.size(), 8);
  for (const TensorDigest& tensor : done_) {
    out.insert(out.end(), tensor.digest.bytes.begin(), tensor.digest.bytes.end());
    AppendLittle(out, tensor.bytes, 8);
  }
  return out;
}

Result<WeightsHasher> WeightsHasher::Restore(TensorMap map, base::ByteView state) {
  WeightsHasher hasher(std::move(map));
  StateReader reader(state);
  if (!hasher.Take(reader)) {
    return base::InvalidArgument("this is no state of hashing these tensors");
  }
  return hasher;
}

bool WeightsHasher::Take(StateReader& reader) {
  const auto version = reader.Bytes(1);
  const auto map_digest = reader.Bytes(model::Sha256::kBytes);
  const auto at = reader.Number();
  const auto next = reader.Number();
  const auto open_count = reader.Number();
  if (!map_digest.has_value() || !open_count.has_value() || (*version)[0] != kStateVersion ||
      *next > map_.size() || !std::ranges::equal(*map_digest, map_digest_.bytes)) {
    return false;
  }
  at_ = *at;
  next_ = static_cast<std::size_t>(*next);
  for (std::uint64_t i = 0; i < *open_count; ++i) {
    const auto index = reader.Number();
    const auto length = reader.Number();
    if (!length.has_value() || *index >= *next) return false;
    const auto bytes = reader.Bytes(*length);
    if (!bytes.has_value()) return false;
    auto hasher = openssl::ResumableSha256::Restore(*bytes);
    if (!hasher.has_value()) return false;
    open_.push_back({static_cast<std::size_t>(*index), *std::move(hasher)});
  }
  const auto done_count = reader.Number();
  if (!done_count.has_value() || *done_count > *next) return false;
  for (std::uint64_t i = 0; i < *done_count; ++i) {
    const auto digest = reader.Bytes(model::Sha256::kBytes);
    const auto bytes = reader.Number();
    if (!digest.has_value() || !bytes.has_value()) return false;
    TensorDigest& tensor = done_.emplace_back();
    std::ranges::copy(*digest, tensor.digest.bytes.begin());
    tensor.bytes = *bytes;
  }
  return reader.at_end() && HoldsTogether();
}

bool WeightsHasher::HoldsTogether() const {
  std::size_t done = 0;
  std::size_t open = 0;
  for (std::size_t i = 0; i < next_; ++i) {
    if (map_.BeginAt(i) >= at_) return false;
    if (!map_.IsInOrderAt(i)) continue;
    if (map_.EndAt(i) <= at_) {
      ++done;
      continue;
    }
    const std::uint64_t head = TensorHead(map_.At(i), map_.BytesAt(i)).size();
    if (open == open_.size() || open_[open].index != i ||
        open_[open].hasher.size() != head + at_ - map_.BeginAt(i)) {
      return false;
    }
    ++open;
  }
  return done == done_.size() && open == open_.size() &&
         (next_ == map_.size() || map_.BeginAt(next_) >= at_);
}

}  // namespace weighmaster::agent::weights
