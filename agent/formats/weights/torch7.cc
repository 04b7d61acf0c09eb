#include "agent/formats/weights/torch7.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

// What is known of every file before it is followed.
constexpr std::size_t kHeadBytes = 4'096;

// File.lua's types.
enum Type : std::uint32_t {
  kNil = 0,
  kNumber = 1,
  kString = 2,
  kTable = 3,
  kObject = 4,
  kBoolean = 5,
  kFunction = 6,
  kOldClosure = 7,
  kClosure = 8,
};

constexpr std::uint32_t kMaxClassBytes = 128;
constexpr std::uint32_t kMaxVersionBytes = 16;
constexpr std::uint32_t kMaxDimensions = 64;
constexpr std::size_t kMaxKeyBytes = 64;
// Ours: a network of a thousand modules has some 20,000 objects.
constexpr std::uint64_t kMaxObjects = 1U << 22;
constexpr std::uint64_t kLeastObjectBytes = 4;
// Less than what two numbers of 32 bits are when they are read as one.
constexpr std::uint64_t kMaxExtent = 0xffff'ffff;

constexpr std::string_view kVersion = "V ";
constexpr std::string_view kLuaMark = "\x1bLua";
constexpr std::string_view kLuaJitMark = "\x1bLJ";

// Modules that read one object, their fields.
constexpr std::string_view kKnownModules[] = {"nn.",     "cudnn.", "cunn.", "nngraph.",
                                              "nnx.",    "graph.", "inn.",  "rnn.",
                                              "fbcunn.", "w2nn.",  "onmt.", "optim."};
// What of a module is its parameters and not what was left over from the last run.
constexpr std::string_view kParameterKeys[] = {"weight", "bias", "running_mean", "running_var",
                                               "running_std"};

struct Element {
  std::string_view name;  // in the names of tensors and storages
  std::string_view told;
  std::uint64_t bytes;
};
constexpr Element kElements[] = {
    {"Float", "F32", 4}, {"Double", "F64", 8}, {"Half", "F16", 2},
    {"Long", "I64", 8},  {"Int", "I32", 4},    {"Short", "I16", 2},
    {"Char", "I8", 1},   {"Byte", "U8", 1},    {"", "F32", 4},  // CudaTensor, ClTensor
};

// The elements of a "torch.CudaHalfTensor"; null when the class is no `what`.
const Element* ElementsOf(std::string_view name, std::string_view what) {
  constexpr std::string_view kTorch = "torch.";
  if (name.substr(0, kTorch.size()) != kTorch || name.size() < kTorch.size() + what.size()) {
    return nullptr;
  }
  name.remove_prefix(kTorch.size());
  if (name.substr(name.size() - what.size()) != what) return nullptr;
  name.remove_suffix(what.size());
  for (const std::string_view device : {"Cuda", "Cl"}) {
    if (name.substr(0, device.size()) != device) continue;
    name.remove_prefix(device.size());
    break;
  }
  const auto same = [&](const Element& element) { return element.name == name; };
  const auto* const found = std::find_if(std::begin(kElements), std::end(kElements), same);
  return found == std::end(kElements) ? nullptr : found;
}

bool IsVersion(std::string_view text) {
  return text.size() > kVersion.size() && text.substr(0, kVersion.size()) == kVersion &&
         text[kVersion.size()] >= '0' && text[kVersion.size()] <= '9';
}

// Letters, with a dot between module and class.
bool IsClass(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  };
  const std::size_t dot = text.find('.');
  return dot != std::string_view::npos && dot > 0 && dot + 1 < text.size() &&
         std::all_of(text.begin(), text.end(), allowed);
}

bool IsKnownModule(std::string_view name) {
  return std::any_of(std::begin(kKnownModules), std::end(kKnownModules),
                     [&](std::string_view known) { return name.substr(0, known.size()) == known; });
}

// Goes over the objects in a head of a file, and allocates nothing.
class HeadWalk {
 public:
  explicit HeadWalk(base::ByteView bytes) : rest_(bytes) {}

  bool FindsClassOrFunction();

 private:
  std::optional<std::uint32_t> U32();
  std::optional<std::string_view> Text(std::uint32_t most);
  bool BeginsClass();
  bool BeginsFunction(bool numbered);
  // One that leads on.
  bool SkipPlain(std::uint32_t type);

  base::ByteView rest_;
  std::uint64_t pending_ = 1;  // objects that are to come
};

