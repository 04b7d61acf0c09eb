#include "agent/formats/pickle/opcodes.h"

#include <algorithm>
#include <array>
#include <optional>

namespace weighmaster::agent::formats {
namespace {

using Argument = PickleArgument;

constexpr PickleOpcode kOpcodes[] = {
    {kMark, "MARK", Argument::kNone, 0, 0, false},
    {kEmptyTuple, "EMPTY_TUPLE", Argument::kNone, 0, 1, false},
    {kStop, "STOP", Argument::kNone, 1, 0, false},
    {kPop, "POP", Argument::kNone, 1, 0, false},
    {kPopMark, "POP_MARK", Argument::kNone, 0, 0, true},
    {kDup, "DUP", Argument::kNone, 1, 2, false},
    {kBinbytes, "BINBYTES", Argument::kLength4, 0, 1, false},
    {kShortBinbytes, "SHORT_BINBYTES", Argument::kLength1, 0, 1, false},
    {0x46, "FLOAT", Argument::kLine, 0, 1, false},
    {0x47, "BINFLOAT", Argument::kFixed8, 0, 1, false},
    {kInt, "INT", Argument::kLine, 0, 1, false},
    {kBinint, "BININT", Argument::kFixed4, 0, 1, false},
    {kBinint1, "BININT1", Argument::kFixed1, 0, 1, false},
    {kLong, "LONG", Argument::kLine, 0, 1, false},
    {kBinint2, "BININT2", Argument::kFixed2, 0, 1, false},
    {0x4e, "NONE", Argument::kNone, 0, 1, false},
    {kPersid, "PERSID", Argument::kLine, 0, 1, false},
    {kBinpersid, "BINPERSID", Argument::kNone, 1, 1, false},
    {kReduce, "REDUCE", Argument::kNone, 2, 1, false},
    {kString, "STRING", Argument::kLine, 0, 1, false},
    {kBinstring, "BINSTRING", Argument::kLength4, 0, 1, false},
    {kShortBinstring, "SHORT_BINSTRING", Argument::kLength1, 0, 1, false},
    {kUnicode, "UNICODE", Argument::kLine, 0, 1, false},
    {kBinunicode, "BINUNICODE", Argument::kLength4, 0, 1, false},
    {0x5d, "EMPTY_LIST", Argument::kNone, 0, 1, false},
    {0x61, "APPEND", Argument::kNone, 2, 1, false},
    {kBuild, "BUILD", Argument::kNone, 2, 1, false},
    {kGlobal, "GLOBAL", Argument::kTwoLines, 0, 1, false},
    {0x64, "DICT", Argument::kNone, 0, 1, true},
    {0x65, "APPENDS", Argument::kNone, 1, 1, true},
    {kGet, "GET", Argument::kLine, 0, 1, false},
    {kBinget, "BINGET", Argument::kFixed1, 0, 1, false},
    {kInst, "INST", Argument::kTwoLines, 0, 1, true},
    {kLongBinget, "LONG_BINGET", Argument::kFixed4, 0, 1, false},
    {0x6c, "LIST", Argument::kNone, 0, 1, true},
    {kObj, "OBJ", Argument::kNone, 0, 1, true},
    {kPut, "PUT", Argument::kLine, 1, 1, false},
    {kBinput, "BINPUT", Argument::kFixed1, 1, 1, false},
    {kLongBinput, "LONG_BINPUT", Argument::kFixed4, 1, 1, false},
    {0x73, "SETITEM", Argument::kNone, 3, 1, false},
    {kTuple, "TUPLE", Argument::kNone, 0, 1, true},
    {kSetitems, "SETITEMS", Argument::kNone, 1, 1, true},
    {0x7d, "EMPTY_DICT", Argument::kNone, 0, 1, false},
    {kProto, "PROTO", Argument::kFixed1, 0, 0, false},
    {kNewobj, "NEWOBJ", Argument::kNone, 2, 1, false},
    {kExt1, "EXT1", Argument::kFixed1, 0, 1, false},
    {kExt2, "EXT2", Argument::kFixed2, 0, 1, false},
    {kExt4, "EXT4", Argument::kFixed4, 0, 1, false},
    {kTuple1, "TUPLE1", Argument::kNone, 1, 1, false},
    {kTuple2, "TUPLE2", Argument::kNone, 2, 1, false},
    {kTuple3, "TUPLE3", Argument::kNone, 3, 1, false},
    {0x88, "NEWTRUE", Argument::kNone, 0, 1, false},
    {0x89, "NEWFALSE", Argument::kNone, 0, 1, false},
    {kLong1, "LONG1", Argument::kLength1, 0, 1, false},
    {0x8b, "LONG4", Argument::kLength4, 0, 1, false},
    {kShortBinunicode, "SHORT_BINUNICODE", Argument::kLength1, 0, 1, false},
    {kBinunicode8, "BINUNICODE8", Argument::kLength8, 0, 1, false},
    {kBinbytes8, "BINBYTES8", Argument::kLength8, 0, 1, false},
    {0x8f, "EMPTY_SET", Argument::kNone, 0, 1, false},
    {0x90, "ADDITEMS", Argument::kNone, 1, 1, true},
    {0x91, "FROZENSET", Argument::kNone, 0, 1, true},
    {kNewobjEx, "NEWOBJ_EX", Argument::kNone, 3, 1, false},
    {kStackGlobal, "STACK_GLOBAL", Argument::kNone, 2, 1, false},
    {kMemoize, "MEMOIZE", Argument::kNone, 1, 1, false},
    {kFrame, "FRAME", Argument::kFixed8, 0, 0, false},
    {kBytearray8, "BYTEARRAY8", Argument::kLength8, 0, 1, false},
    {0x97, "NEXT_BUFFER", Argument::kNone, 0, 1, false},
    {0x98, "READONLY_BUFFER", Argument::kNone, 1, 1, false},
};
static_assert(std::size(kOpcodes) == 68);

constexpr std::array<const PickleOpcode*, 256> IndexOpcodes() {
  std::array<const PickleOpcode*, 256> index{};
  for (const PickleOpcode& opcode : kOpcodes) index[opcode.code] = &opcode;
  return index;
}
constexpr std::array<const PickleOpcode*, 256> kIndex = IndexOpcodes();

bool IsDigits(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  if (!text.empty() && text.back() == 'L') text.remove_suffix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsDottedName(std::string_view text) {
  const auto plain = [](unsigned char c) {
    return c == '_' || c == '.' || c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), plain);
}

bool IsPlausibleLine(std::uint8_t code, std::string_view line) {
  switch (code) {
    case kInt:
    case kLong:
    case kGet:
    case kPut:
      return IsDigits(line);
    case kString:
      return line.size() >= 2 && line.front() == line.back() &&
             (line.front() == '\'' || line.front() == '"');
    case 0x46:  // FLOAT
      return !line.empty() && line.find_first_not_of("0123456789.+-einfaNIF") == line.npos;
    default:
      return true;
  }
}

// The walk of LooksLikePickle: only how deep the stack is, and whether something was imported.
class PickleProbe {
 public:
  PickleProbe(base::ByteView head, std::uint64_t size) : head_(head), size_(size) {}

