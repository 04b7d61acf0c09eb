#include "agent/formats/weights/safetensors.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/formats/grammars/json_reader.h"
#include "agent/formats/reading/name_hashes.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxDimensions = 64;
constexpr std::size_t kMaxMetadataKeyBytes = 64;
// So many names, and so much of each, are asked for the architecture: they are alike in all layers.
constexpr std::size_t kMaxNamesLookedAt = 4'096;
constexpr std::size_t kMaxNameBytes = 256;

// What a tensor's name says of the architecture. The first row of which some name holds both parts
// decides.
struct NameSign {
  std::string_view part;
  std::string_view other_part;
  std::string_view architecture;
};
constexpr NameSign kNameSigns[] = {
    {"lora_A", "", "lora"},
    {"lora_down", "", "lora"},
    {"double_blocks.", "", "flux"},
    {"model.diffusion_model.", "", "stable_diffusion"},
    {"first_stage_model.", "", "stable_diffusion"},
    {"down_blocks.", "attentions", "diffusers_unet"},
    {"block_sparse_moe.", "", "mixtral"},
    {"gpt_neox.layers.", "", "gpt_neox"},
    {".time_mix_", "", "rwkv"},
    {".mixer.A_log", "", "mamba"},
    {"model.decoder.layers.", "encoder_attn", "encoder_decoder"},
    {"model.layers.", "self_attn.q_proj", "llama"},
    {"model.layers.", "self_attn.qkv_proj", "phi3"},
    {"h.", "attn.c_attn", "gpt2"},
    {"text_model.encoder.layers.", "", "clip"},
    {"vision_model.encoder.layers.", "", "clip"},
    {"encoder.block.", "SelfAttention", "t5"},
    {"encoder.layer.", "attention.self.query", "bert"},
};

// Null: newer than the table of types.
const ElementType* FindDtype(std::string_view name) {
  const ElementType* const type = FindElementType(name);
  return type == nullptr || type->has_blocks_in_rows() ? nullptr : type;
}

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

std::string_view Describe(JsonToken token) {
  switch (token) {
    case JsonToken::kObject:
      return "an object";
    case JsonToken::kArray:
      return "an array";
    case JsonToken::kText:
      return "a text";
    case JsonToken::kUnsigned:
      return "a number";
    case JsonToken::kOtherNumber:
      return "a number that is negative, a fraction or too large";
    case JsonToken::kBoolean:
      return "a boolean";
    case JsonToken::kNull:
      return "a null";
    default:
      return "an end";
  }
}

// Reads the header once, from its first byte to its last. Keeps 24 bytes of each tensor and nothing
// of its name. The first rule that is broken ends the reading and stays in broken().
class HeaderReader {
 public:
  HeaderReader(Cursor& cursor, TensorMapWriter& tensors)
      : budget_(cursor.budget()), json_(cursor), tensors_(tensors) {}

  void Read();

  const std::string& broken() const { return broken_; }
  std::uint64_t offset() const { return json_.offset(); }
  // Moves name, licence, architecture, quantization and counts into `facts`.
  void Tell(model::Facts& facts);
  // Sorted by their beginning.
  const std::vector<Range>& Ranges();

 private:
  struct Entry {
    Tensor tensor;
    bool has_dtype = false;
    bool has_shape = false;
    bool has_offsets = false;
    std::uint64_t elements = 1;
    Range range;
  };

  // Each leaves the reader behind what it is named for, or returns false.
  bool ReadMetadata();
  bool ReadTensor();
  bool ReadField(Entry& entry);
  bool ReadDtype(Entry& entry);
  bool ReadShape(Entry& entry);
  bool ReadOffsets(Entry& entry);
  bool AddTensor(const Entry& entry);
  bool Expect(JsonToken token);

  bool Refuse(std::string what);
  bool RefuseToken(JsonToken token);
  void LookAtName(std::string_view name);
  void KeepMetadata(std::string_view key, const std::string& value);

