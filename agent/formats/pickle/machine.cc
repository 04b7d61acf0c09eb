#include "agent/formats/pickle/machine.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "agent/formats/pickle/coding.h"
#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {
namespace {

namespace limits = base::limits;

constexpr std::size_t kMaxNameBytes = 511;  // a longer text names no import
constexpr std::size_t kMaxGroupValues = 2 * limits::kMaxPickleStack;  // over all groups
constexpr std::size_t kMaxGroup = 64;       // values of one; longer ones are data
constexpr std::size_t kMaxImports = 4'096;  // distinct ones
constexpr std::size_t kMaxEmbedded = 64;
constexpr std::size_t kMinEmbeddedBytes = 6;
constexpr std::size_t kMaxSetAside = 16;
constexpr std::size_t kProbeBytes = 256;  // of data that may be a pickle
constexpr std::size_t kMaxAlarms = 16;    // of one kind in one stream
constexpr std::size_t kMaxResolved = 4'096;
// Picklers remember what they imported; so many names are read from the file, and no more.
constexpr std::size_t kMaxNamesRead = 1U << 18;

// The escapes of a Python text literal, as STRING has them; UNICODE has only \u and \U.
std::string Unescape(std::string_view text, bool only_unicode) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char kind = text[++i];
    const std::size_t digits = kind == 'u' ? 4 : kind == 'U' ? 8 : kind == 'x' ? 2 : 0;
    const bool wanted = only_unicode ? digits > 2 : digits == 2;
    if (wanted && i + digits < text.size()) {
      std::uint32_t value = 0;
      const char* begin = text.data() + i + 1;
      std::from_chars(begin, begin + digits, value, 16);
      out += value < 0x80 ? static_cast<char>(value) : '?';
      i += digits;
    } else if (!only_unicode && kind >= '0' && kind <= '7') {
      std::uint32_t value = 0;
      const std::size_t most = std::min<std::size_t>(3, text.size() - i);
      const auto end = std::from_chars(text.data() + i, text.data() + i + most, value, 8).ptr;
      out += static_cast<char>(value & 0x7f);
      i = static_cast<std::size_t>(end - text.data()) - 1;
    } else {
      if (only_unicode) out += '\\';
      out += kind;
    }
  }
  return out;
}

// Bytes of one element by a numpy dtype code ("f8", "|b1", "<U10"); 0: a Python object or unknown.
std::uint64_t ElementBytes(std::string_view code) {
  while (!code.empty() && std::string_view("<>=|").find(code.front()) != code.npos) {
    code.remove_prefix(1);
  }
  if (code.empty() || code.front() == 'O') return 0;
  if (code == "?") return 1;
  std::uint64_t bytes = 0;
  std::from_chars(code.data() + 1, code.data() + code.size(), bytes);
  return code.front() == 'U' ? bytes * 4 : bytes;
}

std::string_view TypeOfStorage(std::string_view name) {
  struct Row {
    std::string_view storage;
    std::string_view type;
  };
  constexpr Row kRows[] = {{"FloatStorage", "F32"},
                           {"float32", "F32"},
                           {"HalfStorage", "F16"},
                           {"float16", "F16"},
                           {"BFloat16Storage", "BF16"},
                           {"bfloat16", "BF16"},
                           {"DoubleStorage", "F64"},
                           {"float64", "F64"},
                           {"LongStorage", "I64"},
                           {"int64", "I64"},
                           {"IntStorage", "I32"},
                           {"int32", "I32"},
                           {"ShortStorage", "I16"},
                           {"int16", "I16"},
                           {"CharStorage", "I8"},
                           {"int8", "I8"},
                           {"ByteStorage", "U8"},
                           {"uint8", "U8"},
                           {"BoolStorage", "BOOL"},
                           {"bool", "BOOL"},
                           {"ComplexFloatStorage", "C64"},
                           {"complex64", "C64"},
                           {"ComplexDoubleStorage", "C128"},
                           {"complex128", "C128"},
                           {"complex32", "C32"},
                           {"uint16", "U16"},
                           {"uint32", "U32"},
                           {"uint64", "U64"},
                           {"QInt8Storage", "QI8"},
                           {"QUInt8Storage", "QU8"},
                           {"float8_e4m3fn", "F8_E4M3"},
                           {"float8_e5m2", "F8_E5M2"},
                           {"float8_e4m3fnuz", "F8_E4M3FNUZ"},
                           {"float8_e5m2fnuz", "F8_E5M2FNUZ"},
                           {"float8_e8m0fnu", "F8_E8M0"}};
  for (const Row& row : kRows) {
    if (row.storage == name) return row.type;
  }
  return {};
}

}  // namespace

