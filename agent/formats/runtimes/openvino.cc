#include "agent/formats/runtimes/openvino.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/grammars/xml_reader.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

// What is known of every file before it is followed.
constexpr std::size_t kHeadBytes = 4'096;
constexpr std::uint64_t kNewestVersion = 11;
constexpr std::uint64_t kFirstVersionWithOpsets = 10;
constexpr std::uint64_t kMaxVersion = 255;

struct ElementName {
  std::string_view name;
  std::string_view told;  // as the table of element types has it, where it does
  std::uint32_t bits;     // 0: not known before the data are read
};
// ov::element::Type (src/core/src/type/element_type.cpp).
constexpr ElementName kElements[] = {
    {"f64", "F64", 64},       {"f32", "F32", 32},       {"f16", "F16", 16},
    {"bf16", "BF16", 16},     {"f8e4m3", "F8_E4M3", 8}, {"f8e5m2", "F8_E5M2", 8},
    {"f8e8m0", "F8_E8M0", 8}, {"f4e2m1", "F4", 4},      {"nf4", "NF4", 4},
    {"i64", "I64", 64},       {"i32", "I32", 32},       {"i16", "I16", 16},
    {"i8", "I8", 8},          {"i4", "I4", 4},          {"u64", "U64", 64},
    {"u32", "U32", 32},       {"u16", "U16", 16},       {"u8", "U8", 8},
    {"u6", "U6", 6},          {"u4", "U4", 4},          {"u3", "U3", 3},
    {"u2", "U2", 2},          {"u1", "U1", 1},          {"boolean", "BOOL", 8},
    {"string", "STRING", 0},
};

// Sets that OpenVINO itself has, beside opset1 and its successors.
constexpr std::string_view kOwnSets[] = {"experimental", "ie_internal_opset", "util",
                                         "type_relaxed_opset"};
// "extension" is the set of whatever a library adds. These are of OpenVINO itself and of its
// tokenizers (https://github.com/openvinotoolkit/openvino_tokenizers), which every converted
// language model comes with.
constexpr std::string_view kExtensionSet = "extension";
constexpr std::string_view kKnownExtensions[] = {
    "BPETokenizer",
    "ByteFallback",
    "BytesToChars",
    "CaseFold",
    "CharsMapNormalization",
    "CharsToBytes",
    "CombineSegments",
    "EqualStr",
    "FuzeRagged",
    "NormalizeUnicode",
    "PagedAttentionExtension",
    "RaggedTensorPack",
    "RaggedToDense",
    "RaggedToRagged",
    "RaggedToSparse",
    "RegexNormalization",
    "RegexSplit",
    "SentencepieceDetokenizer",
    "SentencepieceStreamDetokenizer",
    "SentencepieceTokenizer",
    "SpecialTokensSplit",
    "StringTensorPack",
    "StringTensorUnpack",
    "StringToHashBucket",
    "TrieTokenizer",
    "Truncate",
    "UTF8Validate",
    "UnigramTokenizer",
    "VocabDecoder",
    "VocabEncoder",
    "WordpieceTokenizer",
};