std::optional<std::uint32_t> HeadWalk::U32() {
  if (rest_.size() < 4) return std::nullopt;
  const std::uint32_t value = rest_[0] | (std::uint32_t{rest_[1]} << 8) |
                              (std::uint32_t{rest_[2]} << 16) | (std::uint32_t{rest_[3]} << 24);
  rest_ = rest_.subspan(4);
  return value;
}

std::optional<std::string_view> HeadWalk::Text(std::uint32_t most) {
  const auto length = U32();
  if (!length.has_value() || *length > most || *length > rest_.size()) return std::nullopt;
  const std::string_view text = base::AsText(rest_.first(*length));
  rest_ = rest_.subspan(*length);
  return text;
}

bool HeadWalk::BeginsClass() {
  const auto index = U32();
  const auto first = Text(kMaxClassBytes);
  if (index.value_or(0) == 0 || !first.has_value()) return false;
  if (IsVersion(*first)) return IsClass(Text(kMaxClassBytes).value_or(""));
  // Files from before there were versions.
  return IsClass(*first) && (IsKnownModule(*first) || ElementsOf(*first, "Tensor") != nullptr);
}

bool HeadWalk::BeginsFunction(bool numbered) {
  if (numbered && !U32().has_value()) return false;
  const auto length = U32();
  if (length.value_or(0) == 0) return false;
  const std::string_view code = base::AsText(rest_);
  return code.substr(0, kLuaMark.size()) == kLuaMark ||
         code.substr(0, kLuaJitMark.size()) == kLuaJitMark;
}

bool HeadWalk::SkipPlain(std::uint32_t type) {
  switch (type) {
    case kNil:
      return true;
    case kNumber:
      return U32().has_value() && U32().has_value();
    case kBoolean:
      return U32().value_or(2) <= 1;
    case kString:
      return Text(~0U).has_value();
    case kTable: {
      const auto index = U32();
      const auto members = U32();
      pending_ += 2 * std::uint64_t{members.value_or(0)};
      return index.value_or(0) > 0 && members.has_value() && *members <= kMaxObjects;
    }
    default:
      return false;
  }
}

bool HeadWalk::FindsClassOrFunction() {
  for (bool first = true; pending_ > 0; first = false) {
    --pending_;
    const auto type = U32();
    if (!type.has_value() || (first && *type != kTable && *type != kObject)) return false;
    if (*type == kObject) return BeginsClass();
    if (*type == kClosure || *type == kOldClosure) return BeginsFunction(true);
    if (*type == kFunction) return BeginsFunction(false);
    if (!SkipPlain(*type)) return false;
  }
  return false;
}

// One reading of one file. What an object holds follows it, so how many objects are to come is all
// that has to be known of those that are open.
class Torch7Reader {
 public:
  Torch7Reader(ByteSource& source, WorkBudget& budget) : budget_(budget), cursor_(source, budget) {}

  model::Facts Read() &&;

 private:
  bool ReadObjects();
  bool ReadObject();
  bool ReadString();
  bool ReadTable();
  bool ReadFunction(bool numbered);
  bool ReadClass();
  // `key` is what the object is called in the table that holds it.
  bool ReadFields(std::string_view name, std::string_view key);
  bool ReadTensor(const Element& element, std::string_view key);
  bool ReadStorage(const Element& element);
  // Reads the number of an object; false in `is_new` when it was read before.
  bool ReadIndex(bool& is_new);
  bool Expect(std::uint64_t objects);
  std::optional<std::uint64_t> Long();
  // How many bytes the writer's `long` had, from the tensor that begins here.
  bool FindLongBytes(std::uint32_t dimensions);
  bool Broken(std::string_view what);
  void Tell(bool whole);

  WorkBudget& budget_;
  Cursor cursor_;
  model::Facts facts_;
  RiskList risks_;
  std::uint64_t pending_ = 1;
  std::uint64_t objects_ = 0;
  // All numbers below it were read, and those in further_.
  std::uint32_t next_index_ = 1;
  std::set<std::uint32_t> further_;
  std::uint64_t long_bytes_ = 0;  // 0: no tensor yet
  // Of a class that may read itself in a way of its own.
  std::string foreign_;
  std::string last_text_;  // the key, where a value follows it
  std::uint64_t tensors_ = 0;
  std::uint64_t elements_ = 0;
  std::uint64_t parameters_ = 0;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
};

