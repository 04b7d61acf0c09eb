#include "agent/formats/trees/xgboost.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "agent/formats/grammars/json_reader.h"
#include "agent/formats/reading/risks.h"
#include "agent/formats/trees/ubjson_reader.h"

namespace weighmaster::agent::formats {
namespace {

// What is known of every file before it is followed.
constexpr std::size_t kHeadBytes = 4'096;
constexpr std::string_view kLearnerKey = "learner";
constexpr std::string_view kBoosterKey = "gradient_booster";
// Of a learner, in files of all versions.
constexpr std::string_view kMembers[] = {
    "attributes",          "feature_names", "feature_types",
    "gradient_booster",    "generic_param", "learner_model_param",
    "learner_train_param", "metrics",       "objective"};

// The binary form: parameters of 136 bytes, then objective and booster as texts.
constexpr std::string_view kBinaryMark = "binf";
constexpr std::size_t kObjectiveAt = 136;
constexpr std::size_t kMaxObjectiveBytes = 64;
constexpr std::string_view kObjectives[] = {
    "reg:", "binary:", "multi:", "rank:", "count:", "survival:", "gpu:"};
constexpr std::string_view kBoosters[] = {"gbtree", "gblinear", "dart"};

// Ours: JSON costs eight units a byte, and trees tell nothing that is asked for here. Of a longer
// text the rest is not read.
constexpr std::uint64_t kMaxTextBytes = 48 * base::limits::kMiB;
// Deeper containers are no part of what is asked for.
constexpr std::size_t kMaxPath = 8;

template <std::size_t count>
bool IsOneOf(const std::string_view (&names)[count], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

std::uint64_t ReadLittle64(base::ByteView bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i > 0; --i) value = (value << 8) | bytes[i - 1];
  return value;
}

// Takes parts of a text one after the other and allocates nothing.
class HeadReader {
 public:
  explicit HeadReader(std::string_view text) : rest_(text) {}

  bool Take(std::string_view part) {
    const bool found = rest_.substr(0, part.size()) == part;
    if (found) rest_.remove_prefix(part.size());
    return found;
  }
  void SkipBlanks() {
    rest_.remove_prefix(std::min(rest_.size(), rest_.find_first_not_of(" \t\r\n")));
  }
  // A JSON text without escapes.
  std::string_view TakeText() {
    SkipBlanks();
    if (!Take("\"")) return {};
    const std::string_view text = rest_.substr(0, rest_.find('"'));
    rest_.remove_prefix(std::min(rest_.size(), text.size() + 1));
    return text;
  }
  // A UBJSON key as XGBoost writes it.
  std::string_view TakeKey() {
    if (rest_.size() < 9 || !Take(std::string_view("L\0\0\0\0\0\0\0", 8))) return {};
    const auto length = static_cast<unsigned char>(rest_.front());
    const std::string_view key = rest_.substr(1, length);
    rest_.remove_prefix(1 + key.size());
    return key.size() == length ? key : std::string_view();
  }
  bool TakePastBlanks(std::string_view part) {
    SkipBlanks();
    return Take(part);
  }

 private:
  std::string_view rest_;
};

enum class Form : std::uint8_t { kNone, kJson, kUbjson, kBinary };

bool IsJson(std::string_view head) {
  HeadReader text(head);
  return text.TakePastBlanks("{") && text.TakeText() == kLearnerKey && text.TakePastBlanks(":") &&
         text.TakePastBlanks("{") && IsOneOf(kMembers, text.TakeText());
}

bool IsUbjson(std::string_view head) {
  HeadReader text(head);
  return text.Take("{") && text.TakeKey() == kLearnerKey && text.Take("{") &&
         IsOneOf(kMembers, text.TakeKey());
}

// The text at `at` behind its length.
std::optional<std::string_view> BinaryText(base::ByteView head, std::size_t at) {
  if (head.size() < at + 8) return std::nullopt;
  const std::uint64_t length = ReadLittle64(head.subspan(at));
  if (length > kMaxObjectiveBytes || length > head.size() - at - 8) return std::nullopt;
  return base::AsText(head.subspan(at + 8, static_cast<std::size_t>(length)));
}

// Its booster, where it is the binary form.
std::optional<std::string_view> BinaryBooster(base::ByteView head) {
  const bool marked =
      base::AsText(head.first(std::min(head.size(), kBinaryMark.size()))) == kBinaryMark;
  const std::size_t at = kObjectiveAt + (marked ? kBinaryMark.size() : 0);
  const auto objective = BinaryText(head, at);
  if (!objective.has_value()) return std::nullopt;
  const bool known = std::any_of(
      std::begin(kObjectives), std::end(kObjectives),
      [&](std::string_view prefix) { return objective->substr(0, prefix.size()) == prefix; });
  if (!known) return std::nullopt;
  const auto booster = BinaryText(head, at + 8 + objective->size());
  if (!booster.has_value() || !IsOneOf(kBoosters, *booster)) return std::nullopt;
  return booster;
}

Form FormOf(base::ByteView head) {
  head = head.first(std::min(head.size(), kHeadBytes));
  if (IsJson(base::AsText(head))) return Form::kJson;
  if (IsUbjson(base::AsText(head))) return Form::kUbjson;
  return BinaryBooster(head).has_value() ? Form::kBinary : Form::kNone;
}

// Goes over the tokens of JSON or UBJSON and keeps what is asked for.
class LearnerReader {
 public:
  explicit LearnerReader(WorkBudget& budget) : budget_(budget) {}

