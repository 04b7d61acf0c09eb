#include "agent/formats/weights/flax.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

// What is known of every file before it is followed.
constexpr std::size_t kHeadBytes = 4'096;

// Ours: modules nest some ten deep, optimizers' states a few more.
constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxDimensions = 64;
constexpr std::size_t kMaxDtypeBytes = 32;
constexpr std::uint64_t kMaxKeyBytes = 4'096;

// _MsgpackExtType.
constexpr std::uint8_t kArrayExtension = 1;
constexpr std::uint8_t kScalarExtension = 3;
// What an array larger than 1 GiB is made: a map with this key, `shape`, and `chunks`.
constexpr std::string_view kChunkedKey = "__msgpack_chunked_array__";

struct Dtype {
  std::string_view name;  // numpy's
  std::string_view told;
};
constexpr Dtype kDtypes[] = {
    {"float32", "F32"},
    {"bfloat16", "BF16"},
    {"float16", "F16"},
    {"float64", "F64"},
    {"int8", "I8"},
    {"int16", "I16"},
    {"int32", "I32"},
    {"int64", "I64"},
    {"uint8", "U8"},
    {"uint16", "U16"},
    {"uint32", "U32"},
    {"uint64", "U64"},
    {"bool", "BOOL"},
    {"complex64", "C64"},
    {"complex128", "C128"},
    {"float8_e4m3fn", "F8_E4M3"},
    {"float8_e5m2", "F8_E5M2"},
    {"float8_e4m3fnuz", "F8_E4M3FNUZ"},
    {"float8_e5m2fnuz", "F8_E5M2FNUZ"},
};

const Dtype* FindDtype(std::string_view name) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.name == name) return &dtype;
  }
  return nullptr;
}

enum class Kind : std::uint8_t { kScalar, kText, kBytes, kArray, kMap, kExtension };

// What one MessagePack object begins with.
struct Head {
  Kind kind = Kind::kScalar;
  std::uint64_t length = 0;  // bytes that follow, or members; pairs of a map
  std::uint64_t value = 0;   // of a number without a sign
  bool is_number = false;
  std::uint8_t extension = 0;
};

// How many bytes follow a first byte before the head is complete, and what it begins.
struct HeadForm {
  Kind kind;
  std::uint8_t length_bytes;  // of a length, or of a value
  std::uint8_t type_bytes;    // of an extension
  std::uint64_t length;       // where it follows from the first byte
};

std::optional<HeadForm> FormOf(std::uint8_t first) {
  if (first <= 0x7f || first >= 0xe0) return HeadForm{Kind::kScalar, 0, 0, 0};
  if (first <= 0x8f) return HeadForm{Kind::kMap, 0, 0, first & 0x0fU};
  if (first <= 0x9f) return HeadForm{Kind::kArray, 0, 0, first & 0x0fU};
  if (first <= 0xbf) return HeadForm{Kind::kText, 0, 0, first & 0x1fU};
  constexpr std::uint8_t kWidths[] = {1, 2, 4, 8};
  switch (first) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return HeadForm{Kind::kScalar, 0, 0, 0};
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return HeadForm{Kind::kBytes, kWidths[first - 0xc4], 0, 0};
    case 0xc7:
    case 0xc8:
    case 0xc9:
      return HeadForm{Kind::kExtension, kWidths[first - 0xc7], 1, 0};
    case 0xca:
      return HeadForm{Kind::kScalar, 4, 0, 0};
    case 0xcb:
      return HeadForm{Kind::kScalar, 8, 0, 0};
    case 0xd9:
    case 0xda:
    case 0xdb:
      return HeadForm{Kind::kText, kWidths[first - 0xd9], 0, 0};
    case 0xdc:
    case 0xdd:
      return HeadForm{Kind::kArray, kWidths[first - 0xdc + 1], 0, 0};
    case 0xde:
    case 0xdf:
      return HeadForm{Kind::kMap, kWidths[first - 0xde + 1], 0, 0};
    default:
      break;
  }
  if (first >= 0xcc && first <= 0xcf) return HeadForm{Kind::kScalar, kWidths[first - 0xcc], 0, 0};
  if (first >= 0xd0 && first <= 0xd3) return HeadForm{Kind::kScalar, kWidths[first - 0xd0], 0, 0};
  if (first >= 0xd4 && first <= 0xd8) {
    return HeadForm{Kind::kExtension, 0, 1, std::uint64_t{1} << (first - 0xd4)};
  }
  return std::nullopt;  // 0xc1, which is never used
}

