#include "agent/formats/archive/compressed_stream.h"

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <string_view>
#include <utility>

#include "policy/base/limits.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::size_t kStep = 64 * base::limits::kKiB;
constexpr std::size_t kInStep = 1 * base::limits::kKiB;
// What the highest preset of xz needs for its dictionary of 64 MiB, and a little.
constexpr std::uint64_t kMaxLzmaMemory = 72 * base::limits::kMiB;
// The largest block of bzip2, which is decoded whole before its first byte comes out.
constexpr std::uint64_t kBzip2BlockBytes = 900'000;
constexpr std::size_t kHeadRead = 4 * base::limits::kKiB;  // by FirstBytes
constexpr std::size_t kMarkBytes = 18;                     // what CompressionOf wants at most

constexpr std::size_t kGzipHeaderBytes = 10;
constexpr std::size_t kXzHeaderBytes = 12;
constexpr std::size_t kLzmaHeaderBytes = 13;

std::uint64_t Little(base::ByteView bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = (value << 8) | bytes[i];
  return value;
}

// As liblzma's own detection, which Python's uses: a dictionary of 2^n or 2^n + 2^(n-1) bytes, and
// a length that is unknown or below 256 GiB. The first byte of a range coder is 0.
bool IsLzmaAlone(base::ByteView head) {
  if (head.size() <= kLzmaHeaderBytes || head[0] != 0x5d || head[kLzmaHeaderBytes] != 0) {
    return false;
  }
  const std::uint64_t dictionary = Little(head.subspan(1, 4));
  const std::uint64_t length = Little(head.subspan(5, 8));
  const int bits = std::popcount(dictionary);
  const bool neighbours = bits == 2 && (dictionary & (dictionary >> 1)) != 0;
  return (bits == 1 || neighbours || dictionary == 0xffffffff) &&
         (length == ~std::uint64_t{0} || length < (std::uint64_t{1} << 38));
}

// --- What shows in the head ---

// The bits of a deflate stream, each byte's lowest first. Past the end they are 0.
class BitReader {
 public:
  explicit BitReader(base::ByteView bytes) : bytes_(bytes) {}

  bool ended() const { return ended_; }
  std::uint32_t Bits(std::size_t count) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value |= Bit() << i;
    return value;
  }
  std::uint32_t Bit() {
    if (at_ / 8 >= bytes_.size()) {
      ended_ = true;
      return 0;
    }
    const std::uint32_t bit = (std::uint32_t{bytes_[at_ / 8]} >> (at_ % 8)) & 1U;
    ++at_;
    return bit;
  }
  void Align() { at_ = (at_ + 7) / 8 * 8; }

 private:
  base::ByteView bytes_;
  std::size_t at_ = 0;  // in bits
  bool ended_ = false;
};

// A canonical Huffman code, RFC 1951 section 3.2.2: the symbols in the order of their codes, and
// how many there are of each length.
class HuffmanCode {
 public:
  static constexpr std::size_t kMaxBits = 15;
  static constexpr std::size_t kMaxSymbols = 288;

  // False where the lengths make no code. One that is not complete is let pass.
  bool Assign(std::span<const std::uint8_t> lengths) {
    counts_ = {};
    for (const std::uint8_t length : lengths) ++counts_[length];
    counts_[0] = 0;
    std::array<std::size_t, kMaxBits + 2> next{};
    std::int32_t left = 1;
    for (std::size_t bits = 1; bits <= kMaxBits; ++bits) {
      left = 2 * left - static_cast<std::int32_t>(counts_[bits]);
      if (left < 0) return false;
      next[bits + 1] = next[bits] + counts_[bits];
    }
    for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
      if (lengths[symbol] != 0) {
        symbols_[next[lengths[symbol]]++] = static_cast<std::uint16_t>(symbol);
      }
    }
    return true;
  }

  // Nothing where no symbol has the code.
  std::optional<std::size_t> Read(BitReader& bits) const {
    std::uint32_t code = 0;
    std::uint32_t first = 0;  // the lowest code of the length, and its place among the symbols
    std::size_t place = 0;
    for (std::size_t length = 1; length <= kMaxBits; ++length) {
      code = (code << 1) | bits.Bit();
      first <<= 1;
      if (code - first < counts_[length]) return symbols_[place + (code - first)];
      place += counts_[length];
      first += counts_[length];
    }
    return std::nullopt;
  }

 private:
  std::array<std::uint32_t, kMaxBits + 1> counts_{};
  std::array<std::uint16_t, kMaxSymbols> symbols_{};
};

