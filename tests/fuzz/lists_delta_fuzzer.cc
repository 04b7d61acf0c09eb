// A delta of lists, as a server sends it: whatever can be applied leads to lists that can be read,
// and the delta that this build makes leads from the same lists to the same.
//
// An input is the length of the lists (four bytes, little-endian), the lists, and the delta.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "policy/base/check.h"
#include "policy/model/lists/encoded_lists.h"
#include "policy/model/lists/lists_delta.h"
#include "policy/model/lists/little_endian.h"

namespace {

using weighmaster::base::ByteView;

// The size that a delta leads to is not known to this fuzzer, so it is taken from the tables.
std::uint64_t SizeAfter(ByteView from, ByteView delta) {
  namespace model = weighmaster::model;
  const auto lists = model::ReadEncodedLists(from);
  if (!lists.has_value() || delta.size() < 16) return 0;
  const auto count = model::ReadInteger<std::uint32_t>(delta, 8);
  if (count > (delta.size() - 16) / 24) return 0;
  std::uint64_t size = model::EncodedListsHeadBytes(count);
  for (std::size_t at = 16; at < 16 + std::size_t{count} * 24; at += 24) {
    const std::uint64_t record_bytes = model::ReadInteger<std::uint32_t>(delta, at + 4);
    std::uint64_t records = model::ReadInteger<std::uint64_t>(delta, at + 16) -
                            model::ReadInteger<std::uint64_t>(delta, at + 8);
    for (const model::EncodedList& list : *lists) {
      if (list.kind == model::ReadInteger<std::uint32_t>(delta, at)) records += list.count();
    }
    size += records * record_bytes;
  }
  return size;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weighmaster;  // NOLINT(google-build-using-namespace): one function
  const ByteView input(data, size);
  if (size < 4) return 0;
  const std::size_t length =
      std::min<std::size_t>(model::ReadInteger<std::uint32_t>(input, 0), size - 4);
  const ByteView from = input.subspan(4, length);
  const ByteView delta = input.subspan(4 + length);
  const auto made = model::ApplyListsDelta(from, delta, SizeAfter(from, delta));
  if (!made.has_value()) return 0;
  WM_CHECK(made->size() <= from.size() + delta.size() + 24 * std::size_t{64} + 16);
  if (!model::ReadEncodedLists(*made).has_value()) return 0;
  const auto again = model::EncodeListsDelta(from, *made, SIZE_MAX);
  if (!again.has_value()) return 0;
  const auto same = model::ApplyListsDelta(from, *again, made->size());
  WM_CHECK(same.has_value() && *same == *made);
  return 0;
}