template <std::size_t count>
bool IsOneOf(const std::string_view (&names)[count], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

std::optional<std::uint64_t> ReadNumber(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(number) : std::nullopt;
}

bool IsOpset(std::string_view set) {
  constexpr std::string_view kPrefix = "opset";
  return set.substr(0, kPrefix.size()) == kPrefix &&
         ReadNumber(set.substr(kPrefix.size())).has_value();
}

bool IsCustom(std::string_view set, std::string_view type) {
  if (set.empty() || IsOpset(set) || IsOneOf(kOwnSets, set)) return false;
  return set != kExtensionSet || !IsOneOf(kKnownExtensions, type);
}

const ElementName* FindElement(std::string_view name) {
  for (const ElementName& element : kElements) {
    if (element.name == name) return &element;
  }
  return nullptr;
}

// The elements of "64, 3, 7, 7"; one of "".
std::optional<std::uint64_t> ElementsOf(std::string_view shape) {
  std::uint64_t elements = 1;
  while (!shape.empty()) {
    std::string_view extent = shape.substr(0, shape.find(','));
    shape.remove_prefix(std::min(shape.size(), extent.size() + 1));
    extent.remove_prefix(std::min(extent.size(), extent.find_first_not_of(' ')));
    extent = extent.substr(0, extent.find_last_not_of(' ') + 1);
    const auto number = ReadNumber(extent);
    if (!number.has_value() || __builtin_mul_overflow(elements, *number, &elements)) {
      return std::nullopt;
    }
  }
  return elements;
}

class OpenVinoReader {
 public:
  OpenVinoReader(ByteSource& source, WorkBudget& budget)
      : budget_(budget), cursor_(source, budget), xml_(cursor_) {}

  model::Facts Read() &&;

 private:
  // False: it is no model.
  bool ReadRoot();
  void ReadElement();
  void ReadLayer();
  void ReadConstant();
  void Broken(std::string_view what);
  void Tell();

  WorkBudget& budget_;
  Cursor cursor_;
  XmlReader xml_;
  model::Facts facts_;
  RiskList risks_;
  std::uint64_t version_ = 0;
  bool has_layers_ = false;
  bool counted_ = true;
  bool in_constant_ = false;  // a Const layer whose data have not come yet
  std::uint64_t tensors_ = 0;
  std::uint64_t parameters_ = 0;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
};

model::Facts OpenVinoReader::Read() && {
  if (!ReadRoot()) return {};
  XmlToken token = xml_.Next();
  for (; token != XmlToken::kEnd && token != XmlToken::kBroken; token = xml_.Next()) {
    if (token == XmlToken::kElement) ReadElement();
  }
  if (!has_layers_ && !budget_.spent()) return {};
  if (token == XmlToken::kBroken) Broken("XML that is broken");
  Tell();
  return std::move(facts_);
}

bool OpenVinoReader::ReadRoot() {
  if (xml_.Next() != XmlToken::kElement || xml_.name() != "net") return false;
  const auto version = ReadNumber(xml_.Attribute("version"));
  if (!version.has_value() || *version > kMaxVersion) return false;
  version_ = *version;
  facts_.format = model::Format::kOpenVino;
  facts_.name = CleanText(xml_.Attribute("name"));
  if (version_ > kNewestVersion) {
    risks_.Add(RiskId::kUnsupportedVersion, "IR version " + std::to_string(version_));
  }
  return true;
}

void OpenVinoReader::Broken(std::string_view what) {
  counted_ = false;
  if (budget_.spent()) return;
  budget_.Take(work::kRisk);
  risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(xml_.offset()));
}

void OpenVinoReader::ReadElement() {
  if (xml_.name() == "layers" && xml_.depth() == 2) has_layers_ = true;
  if (version_ < kFirstVersionWithOpsets) return;
  if (xml_.name() == "layer") ReadLayer();
  if (xml_.name() == "data" && in_constant_) ReadConstant();
}

void OpenVinoReader::ReadLayer() {
  budget_.Take(work::kTensor);
  const std::string_view type = xml_.Attribute("type");
  const std::string_view set = xml_.Attribute("version");
  in_constant_ = type == "Const";
  if (!IsCustom(set, type)) return;
  budget_.Take(work::kRisk);
  risks_.Add(RiskId::kCustomOperators, std::string(set) + "." + std::string(type));
}

void OpenVinoReader::ReadConstant() {
  in_constant_ = false;
  const std::string_view type = xml_.Attribute("element_type");
  if (type.empty()) {  // the first files of version 10 say it elsewhere
    counted_ = false;
    return;
  }
  const auto elements = ElementsOf(xml_.Attribute("shape"));
  const auto size = ReadNumber(xml_.Attribute("size"));
  if (!elements.has_value() || !size.has_value()) return Broken("a constant without shape or size");
  ++tensors_;
  if (__builtin_add_overflow(parameters_, *elements, &parameters_)) {
    return Broken("more elements than can be counted");
  }
  const ElementName* const element = FindElement(type);
  if (element == nullptr) return;  // newer than the table
  elements_by_type_[element->told] += *elements;
  std::uint64_t bits = 0;
  const bool fits = !__builtin_mul_overflow(*elements, std::uint64_t{element->bits}, &bits) &&
                    bits / 8 + (bits % 8 == 0 ? 0 : 1) <= *size;
  if (!fits) Broken("a constant of " + std::to_string(*size) + " bytes that do not fit its shape");
}

void OpenVinoReader::Tell() {
  std::uint64_t most = 0;
  for (const auto& [name, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts_.quantization = std::string(name);
  }
  if (counted_ && version_ >= kFirstVersionWithOpsets) {
    facts_.parameters = parameters_;
    facts_.tensor_count = tensors_;
  }
  if (budget_.spent()) risks_.AddSpent(xml_.offset());
  facts_.risks = std::move(risks_).Take();
}

}  // namespace

bool LooksLikeOpenVino(const FileEnds& file) {
  const auto net = FirstXmlTag(base::AsText(file.head).substr(0, kHeadBytes));
  if (!net.has_value() || net->name != "net") return false;
  const auto version = XmlAttribute(net->attributes, "version");
  if (!version.has_value() || ReadNumber(*version).value_or(kMaxVersion + 1) > kMaxVersion) {
    return false;
  }
  const auto layers = FirstXmlTag(net->rest);
  return layers.has_value() && layers->name == "layers";
}

model::Facts ParseOpenVino(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return OpenVinoReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