bool Torch7Reader::Broken(std::string_view what) {
  if (budget_.spent()) return false;
  if (foreign_.empty()) {
    risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(cursor_.offset()));
  } else {
    risks_.Add(RiskId::kOpaque, "what follows an object of class " + foreign_ + ", before " +
                                    AtOffset(cursor_.offset()));
  }
  return false;
}

model::Facts Torch7Reader::Read() && {
  facts_.format = model::Format::kTorch7;
  const bool whole = ReadObjects();
  if (whole && cursor_.remaining() > 0) {
    risks_.Add(RiskId::kTrailingData,
               std::to_string(cursor_.remaining()) + " bytes from " + AtOffset(cursor_.offset()));
  }
  Tell(whole);
  return std::move(facts_);
}

bool Torch7Reader::ReadObjects() {
  while (pending_ > 0) {
    --pending_;
    if (++objects_ > kMaxObjects) return Broken("too many objects");
    if (!ReadObject()) return false;
  }
  return true;
}

bool Torch7Reader::ReadObject() {
  budget_.Take(work::kOpcode);
  const auto type = cursor_.U32();
  if (!type.has_value()) return Broken(ReadFailureText(cursor_.failure()));
  if (*type != kObject) {
    if (*type == kString) return ReadString();
    last_text_.clear();
  }
  switch (*type) {
    case kNil:
      return true;
    case kNumber:
      return cursor_.Skip(8) || Broken("a number that ends");
    case kBoolean:
      return cursor_.Skip(4) || Broken("a boolean that ends");
    case kTable:
      return ReadTable();
    case kObject:
      return ReadClass();
    case kFunction:
      return ReadFunction(false);
    case kOldClosure:
    case kClosure:
      return ReadFunction(true);
    default:
      return Broken("an object of type " + std::to_string(*type));
  }
}

bool Torch7Reader::Expect(std::uint64_t objects) {
  pending_ += objects;
  return pending_ <= cursor_.remaining() / kLeastObjectBytes ||
         Broken("a count of " + std::to_string(objects) + " objects");
}

bool Torch7Reader::ReadIndex(bool& is_new) {
  const auto index = cursor_.U32();
  if (!index.has_value()) return Broken(ReadFailureText(cursor_.failure()));
  is_new = *index >= next_index_ || *index == 0;
  if (*index == next_index_) {
    do {
      ++next_index_;
    } while (further_.erase(next_index_) > 0);
  } else if (is_new) {
    budget_.Take(work::kSparseKey);
    is_new = further_.insert(*index).second;
  }
  return true;
}

bool Torch7Reader::ReadString() {
  const auto length = cursor_.U32();
  const auto text =
      length.has_value() ? cursor_.Text(*length, kMaxKeyBytes) : std::optional<std::string>();
  if (!text.has_value())
    return Broken("a text of " + std::to_string(length.value_or(0)) + " bytes");
  last_text_ = *text;
  return true;
}

bool Torch7Reader::ReadTable() {
  bool is_new = false;
  if (!ReadIndex(is_new)) return false;
  if (!is_new) return true;
  const auto members = cursor_.U32();
  if (!members.has_value()) return Broken(ReadFailureText(cursor_.failure()));
  return Expect(2 * std::uint64_t{*members});
}

bool Torch7Reader::ReadFunction(bool numbered) {
  bool is_new = true;
  if (numbered && !ReadIndex(is_new)) return false;
  if (!is_new) return true;
  const std::uint64_t begin = cursor_.offset();
  const auto length = cursor_.U32();
  if (!length.has_value() || !cursor_.Skip(*length)) {
    return Broken("a function of " + std::to_string(length.value_or(0)) + " bytes");
  }
  budget_.Take(work::kRisk);
  // It is loaded, and runs when whatever holds it is used.
  risks_.Add(RiskId::kOpaque, "a function in Lua bytecode at " + AtOffset(begin),
             model::Severity::kMedium);
  return Expect(1);
}

bool Torch7Reader::ReadClass() {
  const std::string key = std::exchange(last_text_, {});
  bool is_new = false;
  if (!ReadIndex(is_new)) return false;
  if (!is_new) return true;
  const auto read = [&]() -> std::optional<std::string> {
    const auto length = cursor_.U32();
    if (!length.has_value() || *length > kMaxClassBytes) return std::nullopt;
    return cursor_.Text(*length, kMaxClassBytes);
  };
  auto name = read();
  if (name.has_value() && name->size() <= kMaxVersionBytes && IsVersion(*name)) name = read();
  if (!name.has_value() || name->empty()) return Broken("an object without a class");
  return ReadFields(*name, key);
}