  template <typename Reader>
  JsonToken Read(Reader& reader);

  const std::string& booster() const { return booster_; }
  bool has_model() const { return has_model_; }

 private:
  enum class Key : std::uint8_t { kOther, kLearner, kBooster, kTrees, kName, kModel };

  static Key KeyOf(std::string_view text);
  void KeepText(const std::string& text);
  bool IsInBooster(std::size_t depth = 3) const {
    return depth_ == depth && path_[1] == Key::kLearner && path_[2] == Key::kBooster;
  }
  // Where "model" holds trees or weights; a booster that gives trees weights holds another.
  bool IsAroundModel() const {
    return IsInBooster() || (IsInBooster(4) && path_[3] == Key::kTrees);
  }

  WorkBudget& budget_;
  std::size_t depth_ = 0;
  // Under which keys the open containers stand.
  std::array<Key, kMaxPath> path_{};
  Key key_ = Key::kOther;
  bool has_model_ = false;
  std::string booster_;
};

LearnerReader::Key LearnerReader::KeyOf(std::string_view text) {
  if (text == kLearnerKey) return Key::kLearner;
  if (text == kBoosterKey) return Key::kBooster;
  if (text == "name") return Key::kName;
  if (text == "gbtree") return Key::kTrees;
  return text == "model" ? Key::kModel : Key::kOther;
}

void LearnerReader::KeepText(const std::string& text) {
  if (!IsInBooster() || key_ != Key::kName) return;
  budget_.Take(text.size() * work::kTextByte);
  booster_ = CleanText(text);
}

template <typename Reader>
JsonToken LearnerReader::Read(Reader& reader) {
  while (true) {
    const JsonToken token = reader.Next();
    switch (token) {
      case JsonToken::kObject:
      case JsonToken::kArray:
        if (depth_ < kMaxPath) path_[depth_] = key_;
        ++depth_;
        key_ = Key::kOther;
        break;
      case JsonToken::kEndObject:
      case JsonToken::kEndArray:
        --depth_;
        break;
      case JsonToken::kKey:
        key_ = KeyOf(reader.text());
        has_model_ = has_model_ || (IsAroundModel() && key_ == Key::kModel);
        break;
      case JsonToken::kText:
        KeepText(reader.text());
        break;
      case JsonToken::kEnd:
      case JsonToken::kBroken:
        return token;
      default:
        break;
    }
    if constexpr (std::is_same_v<Reader, JsonReader>) {
      if (reader.offset() > kMaxTextBytes) return token;
    }
  }
}

class XgBoostReader {
 public:
  XgBoostReader(ByteSource& source, WorkBudget& budget)
      : budget_(budget), cursor_(source, budget), learner_(budget) {}

  model::Facts Read() &&;

 private:
  template <typename Reader>
  void ReadLearner(Reader& reader);

  WorkBudget& budget_;
  Cursor cursor_;
  LearnerReader learner_;
  RiskList risks_;
  bool whole_ = false;
};

template <typename Reader>
void XgBoostReader::ReadLearner(Reader& reader) {
  const JsonToken last = learner_.Read(reader);
  whole_ = last == JsonToken::kEnd;
  if (last != JsonToken::kBroken || budget_.spent()) return;
  risks_.Add(RiskId::kMalformed, "an object that is broken at " + AtOffset(reader.offset()));
}

model::Facts XgBoostReader::Read() && {
  model::Facts facts;
  facts.format = model::Format::kXgBoost;
  const base::ByteView head = cursor_.Peek(kHeadBytes);
  const Form form = FormOf(head);
  if (form == Form::kNone) return {};
  if (form == Form::kBinary) facts.architecture = std::string(BinaryBooster(head).value_or(""));
  if (form == Form::kJson) {
    JsonReader reader(cursor_);
    ReadLearner(reader);
  }
  if (form == Form::kUbjson) {
    UbjsonReader reader(cursor_);
    ReadLearner(reader);
    if (whole_ && cursor_.remaining() > 0) {
      risks_.Add(RiskId::kTrailingData,
                 std::to_string(cursor_.remaining()) + " bytes from " + AtOffset(cursor_.offset()));
    }
  }
  if (whole_ && !learner_.has_model()) return {};
  if (form != Form::kBinary) facts.architecture = learner_.booster();
  if (budget_.spent()) risks_.AddSpent(cursor_.offset());
  facts.risks = std::move(risks_).Take();
  return facts;
}

}  // namespace

bool LooksLikeXgBoost(const FileEnds& file) { return FormOf(file.head) != Form::kNone; }

model::Facts ParseXgBoost(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return XgBoostReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