// The head whose first byte is `first`, the bytes behind it from `next`, which answers nothing when
// there is none.
template <typename Next>
std::optional<Head> ReadHeadWith(std::uint8_t first, Next next) {
  const auto form = FormOf(first);
  if (!form.has_value()) return std::nullopt;
  Head head;
  head.kind = form->kind;
  head.length = form->length;
  std::uint64_t number = first;
  for (std::size_t i = 0; i < form->length_bytes; ++i) {
    const std::optional<std::uint8_t> byte = next();
    if (!byte.has_value()) return std::nullopt;
    number = i == 0 ? *byte : (number << 8) | *byte;
  }
  if (form->kind == Kind::kScalar) {
    head.is_number = first <= 0x7f || (first >= 0xcc && first <= 0xcf);
    head.value = number;
  } else if (form->length_bytes > 0) {
    head.length = number;
  }
  if (form->type_bytes > 0) {
    const std::optional<std::uint8_t> type = next();
    if (!type.has_value()) return std::nullopt;
    head.extension = *type;
  }
  return head;
}

// Goes over a head of a file in bytes that lie in it, and allocates nothing.
class HeadWalk {
 public:
  explicit HeadWalk(base::ByteView bytes) : rest_(bytes) {}

  // Whether an array of Flax comes in maps with texts for keys, and nothing that Flax does not
  // write before it.
  bool FindsArray();

 private:
  std::optional<Head> Next();
  std::optional<base::ByteView> Take(std::uint64_t count);
  // The innermost open map has told one of its values.
  void EndValue();
  bool IsFlaxArray();

  base::ByteView rest_;
  std::array<std::uint64_t, kMaxDepth> left_{};  // pairs of the open maps that are to come
  std::size_t depth_ = 0;
};

std::optional<base::ByteView> HeadWalk::Take(std::uint64_t count) {
  if (count > rest_.size()) return std::nullopt;
  const base::ByteView taken = rest_.first(static_cast<std::size_t>(count));
  rest_ = rest_.subspan(taken.size());
  return taken;
}

std::optional<Head> HeadWalk::Next() {
  const auto byte = [&]() -> std::optional<std::uint8_t> {
    const auto taken = Take(1);
    return taken.has_value() ? std::optional((*taken)[0]) : std::nullopt;
  };
  const auto first = byte();
  return first.has_value() ? ReadHeadWith(*first, byte) : std::nullopt;
}

void HeadWalk::EndValue() {
  while (depth_ > 0 && --left_[depth_ - 1] == 0) --depth_;
}

// (shape, dtype name, bytes), of which the bytes may lie further on.
bool HeadWalk::IsFlaxArray() {
  const auto parts = Next();
  if (!parts.has_value() || parts->kind != Kind::kArray || parts->length != 3) return false;
  const auto shape = Next();
  if (!shape.has_value() || shape->kind != Kind::kArray || shape->length > kMaxDimensions) {
    return false;
  }
  for (std::uint64_t i = 0; i < shape->length; ++i) {
    const auto extent = Next();
    if (!extent.has_value() || !extent->is_number) return false;
  }
  const auto dtype = Next();
  if (!dtype.has_value() || dtype->kind != Kind::kText) return false;
  const auto name = Take(dtype->length);
  if (!name.has_value() || FindDtype(base::AsText(*name)) == nullptr) return false;
  const auto data = Next();
  return data.has_value() && data->kind == Kind::kBytes;
}