  bool Run();

 private:
  enum class Step : std::uint8_t { kOn, kRefused, kOffTheEnd };

  Step Argument(const PickleOpcode& opcode);
  Step Line(std::uint8_t code);
  bool Apply(const PickleOpcode& opcode);
  bool OffTheEnd() const;

  // More nested marks than this at the very beginning of a file is no program's doing, and is left
  // to the real walk.
  static constexpr std::size_t kMaxMarks = 256;

  base::ByteView head_;
  std::uint64_t size_;
  std::size_t at_ = 0;
  std::size_t opcodes_ = 0;
  std::size_t depth_ = 0;                       // above the topmost mark
  std::array<std::size_t, kMaxMarks> marks_{};  // the depth below each mark
  std::size_t mark_count_ = 0;
  bool imported_ = false;
  bool called_ = false;
};

PickleProbe::Step PickleProbe::Line(std::uint8_t code) {
  const std::string_view rest = base::AsText(head_.subspan(at_));
  const std::size_t newline = rest.find('\n');
  if (newline == std::string_view::npos) {
    const bool name = code == kGlobal || code == kInst;
    const bool plausible = rest.empty() || (name && IsDottedName(rest)) || code == kUnicode ||
                           (code == kString && (rest.front() == '\'' || rest.front() == '"'));
    return plausible ? Step::kOffTheEnd : Step::kRefused;
  }
  const std::string_view line = rest.substr(0, newline);
  const bool name = code == kGlobal || code == kInst;
  at_ += newline + 1;
  return (name ? IsDottedName(line) : IsPlausibleLine(code, line)) ? Step::kOn : Step::kRefused;
}

PickleProbe::Step PickleProbe::Argument(const PickleOpcode& opcode) {
  std::size_t fixed = 0;
  bool length = false;
  switch (opcode.argument) {
    case Argument::kNone:
      return Step::kOn;
    case Argument::kFixed1:
      fixed = 1;
      break;
    case Argument::kFixed2:
      fixed = 2;
      break;
    case Argument::kFixed4:
      fixed = 4;
      break;
    case Argument::kFixed8:
      fixed = 8;
      break;
    case Argument::kLine:
      return Line(opcode.code);
    case Argument::kTwoLines: {
      const Step first = Line(opcode.code);
      return first == Step::kOn ? Line(opcode.code) : first;
    }
    case Argument::kLength1:
      fixed = 1, length = true;
      break;
    case Argument::kLength4:
      fixed = 4, length = true;
      break;
    case Argument::kLength8:
      fixed = 8, length = true;
      break;
  }
  if (head_.size() - at_ < fixed) return Step::kOffTheEnd;
  std::uint64_t value = 0;
  for (std::size_t i = fixed; i > 0; --i) value = (value << 8) | head_[at_ + i - 1];
  if (opcode.code == kProto && value > 5) return Step::kRefused;
  at_ += fixed;
  if (!length) return Step::kOn;
  if (value > size_ - at_) return head_[0] == kProto ? Step::kOffTheEnd : Step::kRefused;
  if (value > head_.size() - at_) return Step::kOffTheEnd;
  at_ += static_cast<std::size_t>(value);
  return Step::kOn;
}

bool PickleProbe::Apply(const PickleOpcode& opcode) {
  if (opcode.code == kMark) {
    if (mark_count_ == kMaxMarks) return false;
    marks_[mark_count_++] = depth_;
    depth_ = 0;
    return true;
  }
  if (opcode.to_mark || (opcode.code == kPop && depth_ == 0)) {
    if (mark_count_ == 0 || (opcode.code == kObj && depth_ == 0)) return false;
    depth_ = marks_[--mark_count_];
    if (opcode.code == kPop) return true;
  }
  if (depth_ < opcode.pops) return false;
  depth_ = depth_ - opcode.pops + opcode.pushes;
  return true;
}

// The head ended in the middle of what is a pickle so far. A protocol mark makes that likely after
// little; a text has to keep it up for long, or to have called something.
bool PickleProbe::OffTheEnd() const {
  const bool marked = head_[0] == kProto;
  if (marked) return opcodes_ >= 2;
  return head_.size() < size_ ? opcodes_ >= 1 : opcodes_ >= 4 && imported_;
}

bool PickleProbe::Run() {
  while (at_ < head_.size()) {
    const PickleOpcode* opcode = FindPickleOpcode(head_[at_]);
    if (opcode == nullptr) return called_;
    ++at_;
    ++opcodes_;
    const Step step = Argument(*opcode);
    if (step == Step::kRefused) return called_;
    if (step == Step::kOffTheEnd) return called_ || OffTheEnd();
    if (!Apply(*opcode)) return called_;
    if (opcode->code == kStop) {
      const bool marked = head_[0] == kProto;
      return called_ || imported_ || (marked && opcodes_ >= 3) || (at_ == size_ && opcodes_ >= 4);
    }
    const bool import = opcode->argument == Argument::kTwoLines || opcode->code == kStackGlobal ||
                        (opcode->code >= kExt1 && opcode->code <= kExt4);
    imported_ = imported_ || import;
    called_ = called_ || (imported_ && (opcode->code == kReduce || opcode->code == kObj ||
                                        opcode->code == kInst || opcode->code == kNewobj ||
                                        opcode->code == kNewobjEx));
  }
  return called_ || (!head_.empty() && OffTheEnd());
}

}  // namespace

const PickleOpcode* FindPickleOpcode(std::uint8_t code) { return kIndex[code]; }

bool LooksLikePickle(base::ByteView head, std::uint64_t size) {
  return PickleProbe(head, size).Run();
}

}  // namespace weighmaster::agent::formats