// The content with which a deflate stream begins, no more than `out` holds: RFC 1951.
class DeflateStart {
 public:
  DeflateStart(base::ByteView stream, std::span<std::uint8_t> out) : bits_(stream), out_(out) {}

  std::optional<std::size_t> Read() {
    State state = State::kOn;
    while (state == State::kOn) state = ReadBlock();
    if (count_ > 0) return count_;
    return bits_.ended() || empty_ ? std::nullopt : std::optional<std::size_t>(0);
  }

 private:
  enum class State : std::uint8_t { kOn, kDone };

  State ReadBlock() {
    const bool last = bits_.Bit() == 1;
    const std::uint32_t kind = bits_.Bits(2);
    bool on = false;
    if (kind == 0) on = ReadStored();
    if (kind == 1) on = AssignFixed() && ReadSymbols();
    if (kind == 2) on = AssignDynamic() && ReadSymbols();
    empty_ = on && last && count_ == 0;
    return on && !last && !bits_.ended() ? State::kOn : State::kDone;
  }

  // These say whether the stream goes on behind the block.
  bool ReadStored() {
    bits_.Align();
    const std::uint32_t length = bits_.Bits(16);
    if (bits_.Bits(16) != (length ^ 0xffffU)) return false;
    for (std::uint32_t i = 0; i < length; ++i) {
      if (!Put(bits_.Bits(8))) return false;
    }
    return true;
  }

  bool ReadSymbols() {
    constexpr std::size_t kEnd = 256;
    while (true) {
      const auto symbol = literals_.Read(bits_);
      if (!symbol.has_value() || bits_.ended()) return false;
      if (*symbol == kEnd) return true;
      const bool on = *symbol < kEnd ? Put(static_cast<std::uint32_t>(*symbol))
                                     : Repeat(static_cast<std::uint32_t>(*symbol - kEnd - 1));
      if (!on) return false;
    }
  }

  // Section 3.2.5: lengths and distances come in groups, which get longer by the bits that follow.
  bool Repeat(std::uint32_t symbol) {
    constexpr std::uint32_t kLongest = 28;
    if (symbol > kLongest) return false;
    const std::uint32_t more = symbol < 8 || symbol == kLongest ? 0 : symbol / 4 - 1;
    const std::uint32_t length = symbol == kLongest ? 258
                                 : symbol < 8       ? symbol + 3
                                                    : ((4 + symbol % 4) << more) + 3;
    std::uint32_t left = length + bits_.Bits(more);
    const auto far = distances_.Read(bits_);
    if (!far.has_value() || *far > 29) return false;
    const auto group = static_cast<std::uint32_t>(*far);
    const std::uint32_t bits = group < 4 ? 0 : group / 2 - 1;
    std::uint32_t distance = group < 4 ? group + 1 : ((2 + group % 2) << bits) + 1;
    distance += bits_.Bits(bits);
    if (distance > count_) return false;
    for (; left > 0; --left) {
      if (!Put(out_[count_ - distance])) return false;
    }
    return true;
  }

  bool Put(std::uint32_t byte) {
    if (bits_.ended() || count_ == out_.size()) return false;
    out_[count_++] = static_cast<std::uint8_t>(byte);
    return count_ < out_.size();
  }

  bool AssignFixed() {
    std::array<std::uint8_t, HuffmanCode::kMaxSymbols> lengths{};
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      lengths[i] = i < 144 || i >= 280 ? 8 : i < 256 ? 9 : 7;
    }
    std::array<std::uint8_t, 30> distances{};
    distances.fill(5);
    return literals_.Assign(lengths) && distances_.Assign(distances);
  }

  bool AssignDynamic() {
    constexpr std::array<std::uint8_t, 19> kOrder = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                     11, 4,  12, 3, 13, 2, 14, 1, 15};
    const std::size_t literals = bits_.Bits(5) + 257;
    const std::size_t distances = bits_.Bits(5) + 1;
    const std::size_t own = bits_.Bits(4) + 4;
    std::array<std::uint8_t, kOrder.size()> own_lengths{};
    for (std::size_t i = 0; i < own; ++i) {
      own_lengths[kOrder[i]] = static_cast<std::uint8_t>(bits_.Bits(3));
    }
    if (literals > 286 || !literals_.Assign(own_lengths)) return false;
    std::array<std::uint8_t, 286 + 32> lengths{};
    std::size_t count = 0;
    while (count < literals + distances) {
      const auto symbol = literals_.Read(bits_);
      if (!symbol.has_value() || bits_.ended()) return false;
      std::size_t repeat = 1;
      std::uint8_t length = 0;
      if (*symbol < 16) length = static_cast<std::uint8_t>(*symbol);
      if (*symbol == 16) {
        if (count == 0) return false;
        length = lengths[count - 1];
        repeat = 3 + bits_.Bits(2);
      }
      if (*symbol == 17) repeat = 3 + bits_.Bits(3);
      if (*symbol == 18) repeat = 11 + bits_.Bits(7);
      if (repeat > literals + distances - count) return false;
      std::fill_n(lengths.begin() + static_cast<std::ptrdiff_t>(count), repeat, length);
      count += repeat;
    }
    return literals_.Assign(std::span(lengths).first(literals)) &&
           distances_.Assign(std::span(lengths).subspan(literals, distances));
  }

  BitReader bits_;
  std::span<std::uint8_t> out_;
  std::size_t count_ = 0;
  bool empty_ = false;    // it ended, and another may follow
  HuffmanCode literals_;  // and lengths
  HuffmanCode distances_;
};

