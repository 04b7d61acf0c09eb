#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "agent/formats/reading/cursor.h"
#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {

enum class Compression : std::uint8_t {
  kNone,
  kZlib,   // RFC 1950
  kGzip,   // RFC 1952
  kBzip2,  // https://sourceware.org/bzip2/
  kXz,     // https://tukaani.org/xz/xz-file-format.txt
  kLzma,   // .lzma, the form before xz
  kLz4,    // a frame; recognised only
  kZstd,   // RFC 8878; recognised only
};

// By the marks of a stream's header.
Compression CompressionOf(base::ByteView head);

// How many of the first bytes of a stream's content show in its head; they are written to `out`, as
// many as it holds, which should be few. Of deflate that is all, of LZMA the first, of bzip2 none.
// 0: the stream is broken. Nothing: it does not show, or lies in a stream behind an empty one.
// Walks over the first 4 KiB of `head` only, within their bounds, and allocates nothing, so it may
// run outside the cage.
std::optional<std::size_t> FirstBytes(base::ByteView head, Compression compression,
                                      std::span<std::uint8_t> out);

enum class UnpackedEnd : std::uint8_t {
  kWhole,         // of the stream and of those of its kind that follow it at once
  kMost,          // there may be more than was asked for
  kBroken,        // the stream breaks off or its rules
  kTooMuchSpace,  // it asks for more memory than a decoder is given
  kNoDecoder,     // LZ4 and Zstandard
};

struct Unpacked {
  base::Bytes bytes;
  UnpackedEnd end = UnpackedEnd::kNoDecoder;
};

// The first `most` bytes of the content of the stream at the cursor, which stands behind what was
// used of it afterwards. What came out before the stream broke is kept. What is allocated follows
// what came out, but for a decoder's own tables: at most 72 MiB, for LZMA.
Unpacked Unpack(Cursor& cursor, Compression compression, std::size_t most);

}  // namespace weighmaster::agent::formats