bool Torch7Reader::ReadFields(std::string_view name, std::string_view key) {
  if (const Element* const element = ElementsOf(name, "Tensor")) return ReadTensor(*element, key);
  if (const Element* const element = ElementsOf(name, "Storage")) return ReadStorage(*element);
  budget_.Take(name.size() * work::kTextByte);
  if (facts_.architecture.empty()) facts_.architecture = CleanText(name);
  if (!IsKnownModule(name)) foreign_ = std::string(name);
  return Expect(1);
}

std::optional<std::uint64_t> Torch7Reader::Long() {
  if (long_bytes_ == 8) return cursor_.U64();
  const auto value = cursor_.U32();
  return value.has_value() ? std::optional<std::uint64_t>(*value) : std::nullopt;
}

// Extents are small, the offset is at least 1, and the storage is an object or nil.
bool Torch7Reader::FindLongBytes(std::uint32_t dimensions) {
  const std::uint64_t begin = cursor_.offset();
  for (const std::uint64_t bytes : {std::uint64_t{8}, std::uint64_t{4}}) {
    long_bytes_ = bytes;
    bool fits = true;
    for (std::uint32_t i = 0; i < dimensions && fits; ++i)
      fits = Long().value_or(~0ULL) <= kMaxExtent;
    fits = fits && cursor_.Skip(dimensions * bytes);
    const std::uint64_t place = fits ? Long().value_or(0) : 0;
    const auto type = cursor_.U32();
    fits = fits && place >= 1 && place <= kMaxExtent &&
           (type == std::uint32_t{kObject} || type == std::uint32_t{kNil});
    cursor_.Seek(begin);
    if (fits) return true;
  }
  return Broken("a tensor whose shape is broken");
}

bool Torch7Reader::ReadTensor(const Element& element, std::string_view key) {
  budget_.Take(work::kTensor);
  const auto dimensions = cursor_.U32();
  if (!dimensions.has_value() || *dimensions > kMaxDimensions) {
    return Broken("a tensor of " + std::to_string(dimensions.value_or(0)) + " dimensions");
  }
  if (long_bytes_ == 0 && !FindLongBytes(*dimensions)) return false;
  std::uint64_t elements = *dimensions == 0 ? 0 : 1;
  for (std::uint32_t i = 0; i < *dimensions; ++i) {
    const auto extent = Long();
    if (!extent.has_value()) return Broken(ReadFailureText(cursor_.failure()));
    if (__builtin_mul_overflow(elements, *extent, &elements)) {
      return Broken("a tensor of too many elements");
    }
  }
  // Strides, and where in its storage it begins.
  if (!cursor_.Skip((std::uint64_t{*dimensions} + 1) * long_bytes_)) {
    return Broken("a tensor whose shape is broken");
  }
  if (__builtin_add_overflow(elements_, elements, &elements_)) {
    return Broken("more elements than can be counted");
  }
  if (elements > 0) ++tensors_;
  elements_by_type_[element.told] += elements;
  const bool parameter = std::find(std::begin(kParameterKeys), std::end(kParameterKeys), key) !=
                         std::end(kParameterKeys);
  if (parameter) parameters_ += elements;
  return Expect(1);
}

bool Torch7Reader::ReadStorage(const Element& element) {
  if (long_bytes_ == 0) long_bytes_ = 8;  // a storage alone
  const auto elements = Long();
  std::uint64_t bytes = 0;
  if (!elements.has_value() || __builtin_mul_overflow(*elements, element.bytes, &bytes) ||
      !cursor_.Skip(bytes)) {
    return Broken("a storage of " + std::to_string(elements.value_or(0)) + " elements");
  }
  return true;
}

void Torch7Reader::Tell(bool whole) {
  std::uint64_t most = 0;
  for (const auto& [name, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts_.quantization = std::string(name);
  }
  if (whole) {
    facts_.parameters = parameters_ > 0 ? parameters_ : elements_;
    facts_.tensor_count = tensors_;
  }
  if (budget_.spent()) risks_.AddSpent(cursor_.offset());
  facts_.risks = std::move(risks_).Take();
}

}  // namespace

bool LooksLikeTorch7(const FileEnds& file) {
  return HeadWalk(file.head.first(std::min(file.head.size(), kHeadBytes))).FindsClassOrFunction();
}

model::Facts ParseTorch7(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  Cursor head(source, budget);
  if (!LooksLikeTorch7({head.Peek(kHeadBytes), {}, source.size()})) return {};
  return Torch7Reader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