// Where the deflate stream of a gzip member begins; nothing where that lies behind the head.
std::optional<std::size_t> GzipHeaderBytes(base::ByteView head) {
  constexpr std::uint8_t kHeaderChecksum = 2;
  constexpr std::uint8_t kExtra = 4;
  constexpr std::uint8_t kName = 8;
  constexpr std::uint8_t kComment = 16;
  std::size_t at = kGzipHeaderBytes;
  if (head.size() < at + 2) return std::nullopt;
  const std::uint8_t flags = head[3];
  if ((flags & kExtra) != 0) at += 2 + static_cast<std::size_t>(Little(head.subspan(at, 2)));
  for (const std::uint8_t text : {kName, kComment}) {
    if ((flags & text) == 0) continue;
    while (at < head.size() && head[at] != 0) ++at;
    ++at;
  }
  if ((flags & kHeaderChecksum) != 0) at += 2;
  return at < head.size() ? std::optional(at) : std::nullopt;
}

// The first byte that an LZMA stream holds. It can't be but a literal, and no probability was moved
// yet, so that each of its bits halves the range.
std::optional<std::size_t> FirstLzmaByte(base::ByteView coded, std::span<std::uint8_t> out) {
  constexpr std::size_t kBytesUsed = 6;
  if (coded.size() < kBytesUsed || out.empty()) return std::nullopt;
  if (coded[0] != 0) return 0;
  std::uint32_t code = 0;
  std::uint32_t range = 0xffffffff;
  for (std::size_t i = 1; i < 5; ++i) code = (code << 8) | coded[i];
  std::size_t next = 5;
  const auto bit = [&] {
    if (range < (1U << 24)) {
      range <<= 8;
      code = (code << 8) | coded[next++];
    }
    const std::uint32_t half = (range >> 11) * 1'024;
    const bool set = code >= half;
    code -= set ? half : 0;
    range = set ? range - half : half;
    return std::uint32_t{set};
  };
  if (bit() != 0) return std::nullopt;  // the mark of the end, or a repetition of nothing
  std::uint32_t literal = 1;
  while (literal < 0x100) literal = (literal << 1) | bit();
  out[0] = static_cast<std::uint8_t>(literal);
  return 1;
}

// A block that goes through LZMA2 alone, as all but special settings make it.
std::optional<std::size_t> FirstXzBytes(base::ByteView head, std::span<std::uint8_t> out) {
  constexpr std::uint8_t kFilters = 0x03;
  constexpr std::uint8_t kPackedSize = 0x40;
  constexpr std::uint8_t kWholeSize = 0x80;
  constexpr std::uint8_t kLzma2 = 0x21;
  if (head.size() < kXzHeaderBytes + 2) return std::nullopt;
  if (head[kXzHeaderBytes] == 0) return std::nullopt;  // there is no block in this stream
  const std::size_t block = kXzHeaderBytes + (head[kXzHeaderBytes] + std::size_t{1}) * 4;
  const std::uint8_t flags = head[kXzHeaderBytes + 1];
  std::size_t at = kXzHeaderBytes + 2;
  for (const std::uint8_t size : {kPackedSize, kWholeSize}) {
    if ((flags & size) == 0) continue;
    while (at < head.size() && (head[at] & 0x80U) != 0) ++at;
    ++at;
  }
  constexpr std::size_t kChunkBytes = 7;
  if (at >= head.size() || block + kChunkBytes > head.size()) return std::nullopt;
  if ((flags & kFilters) != 0 || head[at] != kLzma2) return std::nullopt;
  const base::ByteView chunk = head.subspan(block);
  if (chunk[0] >= 0xe0) return FirstLzmaByte(chunk.subspan(6), out);
  if (chunk[0] == 0) return std::nullopt;  // an empty block
  if (chunk[0] != 1) return 0;
  const std::size_t length = (std::size_t{chunk[1]} << 8) + chunk[2] + 1;
  const std::size_t count = std::min({length, chunk.size() - 3, out.size()});
  std::copy_n(chunk.begin() + 3, count, out.begin());
  return count;
}

