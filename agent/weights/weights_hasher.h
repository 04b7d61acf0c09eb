#pragma once

#include <cstdint>
#include <vector>

#include "agent/formats/tensors/tensor_map.h"
#include "agent/weights/out_of_order.h"
#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "policy/model/weights.h"
#include "third_party/openssl/resumable_sha256.h"

namespace weighmaster::agent::weights {

struct TensorDigest {
  model::Sha256 digest;
  std::uint64_t bytes = 0;  // of the tensor's elements
  friend auto operator<=>(const TensorDigest&, const TensorDigest&) = default;
};

// The weights digest wd1 of all tensors of a model, whatever their order; at least one.
// docs/formats/weights-digest.md
model::Sha256 WeightsDigestOf(std::vector<TensorDigest> tensors);

// Whether all tensors of a map can be hashed for a price that is in proportion to the file; kNone
// if so. A few views that lie across a file are; a million of them are not.
model::WeightsReason CheckWork(const formats::TensorMap& map, std::uint64_t file_bytes);

// Gives the digest of each tensor of a file while the file is read once from its first byte to its
// last; tensors that do not lie there in their order are read once more at the end. Its state can
// be put away between two pieces and taken up by another process. A value with one owner.
class WeightsHasher {
 public:
  // A map whose reason is kNone.
  explicit WeightsHasher(formats::TensorMap map);

  // The bytes that follow those before.
  void Update(base::ByteView bytes);
  // How many there were.
  std::uint64_t size() const { return at_; }
  // The memory that it takes, about.
  std::size_t held_bytes() const;

  // After the last byte: every tensor, in no order. Errors are those of `read`.
  base::Result<std::vector<TensorDigest>> Finish(const ReadAt& read) &&;

  // All that was hashed so far, without the map.
  base::Bytes Serialise() const;
  // The same map again. INVALID_ARGUMENT when the bytes are no such state, or of another map.
  static base::Result<WeightsHasher> Restore(formats::TensorMap map, base::ByteView state);

 private:
  // A tensor of which some bytes have come.
  struct Open {
    std::size_t index = 0;
    openssl::ResumableSha256 hasher;
  };

  class StateReader;

  openssl::ResumableSha256 Begin(std::size_t index) const;
  // Begins those whose first byte comes before `end`.
  void OpenUntil(std::uint64_t end);
  void Close(Open& open);
  bool Take(StateReader& reader);
  // Whether what was restored is what hashing so many bytes leaves.
  bool HoldsTogether() const;

  // Constant after construction.
  formats::TensorMap map_;
  model::Sha256 map_digest_;  // of what the tensors are and where they lie

  std::uint64_t at_ = 0;
  std::size_t next_ = 0;  // the first tensor that has not begun
  std::vector<Open> open_;
  std::vector<TensorDigest> done_;
};

}  // namespace weighmaster::agent::weights