PickleMachine::PickleMachine(Cursor& cursor, PickleContent& content, RiskList& risks,
                             std::string place)
    : cursor_(cursor), content_(content), risks_(risks), place_(std::move(place)) {}

std::string PickleMachine::Here() const {
  return std::string(opcode_ == nullptr ? "start" : opcode_->name) + " at " + AtOffset(op_offset_);
}

void PickleMachine::Alarm(RiskId id, std::string_view what) {
  // Whatever it was that could not be followed, it may have made a tensor.
  if (id != RiskId::kPickleFramesDisagree) NoteGap(model::WeightsReason::kIncomplete);
  if (++alarms_[id] <= kMaxAlarms) {
    cursor_.budget().Take(work::kRisk);
    risks_.Add(id, place_ + std::string(what) + ": " + Here());
  } else if (id == RiskId::kMalformed) {
    given_up_ = true;
  }
}

bool PickleMachine::Run() {
  const std::uint64_t begin = cursor_.offset();
  while (!stopped_) {
    op_offset_ = cursor_.offset();
    cursor_.budget().Take(work::kOpcode);
    const auto code = cursor_.U8();
    if (!code.has_value()) return BreakOff();
    const PickleOpcode* opcode = FindPickleOpcode(*code);
    if (opcode == nullptr) {
      risks_.Add(RiskId::kMalformed, place_ + "byte " + std::to_string(*code) +
                                         " is no opcode: " + AtOffset(op_offset_));
      return false;
    }
    opcode_ = opcode;
    if (opcode->code == kProto && op_offset_ != begin && set_aside_.empty()) {
      Malformed("a protocol mark in the middle");
    }
    if (!Step(*opcode)) return BreakOff();
    if (given_up_) return false;
  }
  // Something that is no function of torch's took one, and what it made of it is not known.
  if (!unused_storages_.empty()) NoteGap(model::WeightsReason::kIncomplete);
  return true;
}

// A spent budget is told once, for the whole file.
bool PickleMachine::BreakOff() {
  const ReadFailure failure = cursor_.failure();
  if (failure != ReadFailure::kNone && !cursor_.budget().spent()) {
    Malformed(ReadFailureText(failure));
  }
  return false;
}

bool PickleMachine::Step(const PickleOpcode& opcode) {
  switch (opcode.code) {
    case kMark:
      Mark();
      return true;
    case kStop:
      StopStream();
      return true;
    case kPop:
      PopOrMark();
      return true;
    case kDup: {
      const Value top = Pop();
      Push(top);
      Push(top);
      return true;
    }
    case kEmptyTuple:
      MakeTuple(0);
      return true;
    case kTuple1:
      MakeTuple(1);
      return true;
    case kTuple2:
      MakeTuple(2);
      return true;
    case kTuple3:
      MakeTuple(3);
      return true;
    case kTuple:
      Push(PopToMark(kMaxGroup));
      return true;
    case kSetitems:
      SetItems();
      return true;
    case kGlobal:
    case kInst:
      return ImportLines(opcode);
    case kStackGlobal:
      return ImportFromStack();
    case kExt1:
    case kExt2:
    case kExt4:
      ImportExtension();
      return SkipArgument(opcode.argument);
    case kReduce:
    case kObj:
    case kNewobj:
    case kNewobjEx:
      Call(opcode);
      return true;
    case kBuild:
      return Build();
    case kBinpersid:
      Push(Persist(Pop()));
      return true;
    case kGet:
    case kBinget:
    case kLongBinget:
    case kPut:
    case kBinput:
    case kLongBinput:
    case kMemoize:
      return Memo(opcode);
    case kFrame:
      return Frame();
    default:
      return StepData(opcode);
  }
}

bool PickleMachine::StepData(const PickleOpcode& opcode) {
  switch (opcode.code) {
    case kInt:
    case kLong:
    case kString:
    case kUnicode:
    case kPersid:
      return PushLine(opcode.code);
    case kBinint:
    case kBinint1:
    case kBinint2:
      return PushInteger(opcode);
    case kLong1:
      return PushLong();
    case kBinbytes:
    case kShortBinbytes:
    case kBinbytes8:
    case kBytearray8:
    case kBinstring:
    case kShortBinstring:
    case kBinunicode:
    case kShortBinunicode:
    case kBinunicode8:
      return PushText(opcode);
    default:
      break;
  }
  if (!SkipArgument(opcode.argument)) return false;
  if (opcode.to_mark) PopToMark(0);
  const bool makes_dict = opcode.code == 0x7d || opcode.code == 0x64;
  // What all others that take and leave something do is change the deepest of what they take.
  Value left{makes_dict ? Kind::kDict : Kind::kUnknown, -1};
  for (int i = 0; i < opcode.pops; ++i) left = Pop();
  for (int i = 0; i < opcode.pushes; ++i) Push(left);
  return true;
}

