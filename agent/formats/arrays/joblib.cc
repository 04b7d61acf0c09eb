#include "agent/formats/arrays/joblib.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/archive/compressed_stream.h"
#include "agent/formats/pickle/opcodes.h"
#include "agent/formats/pickle/pickle.h"
#include "agent/formats/pickle/walk.h"
#include "agent/formats/reading/risks.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::formats {
namespace {

using base::limits::kMaxInflatedBytes;

constexpr std::size_t kProbeBytes = 4 * base::limits::kKiB;
constexpr std::size_t kStartBytes = 256;  // of the content, where they show in the head
constexpr std::size_t kSomeBytes = 16;    // fewer may end before a pickle's second opcode
// How much longer a content can be than its stream: 258 bytes for every two bits of deflate; of the
// others more than matters.
constexpr std::uint64_t kMostInflation = 1'032;
constexpr std::uint64_t kLong = std::uint64_t{1} << 40;
constexpr std::uint8_t kNewestProtocol = 5;

// The form before joblib 0.10: "ZF", the length of the content as Python's hex() writes it, blanks
// up to 21 bytes (one more from Python 2), and a zlib stream.
constexpr std::string_view kOldMark = "ZF0x";
constexpr std::size_t kOldHeaderBytes = 21;

struct Stream {
  std::size_t begin = 0;
  Compression compression = Compression::kNone;
  std::optional<std::uint64_t> content_bytes;  // where the header says it
};

std::optional<std::uint64_t> OldLength(std::string_view header) {
  std::uint64_t length = 0;
  std::size_t at = kOldMark.size();
  for (; at < header.size() && header[at] != ' ' && header[at] != 'L'; ++at) {
    const char c = header[at];
    const bool digit = c >= '0' && c <= '9';
    if ((!digit && (c < 'a' || c > 'f')) || (length >> 60) != 0) return std::nullopt;
    length = length * 16 + static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  if (at == kOldMark.size()) return std::nullopt;
  if (at < header.size() && header[at] == 'L') ++at;  // a long of Python 2
  const bool blank = header.find_first_not_of(' ', at) == std::string_view::npos;
  return blank ? std::optional(length) : std::nullopt;
}

Stream StreamOf(base::ByteView head) {
  if (!base::AsText(head).starts_with(kOldMark)) return {0, CompressionOf(head), std::nullopt};
  if (head.size() < kOldHeaderBytes + 3) return {};
  const auto length = OldLength(base::AsText(head.first(kOldHeaderBytes)));
  if (!length.has_value()) return {};
  const std::size_t begin = kOldHeaderBytes + (head[kOldHeaderBytes] == ' ' ? 1 : 0);
  const Compression compression = CompressionOf(head.subspan(begin));
  if (compression != Compression::kZlib) return {};
  return {begin, compression, length};
}

bool IsUnpacked(Compression compression) {
  return compression != Compression::kNone && compression != Compression::kLz4 &&
         compression != Compression::kZstd;
}

std::uint64_t LongestContent(Compression compression, std::uint64_t stream_bytes) {
  const bool deflate = compression == Compression::kZlib || compression == Compression::kGzip;
  return deflate ? std::min(stream_bytes, kLong) * kMostInflation : kLong;
}

// By the first bytes of a content of at most `longest`, perhaps by one byte alone.
bool MayBeginPickle(base::ByteView start, std::uint64_t longest) {
  if (start.empty()) return false;
  if (start[0] == kProto && start.size() < kSomeBytes) {
    return start.size() < 2 || start[1] <= kNewestProtocol;
  }
  return LooksLikePickle(start, longest);
}

bool NamesWrapper(const FileEnds& file) {
  const base::ByteView head = file.head.first(std::min(file.head.size(), kProbeBytes));
  return LooksLikePickle(head, file.size) &&
         base::AsText(head).find("joblib.numpy_pickle") != std::string_view::npos;
}

// One compressed file.
class JoblibReader {
 public:
  JoblibReader(ByteSource& source, WorkBudget& budget) : cursor_(source, budget) {}

  model::Facts Read() &&;

 private:
  bool BeginsLikePickle();
  void TellEnd(const Unpacked& content);
  model::Facts Opaque(std::string_view why);

  Cursor cursor_;
  Stream stream_;
  RiskList risks_;
};

model::Facts JoblibReader::Read() && {
  stream_ = StreamOf(cursor_.Peek(kProbeBytes));
  if (!IsUnpacked(stream_.compression)) return {};
  cursor_.Seek(stream_.begin);
  const Unpacked probe = Unpack(cursor_, stream_.compression, kProbeBytes);
  if (probe.end == UnpackedEnd::kTooMuchSpace) {
    return BeginsLikePickle() ? Opaque("a dictionary that is too large to unpack") : model::Facts{};
  }
  const bool short_one = probe.bytes.size() < kProbeBytes;
  const std::uint64_t longest = LongestContent(stream_.compression, cursor_.end());
  if (!LooksLikePickle(probe.bytes, short_one ? probe.bytes.size() : longest)) return {};

  cursor_.Seek(stream_.begin);
  const Unpacked content = Unpack(cursor_, stream_.compression, kMaxInflatedBytes);
  MemorySource unpacked(content.bytes);
  Cursor inside(unpacked, cursor_.budget());
  RiskList found;
  const PickleWalk walk = WalkPickles(inside, found, "", false);
  const bool spent = cursor_.budget().spent();
  if (!walk.IsPickle() && !spent) return {};
  model::Facts facts;
  facts.format = model::Format::kJoblib;
  TellTensors(walk.tensors, facts);
  std::vector<model::Risk> told = std::move(found).Take();
  if (content.end == UnpackedEnd::kMost) {
    // The walk comes to an end that is none of the file's.
    std::erase_if(told, [](const model::Risk& risk) {
      return risk.id == RiskName(RiskId::kMalformed) && risk.evidence.starts_with("the file ends");
    });
  }
  risks_.AddOfPart(std::move(told), "");
  risks_.Add(RiskId::kPickleFormat, std::to_string(walk.streams) + " streams, compressed");
  TellEnd(content);
  if (spent) risks_.AddSpent(cursor_.offset());
  facts.risks = std::move(risks_).Take();
  return facts;
}

// Without a decoder.
bool JoblibReader::BeginsLikePickle() {
  cursor_.Seek(stream_.begin);
  std::array<std::uint8_t, kStartBytes> start{};
  const auto shown = FirstBytes(cursor_.Peek(kProbeBytes), stream_.compression, start);
  return shown.has_value() && *shown > 0 && start[0] == kProto;
}

model::Facts JoblibReader::Opaque(std::string_view why) {
  risks_.Add(RiskId::kOpaque, why);
  model::Facts facts;
  facts.format = model::Format::kJoblib;
  facts.risks = std::move(risks_).Take();
  return facts;
}

void JoblibReader::TellEnd(const Unpacked& content) {
  if (content.end == UnpackedEnd::kMost && !cursor_.budget().spent()) {
    risks_.Add(RiskId::kOpaque,
               "more comes out of it than the " + std::to_string(content.bytes.size()) + " bytes");
  }
  if (content.end == UnpackedEnd::kBroken) {
    risks_.Add(RiskId::kMalformed,
               "the compressed stream breaks off at " + AtOffset(cursor_.offset()));
  }
  if (content.end != UnpackedEnd::kWhole) return;
  if (stream_.content_bytes.value_or(content.bytes.size()) != content.bytes.size()) {
    risks_.Add(RiskId::kMalformed, "a content of " + std::to_string(content.bytes.size()) +
                                       " bytes, said to be of " +
                                       std::to_string(*stream_.content_bytes));
  }
  const base::ByteView rest = cursor_.Peek(kProbeBytes);
  const bool blank = rest.size() == cursor_.remaining() &&
                     std::all_of(rest.begin(), rest.end(), [](std::uint8_t b) { return b == 0; });
  if (blank) return;
  risks_.Add(RiskId::kTrailingData,
             std::to_string(cursor_.remaining()) + " bytes from " + AtOffset(cursor_.offset()));
}

}  // namespace

bool LooksLikeJoblib(const FileEnds& file) {
  const Stream stream = StreamOf(file.head);
  if (!IsUnpacked(stream.compression)) return NamesWrapper(file);
  std::array<std::uint8_t, kStartBytes> start{};
  const auto shown = FirstBytes(file.head.subspan(stream.begin), stream.compression, start);
  return !shown.has_value() || MayBeginPickle(std::span(start).first(*shown),
                                              LongestContent(stream.compression, file.size));
}

model::Facts ParseJoblib(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) {
  Cursor cursor(source, budget);
  const base::ByteView head = cursor.Peek(kProbeBytes);
  if (IsUnpacked(StreamOf(head).compression)) return JoblibReader(source, budget).Read();
  return NamesWrapper({head, {}, source.size()}) ? ParsePickle(source, budget, tensors)
                                                 : model::Facts{};
}

}  // namespace weighmaster::agent::formats