bool HeadWalk::FindsArray() {
  const auto root = Next();
  if (!root.has_value() || root->kind != Kind::kMap || root->length == 0) return false;
  left_[depth_++] = root->length;
  while (depth_ > 0) {
    const auto key = Next();
    if (!key.has_value() || key->kind != Kind::kText || key->length > kMaxKeyBytes ||
        !Take(key->length).has_value()) {
      return false;
    }
    const auto value = Next();
    if (!value.has_value()) return false;
    if (value->kind == Kind::kExtension) {
      if (value->extension == kArrayExtension || value->extension == kScalarExtension)
        return IsFlaxArray();
      if (!Take(value->length).has_value()) return false;
    } else if (value->kind == Kind::kMap && value->length > 0) {
      if (depth_ == kMaxDepth) return false;
      left_[depth_++] = value->length;
      continue;
    } else if (value->kind == Kind::kText || value->kind == Kind::kBytes) {
      if (!Take(value->length).has_value()) return false;
    } else if (value->kind == Kind::kArray && value->length > 0) {
      return false;  // Flax makes maps of them
    }
    EndValue();
  }
  return false;
}

// One reading of one file. The first rule that is broken ends it.
class FlaxReader {
 public:
  FlaxReader(ByteSource& source, WorkBudget& budget) : budget_(budget), cursor_(source, budget) {
    cursor_.set_order(std::endian::big);
  }

  model::Facts Read() &&;

 private:
  struct Container {
    bool map = false;
    std::uint64_t left = 0;  // objects that are to come, keys and values apart
    bool chunked = false;    // of one array, or within such a map
    bool counted = false;    // as a tensor
  };

  bool ReadObject();
  bool ReadValue(const Head& head);
  bool ReadKey();
  bool Open(const Head& head);
  bool ReadArray(std::uint64_t end);
  std::optional<std::uint64_t> ReadShape();
  bool CountTensor(std::uint64_t elements, std::uint64_t bytes, std::string_view dtype);
  std::optional<Head> Next();
  bool Broken(std::string_view what);
  void Tell(bool whole);

  WorkBudget& budget_;
  Cursor cursor_;
  model::Facts facts_;
  RiskList risks_;
  std::vector<Container> open_;
  std::uint64_t tensors_ = 0;
  std::uint64_t parameters_ = 0;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
};

bool FlaxReader::Broken(std::string_view what) {
  if (budget_.spent()) return false;
  risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(cursor_.offset()));
  return false;
}

model::Facts FlaxReader::Read() && {
  facts_.format = model::Format::kFlax;
  bool good = true;
  do {
    good = ReadObject();
    while (!open_.empty() && open_.back().left == 0) {
      const bool counted = open_.back().counted;
      open_.pop_back();
      if (!open_.empty() && open_.back().chunked && counted) open_.back().counted = true;
    }
  } while (good && !open_.empty());
  if (good && cursor_.remaining() > 0) {
    risks_.Add(RiskId::kTrailingData,
               std::to_string(cursor_.remaining()) + " bytes from " + AtOffset(cursor_.offset()));
  }
  Tell(good);
  return std::move(facts_);
}

std::optional<Head> FlaxReader::Next() {
  budget_.Take(work::kWireField);
  const auto byte = [&] { return cursor_.U8(); };
  const auto first = byte();
  return first.has_value() ? ReadHeadWith(*first, byte) : std::nullopt;
}

bool FlaxReader::ReadObject() {
  const bool key = !open_.empty() && open_.back().map && open_.back().left % 2 == 0;
  if (!open_.empty()) --open_.back().left;
  if (key) return ReadKey();
  const auto head = Next();
  return head.has_value() ? ReadValue(*head) : Broken("an object that is broken");
}

bool FlaxReader::ReadKey() {
  const auto head = Next();
  if (!head.has_value()) return Broken("an object that is broken");
  if (head->kind == Kind::kScalar) return true;  // numbers, in trees that Flax did not make itself
  if (head->kind != Kind::kText || head->length > kMaxKeyBytes) {
    return Broken("a key that is no text");
  }
  const auto key = cursor_.Text(head->length, kChunkedKey.size() + 1);
  if (!key.has_value()) return Broken(ReadFailureText(cursor_.failure()));
  if (*key == kChunkedKey) open_.back().chunked = true;
  return true;
}