void PickleMachine::StopStream() {
  Pop();
  if (set_aside_.empty()) {
    stopped_ = true;
    return;
  }
  state_ = std::move(set_aside_.back());
  set_aside_.pop_back();
  values_set_aside_ -= state_.stack.size() + state_.memo.size();
}

// Begins a stream within this one; false: they are nested too deeply.
bool PickleMachine::SetAside() {
  if (set_aside_.size() >= kMaxSetAside) {
    Opaque("streams nested too deeply");
    return false;
  }
  values_set_aside_ += state_.stack.size() + state_.memo.size();
  set_aside_.push_back(std::exchange(state_, State{}));
  return true;
}

bool PickleMachine::SkipArgument(PickleArgument argument) {
  switch (argument) {
    case PickleArgument::kNone:
      return true;
    case PickleArgument::kFixed1:
      return cursor_.Skip(1);
    case PickleArgument::kFixed2:
      return cursor_.Skip(2);
    case PickleArgument::kFixed4:
      return cursor_.Skip(4);
    case PickleArgument::kFixed8:
      return cursor_.Skip(8);
    case PickleArgument::kLine:
      return cursor_.Line(0).has_value();
    case PickleArgument::kTwoLines:
      return cursor_.Line(0).has_value() && cursor_.Line(0).has_value();
    default:
      break;
  }
  const auto length = ReadLength(argument);
  return length.has_value() && cursor_.Skip(*length);
}

std::optional<std::uint64_t> PickleMachine::ReadLength(PickleArgument argument) {
  if (argument == PickleArgument::kLength1) return cursor_.U8();
  if (argument == PickleArgument::kLength4) return cursor_.U32();
  return cursor_.U64();
}

std::optional<std::uint32_t> PickleMachine::ReadFixed(PickleArgument argument) {
  if (argument == PickleArgument::kFixed1) return cursor_.U8();
  if (argument == PickleArgument::kFixed2) return cursor_.U16();
  return cursor_.U32();
}

std::int64_t PickleMachine::PackText(std::uint64_t offset, std::uint64_t length, TextForm form) {
  const bool fits = length <= kMaxNameBytes && offset < (1ULL << 50);
  if (!fits) form = TextForm::kTooLong;
  const std::uint64_t packed = fits ? (offset << 11) | (length << 2) : 0;
  return static_cast<std::int64_t>(packed | static_cast<std::uint64_t>(form));
}

std::optional<std::string> PickleMachine::ReadText(Value text) {
  if (text.kind != Kind::kText && text.kind != Kind::kDtype) return std::nullopt;
  const auto packed = static_cast<std::uint64_t>(text.number);
  const auto form = static_cast<TextForm>(packed & 3);
  if (form == TextForm::kTooLong) return std::nullopt;
  base::Bytes bytes((packed >> 2) & kMaxNameBytes);
  const auto got = cursor_.source().ReadAt(packed >> 11, bytes);
  if (!got.has_value() || *got != bytes.size()) return std::nullopt;
  cursor_.budget().Take(work::kRefill + bytes.size() * work::kByte);
  if (form == TextForm::kUtf8) return std::string(base::AsText(bytes));
  return Unescape(base::AsText(bytes), form == TextForm::kRawEscape);
}

bool PickleMachine::PushText(const PickleOpcode& opcode) {
  const auto length = ReadLength(opcode.argument);
  if (!length.has_value()) return false;
  const std::uint64_t begin = cursor_.offset();
  if (*length > cursor_.remaining()) return cursor_.Skip(*length);
  LookInside(begin, *length);
  const bool bytes = opcode.code == kBinbytes || opcode.code == kShortBinbytes ||
                     opcode.code == kBinbytes8 || opcode.code == kBytearray8;
  Push(bytes ? Value{Kind::kBytes, -1}
             : Value{Kind::kText, PackText(begin, *length, TextForm::kUtf8)});
  return cursor_.Skip(*length);
}

