#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "policy/base/bytes.h"
#include "policy/base/result.h"

namespace weighmaster::model {

// The container of docs/formats/policy-lists.md, whatever the lists mean: kinds with records of a
// fixed size each. DigestListsView reads the kinds that this build knows out of it; a delta
// carries all of them.

struct EncodedList {
  std::uint32_t kind = 0;
  std::uint32_t record_bytes = 0;
  base::ByteView records;  // a whole number of them

  std::size_t count() const { return records.size() / record_bytes; }
  base::ByteView record(std::size_t n) const {
    return records.subspan(n * record_bytes, record_bytes);
  }
};

// By kind, ascending. INVALID_ARGUMENT: the table breaks a rule of the specification. What only
// known kinds must keep (the size of a record, the order) is not looked at. The views are into
// `bytes`.
base::Result<std::vector<EncodedList>> ReadEncodedLists(base::ByteView bytes);

// Whether each record is greater than the one before it, as bytes compare.
bool IsStrictlyAscending(const EncodedList& list);

// What stands before the first record.
struct ListShape {
  std::uint32_t kind = 0;
  std::uint32_t record_bytes = 0;
  std::uint64_t count = 0;
};
std::size_t EncodedListsHeadBytes(std::size_t lists);
void AppendEncodedListsHead(base::Bytes& out, std::span<const ListShape> lists);

}  // namespace weighmaster::model