  WorkBudget& budget_;
  JsonReader json_;
  TensorMapWriter& tensors_;
  std::string broken_;
  NameHashes names_;
  std::size_t names_read_ = 0;
  std::vector<Range> ranges_;
  std::map<std::string_view, std::uint64_t> bytes_by_dtype_;
  std::uint64_t parameters_ = 0;
  std::size_t best_sign_ = std::size(kNameSigns);
  model::Facts said_;
};

bool HeaderReader::Refuse(std::string what) {
  if (broken_.empty()) broken_ = std::move(what);
  return false;
}

bool HeaderReader::RefuseToken(JsonToken token) {
  if (token == JsonToken::kBroken) return Refuse("a header that is no JSON");
  return Refuse(std::string(Describe(token)) + " where none belongs");
}

bool HeaderReader::Expect(JsonToken token) {
  const JsonToken found = json_.Next();
  return found == token || RefuseToken(found);
}

void HeaderReader::Read() {
  if (!Expect(JsonToken::kObject)) return;
  JsonToken token = json_.Next();
  for (; token == JsonToken::kKey; token = json_.Next()) {
    names_.Add(json_.hash());
    ++names_read_;
    if (!(json_.text() == "__metadata__" ? ReadMetadata() : ReadTensor())) return;
  }
  if (token != JsonToken::kEndObject) {
    RefuseToken(token);
  } else if (Expect(JsonToken::kEnd) && names_.HoldOneTwice()) {
    Refuse("a tensor's name a second time");
  }
}

bool HeaderReader::ReadMetadata() {
  if (!Expect(JsonToken::kObject)) return false;
  JsonToken token = json_.Next();
  for (; token == JsonToken::kKey; token = json_.Next()) {
    const std::string key = json_.text().substr(0, kMaxMetadataKeyBytes);
    if (!Expect(JsonToken::kText)) return false;
    KeepMetadata(key, json_.text());
  }
  return token == JsonToken::kEndObject || RefuseToken(token);
}

void HeaderReader::KeepMetadata(std::string_view key, const std::string& value) {
  budget_.Take(value.size() * work::kTextByte);
  if (key == "license" || key == "modelspec.license") {
    said_.license = CleanText(value);
  } else if (key == "name" || key == "modelspec.title") {
    said_.name = CleanText(value);
  } else if (key == "architecture" || key == "modelspec.architecture") {
    said_.architecture = CleanText(value);
  }
}

bool HeaderReader::ReadTensor() {
  if (ranges_.size() >= base::limits::kMaxTensors) return Refuse("too many tensors");
  budget_.Take(work::kTensor);
  LookAtName(json_.text());
  if (!Expect(JsonToken::kObject)) return false;
  Entry entry;
  JsonToken token = json_.Next();
  for (; token == JsonToken::kKey; token = json_.Next()) {
    if (!ReadField(entry)) return false;
  }
  return token == JsonToken::kEndObject ? AddTensor(entry) : RefuseToken(token);
}

bool HeaderReader::ReadField(Entry& entry) {
  const std::string& name = json_.text();
  if (name == "dtype" && !entry.has_dtype) return ReadDtype(entry);
  if (name == "shape" && !entry.has_shape) return ReadShape(entry);
  if (name == "data_offsets" && !entry.has_offsets) return ReadOffsets(entry);
  return Refuse("the field \"" + name.substr(0, kMaxMetadataKeyBytes) + "\"");
}

bool HeaderReader::ReadDtype(Entry& entry) {
  if (!Expect(JsonToken::kText)) return false;
  entry.tensor.type = FindDtype(json_.text());
  entry.has_dtype = true;
  return true;
}

bool HeaderReader::ReadShape(Entry& entry) {
  if (!Expect(JsonToken::kArray)) return false;
  entry.has_shape = true;
  JsonToken token = json_.Next();
  for (; token == JsonToken::kUnsigned; token = json_.Next()) {
    budget_.Take(work::kExtent);
    if (entry.tensor.dims.size() == kMaxDimensions) return Refuse("too many dimensions");
    if (__builtin_mul_overflow(entry.elements, json_.number(), &entry.elements)) {
      return Refuse("a tensor of too many elements");
    }
    entry.tensor.dims.push_back(json_.number());
  }
  return token == JsonToken::kEndArray || RefuseToken(token);
}