bool PickleMachine::PushLine(std::uint8_t code) {
  cursor_.budget().Take(work::kOpcodeLine);
  const std::uint64_t begin = cursor_.offset();
  const auto line = cursor_.Line(kMaxNameBytes + 1);
  if (!line.has_value()) return false;
  const std::uint64_t length = cursor_.offset() - begin - 1;
  switch (code) {
    case kString: {
      const bool quoted = length >= 2 && (line->front() == '\'' || line->front() == '"');
      if (!quoted) Malformed("a text without quotes");
      if (quoted) LookInside(begin + 1, length - 2);
      Push({Kind::kText, quoted ? PackText(begin + 1, length - 2, TextForm::kQuoted)
                                : PackText(0, kMaxNameBytes + 1, TextForm::kTooLong)});
      break;
    }
    case kUnicode:
      LookInside(begin, length);
      Push({Kind::kText, PackText(begin, length, TextForm::kRawEscape)});
      break;
    case kPersid:
      PushKind(Kind::kUnknown);
      break;
    default: {
      std::int64_t number = 0;
      const auto end = std::from_chars(line->data(), line->data() + line->size(), number);
      Push(end.ec == std::errc() ? Value{Kind::kInteger, number} : Value{});
    }
  }
  return cursor_.Seek(begin + length + 1);
}

bool PickleMachine::PushInteger(const PickleOpcode& opcode) {
  const auto number = ReadFixed(opcode.argument);
  if (!number.has_value()) return false;
  const bool is_signed = opcode.code == kBinint;
  Push({Kind::kInteger,
        is_signed ? static_cast<std::int32_t>(*number) : static_cast<std::int64_t>(*number)});
  return true;
}

bool PickleMachine::PushLong() {
  const auto length = cursor_.U8();
  if (!length.has_value()) return false;
  if (*length > 8) {
    PushKind(Kind::kUnknown);
    return cursor_.Skip(*length);
  }
  std::array<std::uint8_t, 8> bytes{};
  if (!cursor_.Read(std::span(bytes).first(*length))) return false;
  const bool negative = *length > 0 && (bytes[*length - 1U] & 0x80) != 0;
  std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
  for (std::size_t i = *length; i > 0; --i) value = (value << 8) | bytes[i - 1];
  Push({Kind::kInteger, static_cast<std::int64_t>(value)});
  return true;
}

bool PickleMachine::Frame() {
  const auto length = cursor_.U64();
  if (!length.has_value()) return false;
  const bool overlaps = op_offset_ < state_.frame_end;
  if (overlaps || *length > cursor_.remaining()) {
    Alarm(RiskId::kPickleFramesDisagree, "a frame");
  }
  state_.frame_end = cursor_.offset() + std::min(*length, cursor_.remaining());
  return true;
}

// --- The stack and the memo ---

void PickleMachine::Mark() {
  if (state_.marks.size() >= limits::kMaxPickleStack) {
    Opaque("more marks than can be followed");
    return;
  }
  state_.marks.push_back(state_.stack.size());
}

void PickleMachine::PopOrMark() {
  const bool empty = state_.stack.size() == Fence();
  if (empty && !state_.marks.empty()) {
    state_.marks.pop_back();
  } else {
    Pop();
  }
}

PickleMachine::Value PickleMachine::Pop() {
  if (state_.stack.size() <= Fence()) {
    Malformed("the stack is empty");
    return {Kind::kLost, -1};
  }
  const Value top = state_.stack.back();
  state_.stack.pop_back();
  return top;
}

void PickleMachine::Push(Value value) {
  if (state_.stack.size() + values_set_aside_ >= limits::kMaxPickleStack) {
    Opaque("more values than can be followed");
    return;
  }
  state_.stack.push_back(value);
}

