#include "agent/formats/safetensors.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "agent/formats/risks.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxDimensions = 64;

struct Dtype {
  std::string_view name;
  std::uint32_t bits;
};
constexpr Dtype kDtypes[] = {
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64},
};

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

const Dtype* FindDtype(std::string_view name) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.name == name) return &dtype;
  }
  return nullptr;
}

// The header's characters for the JSON reader, straight from the cursor. A copy shares its place,
// as an input iterator's does; the end is the one without a cursor or with none left to give.
class HeaderIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  HeaderIterator() = default;
  explicit HeaderIterator(Cursor& cursor) : cursor_(&cursor) { Next(); }

  char operator*() const { return current_; }
  HeaderIterator& operator++() {
    Next();
    return *this;
  }
  friend bool operator==(const HeaderIterator& left, const HeaderIterator& right) {
    return left.cursor_ == right.cursor_;
  }
  friend bool operator!=(const HeaderIterator& left, const HeaderIterator& right) {
    return !(left == right);
  }

 private:
  void Next() {
    const auto byte = cursor_->U8();
    if (byte.has_value()) {
      current_ = static_cast<char>(*byte);
    } else {
      cursor_ = nullptr;
    }
  }

  Cursor* cursor_ = nullptr;
  char current_ = 0;
};

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// Listens to the JSON reader. Keeps 16 bytes of each tensor and nothing of its name; the first rule
// that is broken ends the reading and stays in broken().
class HeaderListener final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return Refuse("a null"); }
  bool boolean(bool) override { return Refuse("a boolean"); }
  bool number_integer(number_integer_t) override { return Refuse("a negative number"); }
  bool number_unsigned(number_unsigned_t value) override;
  bool number_float(number_float_t, const string_t&) override { return Refuse("a fraction"); }
  bool string(string_t& value) override;
  bool binary(binary_t&) override { return Refuse("binary data"); }
  bool start_object(std::size_t) override;
  bool key(string_t& value) override;
  bool end_object() override;
  bool start_array(std::size_t) override;
  bool end_array() override;
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override;

  const std::string& broken() const { return broken_; }
  // Moves name, licence, architecture, quantization and counts into `facts`.
  void Tell(model::Facts& facts);
  // Sorted by their beginning.
  const std::vector<Range>& Ranges();

 private:
  enum class Field : std::uint8_t { kNone, kDtype, kShape, kOffsets };

  bool Refuse(std::string what);
  bool StartTensor(const std::string& name);
  bool FinishTensor();
  void KeepMetadata(const std::string& value);

  std::string broken_;
  int depth_ = 0;
  bool in_metadata_ = false;
  bool in_array_ = false;
  Field field_ = Field::kNone;
  std::string metadata_key_;

  // The tensor being read.
  const Dtype* dtype_ = nullptr;
  bool has_dtype_ = false;
  std::optional<std::vector<std::uint64_t>> shape_;
  std::optional<std::vector<std::uint64_t>> offsets_;

  std::unordered_set<std::size_t> names_;  // by hash
  std::vector<Range> ranges_;
  std::map<std::string_view, std::uint64_t> bytes_by_dtype_;
  std::uint64_t parameters_ = 0;
  std::size_t best_sign_ = std::size(kNameSigns);
  model::Facts said_;
};

bool HeaderListener::Refuse(std::string what) {
  if (broken_.empty()) broken_ = std::move(what);
  return false;
}

bool HeaderListener::start_object(std::size_t) {
  if (depth_ > 1 || in_array_) return Refuse("an object where none belongs");
  ++depth_;
  return true;
}

bool HeaderListener::key(string_t& value) {
  if (depth_ == 1) {
    in_metadata_ = value == "__metadata__";
    if (!names_.insert(std::hash<std::string>{}(value)).second) {
      return Refuse("the name \"" + value.substr(0, 64) + "\" a second time");
    }
    return in_metadata_ || StartTensor(value);
  }
  if (in_metadata_) {
    metadata_key_ = value.substr(0, 64);
    return true;
  }
  field_ = value == "dtype"          ? Field::kDtype
           : value == "shape"        ? Field::kShape
           : value == "data_offsets" ? Field::kOffsets
                                     : Field::kNone;
  if (field_ == Field::kNone) return Refuse("the field \"" + value.substr(0, 64) + "\"");
  return true;
}

bool HeaderListener::StartTensor(const std::string& name) {
  if (ranges_.size() >= base::limits::kMaxTensors) return Refuse("too many tensors");
  dtype_ = nullptr;
  has_dtype_ = false;
  shape_.reset();
  offsets_.reset();
  for (std::size_t i = 0; i < best_sign_; ++i) {
    const NameSign& sign = kNameSigns[i];
    if (name.find(sign.part) == std::string::npos) continue;
    if (name.find(sign.other_part) != std::string::npos) best_sign_ = i;
  }
  return true;
}