bool FlaxReader::ReadValue(const Head& head) {
  switch (head.kind) {
    case Kind::kScalar:
      return true;
    case Kind::kText:
    case Kind::kBytes:
      return cursor_.Skip(head.length) ||
             Broken("a text of " + std::to_string(head.length) + " bytes");
    case Kind::kArray:
    case Kind::kMap:
      return Open(head);
    case Kind::kExtension:
      break;
  }
  if (head.length > cursor_.remaining()) {
    return Broken("an array of " + std::to_string(head.length) + " bytes");
  }
  if (head.extension == kArrayExtension || head.extension == kScalarExtension) {
    return ReadArray(cursor_.offset() + head.length);
  }
  return cursor_.Skip(head.length);
}

bool FlaxReader::Open(const Head& head) {
  if (open_.size() == kMaxDepth) return Broken("maps nested too deeply");
  Container container;
  container.map = head.kind == Kind::kMap;
  container.left = container.map ? 2 * head.length : head.length;
  container.chunked = !open_.empty() && open_.back().chunked;
  container.counted = container.chunked && open_.back().counted;
  // Each object takes a byte.
  if (container.left > cursor_.remaining()) {
    return Broken("a map of " + std::to_string(head.length) + " members");
  }
  open_.push_back(container);
  return true;
}

bool FlaxReader::ReadArray(std::uint64_t end) {
  budget_.Take(work::kTensor);
  const auto parts = Next();
  if (!parts.has_value() || parts->kind != Kind::kArray || parts->length != 3) {
    return Broken("an array without its three parts");
  }
  const auto elements = ReadShape();
  if (!elements.has_value()) return Broken("a shape that is broken");
  const auto dtype = Next();
  if (!dtype.has_value() || (dtype->kind != Kind::kText && dtype->kind != Kind::kBytes)) {
    return Broken("an element type that is no text");
  }
  const auto name = cursor_.Text(dtype->length, kMaxDtypeBytes);
  if (!name.has_value()) return Broken(ReadFailureText(cursor_.failure()));
  const auto data = Next();
  const bool bytes = data.has_value() && (data->kind == Kind::kBytes || data->kind == Kind::kText);
  if (!bytes || cursor_.offset() > end || data->length != end - cursor_.offset()) {
    return Broken("elements that do not fill their array");
  }
  return CountTensor(*elements, data->length, *name) && cursor_.Seek(end);
}

std::optional<std::uint64_t> FlaxReader::ReadShape() {
  const auto shape = Next();
  if (!shape.has_value() || shape->kind != Kind::kArray || shape->length > kMaxDimensions) {
    return std::nullopt;
  }
  std::uint64_t elements = 1;
  for (std::uint64_t i = 0; i < shape->length; ++i) {
    const auto extent = Next();
    if (!extent.has_value() || !extent->is_number ||
        __builtin_mul_overflow(elements, extent->value, &elements)) {
      return std::nullopt;
    }
  }
  return elements;
}

bool FlaxReader::CountTensor(std::uint64_t elements, std::uint64_t bytes, std::string_view dtype) {
  const Dtype* const known = FindDtype(dtype);
  const ElementType* const type = known == nullptr ? nullptr : FindElementType(known->told);
  if (type != nullptr && BytesOf(*type, std::array{elements}) != bytes) {
    return Broken("an array whose bytes do not fit its shape");
  }
  if (__builtin_add_overflow(parameters_, elements, &parameters_)) {
    return Broken("more elements than can be counted");
  }
  if (known != nullptr) elements_by_type_[known->told] += elements;
  const bool piece = !open_.empty() && open_.back().chunked;
  if (!piece || !open_.back().counted) ++tensors_;
  if (piece) open_.back().counted = true;
  return tensors_ <= base::limits::kMaxTensors || Broken("too many tensors");
}

void FlaxReader::Tell(bool whole) {
  std::uint64_t most = 0;
  for (const auto& [name, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts_.quantization = std::string(name);
  }
  if (whole) {
    facts_.parameters = parameters_;
    facts_.tensor_count = tensors_;
  }
  if (budget_.spent()) risks_.AddSpent(cursor_.offset());
  facts_.risks = std::move(risks_).Take();
}

}  // namespace

bool LooksLikeFlax(const FileEnds& file) {
  return HeadWalk(file.head.first(std::min(file.head.size(), kHeadBytes))).FindsArray();
}

model::Facts ParseFlax(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  Cursor head(source, budget);
  if (!LooksLikeFlax({head.Peek(kHeadBytes), {}, source.size()})) return {};
  return FlaxReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
