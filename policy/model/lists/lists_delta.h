#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "policy/base/bytes.h"
#include "policy/base/result.h"

namespace weighmaster::model {

// What leads from one encoded `lists` part to another: of each list the records removed and those
// added. docs/formats/policy-lists-delta.md is the specification. A delta is not signed: whoever
// applies one compares the SHA-256 of what comes out with that of the part that is wanted.

// Nothing when there is none of at most `most_bytes`: it would be longer, one of the parts can't be
// read, or a list that differs is not sorted or has records of another size.
std::optional<base::Bytes> EncodeListsDelta(base::ByteView from, base::ByteView to,
                                            std::size_t most_bytes);

// The part that `delta` leads to, which must have `size_bytes`. INVALID_ARGUMENT: it can't be read,
// removes what is not there, adds what is, or leads to another size. No more is allocated than both
// parts hold.
base::Result<base::Bytes> ApplyListsDelta(base::ByteView from, base::ByteView delta,
                                          std::uint64_t size_bytes);

}  // namespace weighmaster::model