// --- Decoders ---

// One stream of one kind.
class Decoder {
 public:
  enum class State : std::uint8_t { kOn, kEnded, kBroken, kTooMuchSpace };
  struct Step {
    State state = State::kOn;
    std::size_t consumed = 0;
    std::size_t produced = 0;
  };

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  virtual ~Decoder() = default;
  virtual Step Run(base::ByteView in, std::span<std::uint8_t> out) = 0;
};

class ZlibDecoder final : public Decoder {
 public:
  explicit ZlibDecoder(bool gzip) {
    constexpr int kGzipWindow = 16;
    ready_ = inflateInit2(&stream_, MAX_WBITS + (gzip ? kGzipWindow : 0)) == Z_OK;
  }
  ~ZlibDecoder() override {
    if (ready_) inflateEnd(&stream_);
  }
  Step Run(base::ByteView in, std::span<std::uint8_t> out) override {
    if (!ready_) return {State::kTooMuchSpace, 0, 0};
    stream_.next_in = const_cast<Bytef*>(in.data());
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(out.size());
    const int state = inflate(&stream_, Z_NO_FLUSH);
    return {state == Z_STREAM_END                   ? State::kEnded
            : state == Z_OK || state == Z_BUF_ERROR ? State::kOn
                                                    : State::kBroken,
            in.size() - stream_.avail_in, out.size() - stream_.avail_out};
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

class Bzip2Decoder final : public Decoder {
 public:
  Bzip2Decoder() : ready_(BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK) {}
  ~Bzip2Decoder() override {
    if (ready_) BZ2_bzDecompressEnd(&stream_);
  }
  Step Run(base::ByteView in, std::span<std::uint8_t> out) override {
    if (!ready_) return {State::kTooMuchSpace, 0, 0};
    stream_.next_in = const_cast<char*>(base::AsText(in).data());
    stream_.avail_in = static_cast<unsigned>(in.size());
    stream_.next_out = reinterpret_cast<char*>(out.data());
    stream_.avail_out = static_cast<unsigned>(out.size());
    const int state = BZ2_bzDecompress(&stream_);
    return {state == BZ_STREAM_END  ? State::kEnded
            : state == BZ_OK        ? State::kOn
            : state == BZ_MEM_ERROR ? State::kTooMuchSpace
                                    : State::kBroken,
            in.size() - stream_.avail_in, out.size() - stream_.avail_out};
  }

 private:
  bz_stream stream_{};
  bool ready_ = false;
};

class LzmaDecoder final : public Decoder {
 public:
  explicit LzmaDecoder(bool xz) {
    const lzma_ret state = xz ? lzma_stream_decoder(&stream_, kMaxLzmaMemory, LZMA_IGNORE_CHECK)
                              : lzma_alone_decoder(&stream_, kMaxLzmaMemory);
    ready_ = state == LZMA_OK;
  }
  ~LzmaDecoder() override { lzma_end(&stream_); }
  Step Run(base::ByteView in, std::span<std::uint8_t> out) override {
    if (!ready_) return {State::kTooMuchSpace, 0, 0};
    stream_.next_in = in.data();
    stream_.avail_in = in.size();
    stream_.next_out = out.data();
    stream_.avail_out = out.size();
    const lzma_ret state = lzma_code(&stream_, LZMA_RUN);
    const bool space = state == LZMA_MEMLIMIT_ERROR || state == LZMA_MEM_ERROR;
    return {state == LZMA_STREAM_END                      ? State::kEnded
            : state == LZMA_OK || state == LZMA_BUF_ERROR ? State::kOn
            : space                                       ? State::kTooMuchSpace
                                                          : State::kBroken,
            in.size() - stream_.avail_in, out.size() - stream_.avail_out};
  }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_ = false;
};

std::unique_ptr<Decoder> DecoderOf(Compression compression) {
  switch (compression) {
    case Compression::kZlib:
      return std::make_unique<ZlibDecoder>(false);
    case Compression::kGzip:
      return std::make_unique<ZlibDecoder>(true);
    case Compression::kBzip2:
      return std::make_unique<Bzip2Decoder>();
    case Compression::kXz:
      return std::make_unique<LzmaDecoder>(true);
    case Compression::kLzma:
      return std::make_unique<LzmaDecoder>(false);
    default:
      return nullptr;
  }
}

// Room for a little more at a time, so that what is allocated follows what came out.
std::size_t RoomFor(std::size_t so_far, std::size_t most, std::size_t in) {
  return std::min({most - so_far, kStep, in * 16 + 4'096});
}

}  // namespace

Compression CompressionOf(base::ByteView head) {
  const std::string_view text = base::AsText(head);
  // A window of 32 KiB, no dictionary that was agreed on before, and a checksum of both bytes.
  for (const std::string_view mark : {"\x78\x01", "\x78\x5e", "\x78\x9c", "\x78\xda"}) {
    if (text.starts_with(mark)) return Compression::kZlib;
  }
  if (text.starts_with("\x1f\x8b\x08") && head.size() > 3 && (head[3] & 0xe0U) == 0) {
    return Compression::kGzip;
  }
  constexpr std::size_t kBzip2MarkBytes = 10;
  if (text.starts_with("BZh") && head.size() >= kBzip2MarkBytes && head[3] >= '1' &&
      head[3] <= '9') {
    const std::string_view block = text.substr(4, 6);
    // Of a block; of the end of a stream that has none.
    if (block == "\x31\x41\x59\x26\x53\x59" || block == "\x17\x72\x45\x38\x50\x90") {
      return Compression::kBzip2;
    }
  }
  if (text.starts_with(std::string_view("\xfd\x37\x7a\x58\x5a\x00", 6))) return Compression::kXz;
  if (IsLzmaAlone(head)) return Compression::kLzma;
  if (text.starts_with("\x04\x22\x4d\x18")) return Compression::kLz4;
  if (text.starts_with("\x28\xb5\x2f\xfd")) return Compression::kZstd;
  return Compression::kNone;
}

std::optional<std::size_t> FirstBytes(base::ByteView head, Compression compression,
                                      std::span<std::uint8_t> out) {
  constexpr std::size_t kZlibHeaderBytes = 2;
  head = head.first(std::min(head.size(), kHeadRead));
  switch (compression) {
    case Compression::kZlib:
      return DeflateStart(head.subspan(std::min(head.size(), kZlibHeaderBytes)), out).Read();
    case Compression::kGzip: {
      const auto begin = GzipHeaderBytes(head);
      return begin.has_value() ? DeflateStart(head.subspan(*begin), out).Read() : std::nullopt;
    }
    case Compression::kXz:
      return FirstXzBytes(head, out);
    case Compression::kLzma:
      return FirstLzmaByte(head.subspan(std::min(head.size(), kLzmaHeaderBytes)), out);
    default:
      return std::nullopt;
  }
}

Unpacked Unpack(Cursor& cursor, Compression compression, std::size_t most) {
  const bool deflate = compression == Compression::kZlib || compression == Compression::kGzip;
  const std::uint64_t price = deflate ? work::kInflatedByte : work::kUnpackedByte;
  Unpacked unpacked;
  base::Bytes& out = unpacked.bytes;
  std::unique_ptr<Decoder> decoder = DecoderOf(compression);
  if (decoder == nullptr) return unpacked;
  // Whatever comes out pays for itself, but for the block of which nothing has come out yet.
  if (compression == Compression::kBzip2) cursor.budget().Take(kBzip2BlockBytes * price);
  unpacked.end = UnpackedEnd::kMost;
  cursor.budget().Take(work::kInflate);
  while (out.size() < most) {
    const base::ByteView in = cursor.Peek(kInStep);
    if (cursor.budget().spent()) return unpacked;
    const std::size_t before = out.size();
    const std::size_t room = RoomFor(before, most, in.size());
    out.resize(before + room);
    const Decoder::Step step = decoder->Run(in, std::span(out).subspan(before));
    out.resize(before + step.produced);
    cursor.budget().Take((step.produced + step.consumed) * price);
    cursor.Skip(step.consumed);
    if (step.state == Decoder::State::kTooMuchSpace) {
      unpacked.end = UnpackedEnd::kTooMuchSpace;
      return unpacked;
    }
    const bool stands = step.produced == 0 && step.consumed == 0;
    if (step.state == Decoder::State::kBroken || (step.state == Decoder::State::kOn && stands)) {
      unpacked.end = UnpackedEnd::kBroken;
      return unpacked;
    }
    if (step.state == Decoder::State::kOn) continue;
    // Python's readers go on in the next stream as if it were the same.
    if (CompressionOf(cursor.Peek(kMarkBytes)) != compression) {
      unpacked.end = UnpackedEnd::kWhole;
      return unpacked;
    }
    cursor.budget().Take(work::kInflate);
    decoder = DecoderOf(compression);
  }
  return unpacked;
}

}  // namespace weighmaster::agent::formats