bool HeaderReader::ReadOffsets(Entry& entry) {
  if (!Expect(JsonToken::kArray)) return false;
  entry.has_offsets = true;
  if (!Expect(JsonToken::kUnsigned)) return false;
  entry.range.begin = json_.number();
  if (!Expect(JsonToken::kUnsigned)) return false;
  entry.range.end = json_.number();
  entry.tensor.begin = entry.range.begin;
  return Expect(JsonToken::kEndArray);
}

void HeaderReader::LookAtName(std::string_view name) {
  if (names_read_ > kMaxNamesLookedAt) return;
  name = name.substr(0, kMaxNameBytes);
  for (std::size_t i = 0; i < best_sign_; ++i) {
    const NameSign& sign = kNameSigns[i];
    if (name.find(sign.part) == std::string::npos) continue;
    if (name.find(sign.other_part) != std::string::npos) best_sign_ = i;
  }
}

bool HeaderReader::AddTensor(const Entry& entry) {
  if (!entry.has_dtype || !entry.has_shape || !entry.has_offsets) {
    return Refuse("a tensor without type, shape or offsets");
  }
  const Range range = entry.range;
  if (range.end < range.begin) return Refuse("a tensor that ends before it begins");
  if (__builtin_add_overflow(parameters_, entry.elements, &parameters_)) {
    return Refuse("more elements than can be counted");
  }
  ranges_.push_back(range);
  tensors_.Add(entry.tensor);
  const ElementType* const type = entry.tensor.type;
  if (type == nullptr) return true;  // its size is not known
  const auto bytes = BytesOf(*type, entry.tensor.dims);
  if (bytes != range.end - range.begin) {
    return Refuse("a tensor whose bytes do not fit its shape");
  }
  bytes_by_dtype_[type->name] += *bytes;
  return true;
}

void HeaderReader::Tell(model::Facts& facts) {
  facts.name = said_.name;
  facts.license = said_.license;
  facts.architecture = said_.architecture;
  if (facts.architecture.empty() && best_sign_ < std::size(kNameSigns)) {
    facts.architecture = std::string(kNameSigns[best_sign_].architecture);
  }
  std::uint64_t most = 0;
  for (const auto& [dtype, bytes] : bytes_by_dtype_) {
    if (bytes < most) continue;
    most = bytes;
    facts.quantization = std::string(dtype);
  }
  if (!broken_.empty()) return;
  facts.parameters = parameters_;
  facts.tensor_count = ranges_.size();
}

const std::vector<Range>& HeaderReader::Ranges() {
  std::sort(ranges_.begin(), ranges_.end(), [](const Range& left, const Range& right) {
    return std::pair(left.begin, left.end) < std::pair(right.begin, right.end);
  });
  return ranges_;
}

std::uint64_t HeaderLength(base::ByteView head) {
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i > 0; --i) length = (length << 8) | head[i - 1];
  return length;
}

// Empty when the tensors fill the data exactly; otherwise what is wrong.
std::string CheckRanges(const std::vector<Range>& ranges, std::uint64_t data_bytes) {
  std::uint64_t end = 0;
  for (const Range& range : ranges) {
    if (range.begin != end) {
      return "a tensor at " + AtOffset(range.begin) + " of the data instead of " + AtOffset(end);
    }
    end = range.end;
  }
  if (end > data_bytes) {
    return "tensors of " + std::to_string(end) + " bytes in " + std::to_string(data_bytes) +
           " bytes of data";
  }
  return {};
}

void CheckHeader(HeaderReader& header, std::uint64_t data_begin, std::uint64_t data_bytes,
                 RiskList& risks) {
  std::string broken = header.broken();
  const std::vector<Range>& ranges = header.Ranges();
  if (broken.empty()) broken = CheckRanges(ranges, data_bytes);
  const std::uint64_t end = ranges.empty() ? 0 : ranges.back().end;
  if (!broken.empty()) {
    risks.Add(RiskId::kMalformed, broken + ", read to " + AtOffset(header.offset()));
  } else if (end < data_bytes) {
    risks.Add(RiskId::kTrailingData,
              std::to_string(data_bytes - end) + " bytes from " + AtOffset(data_begin + end));
  }
}