PickleMachine::Value PickleMachine::MakeGroup(Kind kind, std::vector<Value>::const_iterator begin,
                                              std::size_t count) {
  if (values_.size() + count > kMaxGroupValues || groups_.size() >= kMaxGroupValues) {
    return {kind == Kind::kTuple ? Kind::kUnknown : kind, -1};
  }
  groups_.push_back(
      {static_cast<std::uint32_t>(values_.size()), static_cast<std::uint32_t>(count)});
  values_.insert(values_.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
  return {kind, static_cast<std::int64_t>(groups_.size() - 1)};
}

void PickleMachine::MakeTuple(std::size_t count) {
  if (state_.stack.size() - Fence() < count) {
    for (std::size_t i = 0; i < count; ++i) Pop();
    PushKind(Kind::kLost);
    return;
  }
  const auto begin = state_.stack.cend() - static_cast<std::ptrdiff_t>(count);
  const Value tuple = MakeGroup(Kind::kTuple, begin, count);
  state_.stack.resize(state_.stack.size() - count);
  Push(tuple);
}

PickleMachine::Value PickleMachine::PopToMark(std::size_t most) {
  if (state_.marks.empty()) {
    Malformed("there is no mark");
    return {Kind::kLost, -1};
  }
  const std::size_t begin = std::min(state_.marks.back(), state_.stack.size());
  const std::size_t count = state_.stack.size() - begin;
  state_.marks.pop_back();
  Value group;
  if (count <= most) {
    group =
        MakeGroup(Kind::kTuple, state_.stack.cbegin() + static_cast<std::ptrdiff_t>(begin), count);
  }
  state_.stack.resize(begin);
  return group;
}

void PickleMachine::SetItems() {
  // Contents of a dict are of interest only as the state of a joblib array.
  const Value items = PopToMark(joblib_ ? kMaxGroup : 0);
  const Value target = Pop();
  const bool keep = joblib_ && target.kind == Kind::kDict && items.kind == Kind::kTuple;
  Push(keep ? Value{Kind::kDict, items.number} : target);
}

std::optional<PickleMachine::Value> PickleMachine::Item(Value tuple, std::size_t index) const {
  if (tuple.kind != Kind::kTuple && tuple.kind != Kind::kDict) return std::nullopt;
  if (tuple.number < 0) return std::nullopt;
  const Group& group = groups_[static_cast<std::size_t>(tuple.number)];
  if (index >= group.count) return std::nullopt;
  return values_[group.begin + index];
}

bool PickleMachine::Memo(const PickleOpcode& opcode) {
  std::uint64_t key = state_.memo.size();  // MEMOIZE's
  if (opcode.argument == PickleArgument::kLine) {
    cursor_.budget().Take(work::kOpcodeLine);
    const auto line = cursor_.Line(32);
    if (!line.has_value()) return false;
    const auto end = std::from_chars(line->data(), line->data() + line->size(), key);
    if (end.ec != std::errc()) Malformed("a memo key that is no number");
  } else if (opcode.argument != PickleArgument::kNone) {
    const auto fixed = ReadFixed(opcode.argument);
    if (!fixed.has_value()) return false;
    key = *fixed;
  }
  const bool puts = opcode.pops == 1;
  const bool near = state_.memo.IsDense(key) || (puts && key == state_.memo.next());
  if (!near) cursor_.budget().Take(work::kSparseKey);
  if (puts) {
    MemoPut(key);
  } else {
    MemoGet(key);
  }
  return true;
}

void PickleMachine::MemoPut(std::uint64_t key) {
  if (state_.stack.size() == Fence()) {
    Malformed("nothing to remember");
    return;
  }
  // Past the limit what is recalled is lost, and is said to be when it would matter.
  const bool room = values_set_aside_ < limits::kMaxPickleMemo;
  if (!room || !state_.memo.Put(key, state_.stack.back())) state_.memo_full = true;
}

void PickleMachine::MemoGet(std::uint64_t key) {
  if (const Value* found = state_.memo.Find(key); found != nullptr) return Push(*found);
  if (!state_.memo_full) Malformed("nothing was remembered as this");
  PushKind(Kind::kLost);
}

// --- Imports and calls ---

bool PickleMachine::ImportLines(const PickleOpcode& opcode) {
  auto module = cursor_.Line(kMaxNameBytes);
  if (!module.has_value()) return false;
  auto name = cursor_.Line(kMaxNameBytes);
  if (!name.has_value()) return false;
  if (!base::IsUtf8(*module) || !base::IsUtf8(*name)) Malformed("a name that is not UTF-8");
  const Value global = Import(*std::move(module), *std::move(name));
  if (opcode.code == kInst) {
    const Value arguments = PopToMark(kMaxGroup);
    MarkCalled(global);
    Push(ResultOf(global, arguments));
  } else {
    Push(global);
  }
  return true;
}

bool PickleMachine::ImportFromStack() {
  const Value name_value = Pop();
  const Value module_value = Pop();
  const bool texts = module_value.kind == Kind::kText && name_value.kind == Kind::kText;
  const std::pair key(module_value.number, name_value.number);
  const auto known = resolved_.find(key);
  if (texts && known != resolved_.end()) {
    Push(known->second);
    return true;
  }
  if (++names_read_ > kMaxNamesRead) {
    Opaque("more imports than can be followed");
    return false;
  }
  auto module = ReadText(module_value);
  auto name = ReadText(name_value);
  if (!texts || !module.has_value() || !name.has_value()) {
    Alarm(RiskId::kPickleHiddenImport, "a name that does not stand in the file");
    PushKind(Kind::kLost);
    return true;
  }
  const Value global = Import(*std::move(module), *std::move(name));
  if (resolved_.size() < kMaxResolved) resolved_.emplace(key, global);
  Push(global);
  return true;
}

void PickleMachine::ImportExtension() {
  Alarm(RiskId::kPickleHiddenImport, "a number instead of a name");
  PushKind(Kind::kLost);
}

PickleMachine::Value PickleMachine::Import(std::string module, std::string name) {
  cursor_.budget().Take(work::kImport);
  if (module == "joblib.numpy_pickle" && name == "NumpyArrayWrapper") joblib_ = true;
  const auto key = std::pair(module, name);
  const auto known = content_.import_index.find(key);
  if (known != content_.import_index.end()) {
    return {Kind::kGlobal, static_cast<std::int64_t>(known->second)};
  }
  if (content_.imports.size() >= kMaxImports) {
    Opaque("more imports than can be listed");
    return {Kind::kLost, -1};
  }
  PickleImport import;
  const auto parts = static_cast<std::uint64_t>(1 + std::count(name.begin(), name.end(), '.'));
  cursor_.budget().Take(parts * work::kImportPart);
  import.grade = GradeGlobal(module, name);
  import.module = std::move(module);
  import.name = std::move(name);
  import.opcode = opcode_->name;
  import.offset = op_offset_;
  content_.imports.push_back(std::move(import));
  content_.import_index[key] = content_.imports.size() - 1;
  return {Kind::kGlobal, static_cast<std::int64_t>(content_.imports.size() - 1)};
}

void PickleMachine::MarkCalled(Value callee) {
  ++content_.calls;
  if (callee.kind != Kind::kGlobal && callee.kind != Kind::kObject) {
    Alarm(RiskId::kPickleUnknownCall, "called");
    return;
  }
  if (callee.number < 0) return;
  PickleImport& import = content_.imports[static_cast<std::size_t>(callee.number)];
  if (!import.call_opcode.empty()) return;
  import.call_opcode = opcode_->name;
  import.call_offset = op_offset_;
}

void PickleMachine::Call(const PickleOpcode& opcode) {
  Value callee;
  Value arguments;
  if (opcode.code == kObj) {
    // The class is the first value above the mark, its arguments the others.
    const std::size_t begin = Fence();
    callee = begin < state_.stack.size() ? state_.stack[begin] : Value{Kind::kLost, -1};
    PopToMark(0);
  } else {
    if (opcode.code == kNewobjEx) Pop();
    arguments = Pop();
    callee = Pop();
  }
  MarkCalled(callee);
  // Calling what a call gave: only __call__ of an instance knows what happens.
  if (callee.kind == Kind::kObject) Alarm(RiskId::kPickleUnknownCall, "what a call gave is called");
  Push(ResultOf(callee, arguments));
}

bool PickleMachine::Build() {
  const Value state = Pop();
  const Value target = Pop();
  // Of a tensor: it is made anew, upon another storage.
  if (const auto first = Item(state, 0); first.has_value() && first->kind == Kind::kStorage) {
    NoteGap(model::WeightsReason::kIncomplete);
  }
  if (target.kind == Kind::kObject) MarkCalled(target);
  Push(target);
  if (!joblib_ || target.kind != Kind::kObject || target.number < 0) return true;
  const PickleImport& import = content_.imports[static_cast<std::size_t>(target.number)];
  return import.name != "NumpyArrayWrapper" || SkipArray(state);
}

PickleMachine::Value PickleMachine::ResultOf(Value callee, Value arguments) {
  if (callee.kind != Kind::kGlobal) return {Kind::kUnknown, -1};
  const PickleImport& import = content_.imports[static_cast<std::size_t>(callee.number)];
  const auto first = Item(arguments, 0);
  const bool numpy_dtype = import.module == "numpy" && import.name == "dtype";
  if (numpy_dtype && first.has_value() && first->kind == Kind::kText) {
    return {Kind::kDtype, first->number};
  }
  if (import.module == "torch" && import.name == "Size" && first.has_value()) return *first;
  if (import.module == "torch._utils") RebuildTensor(import.name, arguments);
  if (import.module == "torch._tensor" && import.name.starts_with("_rebuild_from_type")) {
    RebuildSubclass(arguments);
  }
  return {Kind::kObject, callee.number};
}

// What torch gives for a persistent id: mostly ('storage', type, key, location, elements).
PickleMachine::Value PickleMachine::Persist(Value id) {
  const std::int64_t group = id.kind == Kind::kTuple ? id.number : -1;
  // Before torch 1.6 also classes: ('module', class, file, source), and (class, file, source) in
  // the tar of torch 0.1.
  const auto item = [&](std::size_t at) { return Item(id, at).value_or(Value{}); };
  const bool class_second = Item(id, 3).has_value() && !Item(id, 4).has_value();
  const bool class_first = Item(id, 2).has_value() && !Item(id, 3).has_value();
  if (class_second && item(1).kind == Kind::kGlobal) return item(1);
  if (class_first && item(0).kind == Kind::kGlobal) return item(0);
  if (content_.tensors.wanted) unused_storages_.insert(group);
  return {Kind::kStorage, group};
}

void PickleMachine::NoteGap(model::WeightsReason reason) {
  if (content_.tensors.gap == model::WeightsReason::kNone) content_.tensors.gap = reason;
}

// What torch's rebuilding functions mean for tensors: every one of them is named _rebuild_….
void PickleMachine::RebuildTensor(std::string_view function, Value arguments) {
  struct Function {
    std::string_view name;
    std::size_t items;  // of its arguments; further ones change what the elements mean
    bool counts;
    model::WeightsReason gap;
  };
  constexpr Function kFunctions[] = {
      {"_rebuild_tensor", 4, true, model::WeightsReason::kNone},
      {"_rebuild_tensor_v2", 6, true, model::WeightsReason::kNone},
      {"_rebuild_tensor_v3", 7, true, model::WeightsReason::kNone},
      {"_rebuild_parameter", 3, false, model::WeightsReason::kNone},
      {"_rebuild_parameter_with_state", 4, false, model::WeightsReason::kNone},
      {"_rebuild_qtensor", 7, true, model::WeightsReason::kScales},
      {"_rebuild_sparse_tensor", 2, false, model::WeightsReason::kSparse},
      {"_rebuild_sparse_csr_tensor", 2, false, model::WeightsReason::kSparse}};
  if (!function.starts_with("_rebuild_")) return;
  const auto* const known = std::ranges::find(kFunctions, function, &Function::name);
  const bool found = known != std::end(kFunctions);
  const bool as_known = found && !Item(arguments, known->items).has_value();
  NoteGap(as_known ? known->gap : model::WeightsReason::kIncomplete);
  if (!found || !known->counts) return;
  ++content_.tensors.count;
  cursor_.budget().Take(work::kTensor);
  const std::string_view type = TypeOfTensor(function, arguments);
  CountElements(arguments, type);
  if (content_.tensors.wanted && content_.tensors.gap == model::WeightsReason::kNone) {
    KeepTensor(arguments, type);
  }
}

// torch._tensor._rebuild_from_type_v2(function, type, arguments, state) calls the function, and so
// does what was there before.
void PickleMachine::RebuildSubclass(Value arguments) {
  const auto function = Item(arguments, 0);
  const auto inner = Item(arguments, 2);
  if (!function.has_value() || function->kind != Kind::kGlobal || !inner.has_value()) {
    return NoteGap(model::WeightsReason::kIncomplete);
  }
  const PickleImport& import = content_.imports[static_cast<std::size_t>(function->number)];
  if (import.module != "torch._utils") return NoteGap(model::WeightsReason::kIncomplete);
  RebuildTensor(import.name, *inner);
}

std::optional<PickleMachine::Value> PickleMachine::ItemOfStorage(std::optional<Value> storage,
                                                                 std::size_t index) const {
  if (!storage.has_value() || storage->kind != Kind::kStorage) return std::nullopt;
  return Item({Kind::kTuple, storage->number}, index);
}

std::string_view PickleMachine::TypeOfTensor(std::string_view function, Value arguments) const {
  constexpr std::size_t kStorageType = 1;
  constexpr std::size_t kExplicitType = 6;
  auto type = ItemOfStorage(Item(arguments, 0), kStorageType);
  if (function == "_rebuild_tensor_v3") type = Item(arguments, kExplicitType);
  if (!type.has_value() || type->kind != Kind::kGlobal) return {};
  return TypeOfStorage(content_.imports[static_cast<std::size_t>(type->number)].name);
}

bool PickleMachine::StorageIsUntyped(std::optional<Value> storage) const {
  const auto type = ItemOfStorage(storage, 1);
  return type.has_value() && type->kind == Kind::kGlobal &&
         content_.imports[static_cast<std::size_t>(type->number)].name == "UntypedStorage";
}

std::optional<std::vector<std::uint64_t>> PickleMachine::Extents(std::optional<Value> tuple) const {
  if (!tuple.has_value() || tuple->kind != Kind::kTuple) return std::nullopt;
  std::vector<std::uint64_t> extents;
  for (std::size_t i = 0;; ++i) {
    const auto extent = Item(*tuple, i);
    if (!extent.has_value()) return extents;
    cursor_.budget().Take(work::kExtent);
    if (extent->kind != Kind::kInteger || extent->number < 0) return std::nullopt;
    extents.push_back(static_cast<std::uint64_t>(extent->number));
  }
}

void PickleMachine::CountElements(Value arguments, std::string_view type) {
  PickleTensors& tensors = content_.tensors;
  const auto extents = Extents(Item(arguments, 2));
  std::uint64_t elements = 1;
  bool known = extents.has_value();
  for (std::size_t i = 0; known && i < extents->size(); ++i) {
    known = !__builtin_mul_overflow(elements, (*extents)[i], &elements);
  }
  if (!known || __builtin_add_overflow(tensors.parameters, elements, &tensors.parameters)) {
    tensors.parameters_known = false;
    return;
  }
  if (!type.empty()) tensors.elements_by_type[std::string(type)] += elements;
}

void PickleMachine::KeepTensor(Value arguments, std::string_view type) {
  constexpr std::size_t kKey = 2;
  constexpr std::size_t kElements = 4;
  constexpr std::size_t kPart = 5;
  PickleTensors& tensors = content_.tensors;
  const auto storage = Item(arguments, 0);
  if (storage.has_value() && storage->kind == Kind::kStorage) {
    unused_storages_.erase(storage->number);
  }
  const auto key = ItemOfStorage(storage, kKey);
  const auto elements = ItemOfStorage(storage, kElements);
  const auto offset = Item(arguments, 1);
  auto extents = Extents(Item(arguments, 2));
  auto strides = Extents(Item(arguments, 3));
  const auto is_count = [](const std::optional<Value>& value) {
    return value.has_value() && value->kind == Kind::kInteger && value->number >= 0;
  };
  auto text = key.has_value() ? ReadText(*key) : std::nullopt;
  const ElementType* const element = FindElementType(type);
  std::uint64_t begin = 0;
  // Before torch 1.6 a storage could be a part of another.
  const auto part = ItemOfStorage(storage, kPart);
  const bool whole = !part.has_value() || part->kind != Kind::kTuple;
  if (!whole || !text.has_value() || !is_count(elements) || !is_count(offset) ||
      !extents.has_value() || !strides.has_value() || strides->size() != extents->size() ||
      tensors.stored.size() == limits::kMaxMappedTensors) {
    tensors.gap = model::WeightsReason::kIncomplete;
  } else if (element == nullptr) {
    tensors.gap = model::WeightsReason::kUnknownType;
  } else if (__builtin_mul_overflow(static_cast<std::uint64_t>(offset->number),
                                    std::uint64_t{element->block_bytes}, &begin)) {
    tensors.gap = model::WeightsReason::kIncomplete;
  } else {
    // torch names the bytes of an untyped storage, of others the elements.
    const std::uint64_t element_bytes = StorageIsUntyped(storage) ? 1 : element->block_bytes;
    tensors.stored.push_back({*std::move(text),
                              static_cast<std::uint64_t>(elements->number),
                              element_bytes,
                              {element, *std::move(extents), *std::move(strides), begin, false}});
  }
}

// A joblib array follows its wrapper's state: padding, then the elements as raw bytes; or a pickle
// where the elements are Python objects.
bool PickleMachine::SkipArray(Value state) {
  std::uint64_t element_bytes = 0;
  std::uint64_t elements = 1;
  bool padded = false;
  for (std::size_t i = 0; Item(state, i + 1).has_value(); i += 2) {
    const auto key = ReadText(*Item(state, i));
    const Value value = *Item(state, i + 1);
    if (key == "dtype") element_bytes = ElementBytes(ReadText(value).value_or(""));
    if (key == "numpy_array_alignment_bytes") padded = value.kind == Kind::kInteger;
    if (key != "shape") continue;
    for (std::size_t j = 0; Item(value, j).has_value(); ++j) {
      cursor_.budget().Take(work::kExtent);
      const auto extent = static_cast<std::uint64_t>(Item(value, j)->number);
      if (__builtin_mul_overflow(elements, extent, &elements)) return cursor_.Skip(~0ULL);
    }
  }
  if (element_bytes == 0) return SetAside();
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(elements, element_bytes, &bytes)) return cursor_.Skip(~0ULL);
  if (padded) {
    const auto padding = cursor_.U8();
    if (!padding.has_value() || !cursor_.Skip(*padding)) return false;
  }
  return cursor_.Skip(bytes);
}

// --- Pickles inside ---

// The cursor stands anywhere; what is looked at is [begin, begin + length).
void PickleMachine::LookInside(std::uint64_t begin, std::uint64_t length) {
  if (length < kMinEmbeddedBytes || content_.embedded.size() >= kMaxEmbedded) return;
  const std::uint64_t back = cursor_.offset();
  if (!cursor_.Seek(begin)) return;
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(length, kProbeBytes));
  const std::string_view head = base::AsText(cursor_.Peek(wanted));
  if (!MayHoldPickle(head)) {
    cursor_.Seek(back);
    return;
  }
  cursor_.budget().Take(head.size() * (work::kProbedByte + work::kDecodedByte));
  const auto coding = FindPickleCoding(head, length);
  if (coding.has_value()) content_.embedded.push_back({begin, length, *coding});
  cursor_.Seek(back);
}

}  // namespace weighmaster::agent::formats