bool HeaderListener::end_object() {
  --depth_;
  if (depth_ == 0) return true;
  const bool tensor = !in_metadata_;
  in_metadata_ = false;
  return !tensor || FinishTensor();
}

bool HeaderListener::FinishTensor() {
  if (!has_dtype_ || !shape_.has_value() || !offsets_.has_value() || offsets_->size() != 2) {
    return Refuse("a tensor without type, shape or offsets");
  }
  const Range range{(*offsets_)[0], (*offsets_)[1]};
  if (range.end < range.begin) return Refuse("a tensor that ends before it begins");
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : *shape_) {
    if (__builtin_mul_overflow(elements, extent, &elements)) {
      return Refuse("a tensor of too many elements");
    }
  }
  if (__builtin_add_overflow(parameters_, elements, &parameters_)) {
    return Refuse("more elements than can be counted");
  }
  ranges_.push_back(range);
  if (dtype_ == nullptr) return true;  // newer than the table: its size is not known
  std::uint64_t bits = 0;
  if (__builtin_mul_overflow(elements, std::uint64_t{dtype_->bits}, &bits) || bits % 8 != 0 ||
      bits / 8 != range.end - range.begin) {
    return Refuse("a tensor whose bytes do not fit its shape");
  }
  bytes_by_dtype_[dtype_->name] += bits / 8;
  return true;
}

bool HeaderListener::start_array(std::size_t) {
  const bool wanted = field_ == Field::kShape || field_ == Field::kOffsets;
  if (depth_ != 2 || in_metadata_ || in_array_ || !wanted) {
    return Refuse("an array where none belongs");
  }
  in_array_ = true;
  (field_ == Field::kShape ? shape_ : offsets_).emplace();
  return true;
}

bool HeaderListener::end_array() {
  in_array_ = false;
  return true;
}

bool HeaderListener::number_unsigned(number_unsigned_t value) {
  if (!in_array_) return Refuse("a number where none belongs");
  auto& numbers = field_ == Field::kShape ? *shape_ : *offsets_;
  if (numbers.size() >= kMaxDimensions) return Refuse("too many dimensions");
  numbers.push_back(value);
  return true;
}

bool HeaderListener::string(string_t& value) {
  if (depth_ != 2 || in_array_) return Refuse("a text where none belongs");
  if (in_metadata_) {
    KeepMetadata(value);
    return true;
  }
  if (field_ != Field::kDtype) return Refuse("a text where none belongs");
  dtype_ = FindDtype(value);
  has_dtype_ = true;
  return true;
}

void HeaderListener::KeepMetadata(const std::string& value) {
  if (metadata_key_ == "license" || metadata_key_ == "modelspec.license") {
    said_.license = CleanText(value);
  } else if (metadata_key_ == "name" || metadata_key_ == "modelspec.title") {
    said_.name = CleanText(value);
  } else if (metadata_key_ == "architecture" || metadata_key_ == "modelspec.architecture") {
    said_.architecture = CleanText(value);
  }
}

bool HeaderListener::parse_error(std::size_t position, const std::string&,
                                 const nlohmann::json::exception&) {
  return Refuse("a header that is no JSON, at its byte " + std::to_string(position));
}

void HeaderListener::Tell(model::Facts& facts) {
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

const std::vector<Range>& HeaderListener::Ranges() {
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

}  // namespace

bool LooksLikeSafetensors(base::ByteView head, std::uint64_t file_size) {
  if (head.size() <= kLengthBytes + 1 || head[kLengthBytes] != '{') return false;
  const std::uint64_t length = HeaderLength(head);
  if (length < 2 || length > base::limits::kMaxHeaderBytes) return false;
  const std::uint8_t second = head[kLengthBytes + 1];
  if (second == '"') return true;
  const bool blank_or_empty = second == '}' || second == ' ' || second == '\n' || second == '\t';
  return blank_or_empty && length + kLengthBytes <= file_size;
}

model::Facts ParseSafetensors(ByteSource& source, ReadBudget& budget) {
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
  HeaderListener listener;
  nlohmann::json::sax_parse(HeaderIterator(cursor), HeaderIterator(), &listener);
  listener.Tell(facts);
  const std::uint64_t data_bytes = source.size() - data_begin;
  const std::vector<Range>& ranges = listener.Ranges();
  std::string broken = listener.broken();
  if (broken.empty()) broken = CheckRanges(ranges, data_bytes);
  const std::uint64_t end = ranges.empty() ? 0 : ranges.back().end;
  if (!broken.empty()) {
    risks.Add(RiskId::kMalformed, broken + ", read to " + AtOffset(cursor.offset()));
  } else if (end < data_bytes) {
    risks.Add(RiskId::kTrailingData,
              std::to_string(data_bytes - end) + " bytes from " + AtOffset(data_begin + end));
  }
  facts.risks = std::move(risks).Take();
  return facts;
}

}  // namespace weighmaster::agent::formats