// Whether a text begins a safetensors header and nothing else: `{"__metadata__":{`, or a name whose
// value is an object that begins with a tensor's field.
enum class HeaderSign : std::uint8_t {
  kNone,
  kCutOff,  // like one as far as it goes
  kShown,
};

class HeaderSignReader {
 public:
  explicit HeaderSignReader(std::string_view text) : rest_(text) {}

  HeaderSign Read();

 private:
  // Each takes what it is named for, or says in sign_ why not.
  bool Take(char c);
  bool TakeText(std::string_view& text);
  bool Stop() {
    sign_ = rest_.empty() ? HeaderSign::kCutOff : HeaderSign::kNone;
    return false;
  }

  std::string_view rest_;
  HeaderSign sign_ = HeaderSign::kShown;
};

bool HeaderSignReader::Take(char c) {
  rest_.remove_prefix(std::min(rest_.size(), rest_.find_first_not_of(" \n\r\t")));
  if (rest_.empty() || rest_.front() != c) return Stop();
  rest_.remove_prefix(1);
  return true;
}

bool HeaderSignReader::TakeText(std::string_view& text) {
  if (!Take('"')) return false;
  const std::string_view from = rest_;
  while (!rest_.empty() && rest_.front() != '"') {
    if (static_cast<unsigned char>(rest_.front()) < 0x20) return Stop();
    rest_.remove_prefix(rest_.front() == '\\' ? std::min<std::size_t>(2, rest_.size()) : 1);
  }
  text = from.substr(0, from.size() - rest_.size());
  return Take('"');
}

HeaderSign HeaderSignReader::Read() {
  constexpr std::string_view kFields[] = {"dtype", "shape", "data_offsets"};
  std::string_view name;
  std::string_view field;
  const bool object = Take('{') && TakeText(name) && Take(':') && Take('{');
  if (!object || name == "__metadata__" || !TakeText(field) || !Take(':')) return sign_;
  const bool known = std::find(std::begin(kFields), std::end(kFields), field) != std::end(kFields);
  return known ? HeaderSign::kShown : HeaderSign::kNone;
}

}  // namespace

bool LooksLikeSafetensors(const FileEnds& file) {
  const base::ByteView head = file.head;
  if (head.size() <= kLengthBytes + 1 || head[kLengthBytes] != '{') return false;
  const std::uint64_t length = HeaderLength(head);
  const bool allowed = length >= 2 && length <= base::limits::kMaxHeaderBytes;
  if (allowed && length + kLengthBytes <= file.size) {
    constexpr std::string_view kSeconds = "\"} \n\t";
    return kSeconds.find(static_cast<char>(head[kLengthBytes + 1])) != std::string_view::npos;
  }
  // The length lies, or the file was cut off: only what the header says can tell.
  const HeaderSign sign = HeaderSignReader(base::AsText(head.subspan(kLengthBytes))).Read();
  return sign == HeaderSign::kShown || (allowed && sign == HeaderSign::kCutOff);
}

model::Facts ParseSafetensors(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) {
  tensors.Begin();
  model::Facts facts;
  facts.format = model::Format::kSafetensors;
  RiskList risks;
  Cursor length_cursor(source, budget);
  const std::uint64_t length = length_cursor.U64().value_or(0);
  const std::uint64_t data_begin = kLengthBytes + length;
  if (length > base::limits::kMaxHeaderBytes || data_begin > source.size()) {
    risks.Add(RiskId::kMalformed, "a header of " + std::to_string(length) + " bytes");
    facts.risks = std::move(risks).Take();
    return facts;
  }
  Cursor cursor(source, budget, kLengthBytes, data_begin);
  tensors.set_base(data_begin);
  HeaderReader header(cursor, tensors);
  header.Read();
  header.Tell(facts);
  if (budget.spent()) {
    risks.AddSpent(header.offset());
  } else {
    CheckHeader(header, data_begin, source.size() - data_begin, risks);
  }
  facts.risks = std::move(risks).Take();
  return facts;
}

}  // namespace weighmaster::agent::formats
