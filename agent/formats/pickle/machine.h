#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/pickle/globals.h"
#include "agent/formats/pickle/memo.h"
#include "agent/formats/pickle/opcodes.h"
#include "agent/formats/pickle/stored_tensor.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"
#include "policy/model/weights.h"

namespace weighmaster::agent::formats {

// Something that a pickle imports, and the first place where it is called.
struct PickleImport {
  std::string module;
  std::string name;
  GlobalGrade grade = GlobalGrade::kUnlisted;
  std::string_view opcode;
  std::uint64_t offset = 0;
  std::string_view call_opcode;  // empty: never called
  std::uint64_t call_offset = 0;
};

// How a pickle inside a pickle is written down.
enum class PickleCoding : std::uint8_t { kRaw, kLatin1AsUtf8, kHex, kBase64 };

// Data of a pickle that is a pickle itself.
struct EmbeddedPickle {
  std::uint64_t begin = 0;
  std::uint64_t length = 0;
  PickleCoding coding = PickleCoding::kRaw;
};

// The tensors that a checkpoint rebuilds.
struct PickleTensors {
  std::uint64_t count = 0;
  std::uint64_t parameters = 0;
  bool parameters_known = true;  // false: some tensor's size did not show
  std::map<std::string, std::uint64_t> elements_by_type;

  bool wanted = false;  // whether `stored` is filled
  std::vector<StoredTensor> stored;
  model::WeightsReason gap = model::WeightsReason::kNone;  // why not all of them stand there
};

// What the streams of one file do and hold, gathered over all of them.
struct PickleContent {
  std::vector<PickleImport> imports;
  std::vector<EmbeddedPickle> embedded;
  std::uint64_t calls = 0;
  PickleTensors tensors;
  std::map<std::pair<std::string, std::string>, std::size_t> import_index;  // module, name
};

// Goes through one pickle stream as Python's unpickler would, and does nothing of what it says: an
// abstract stack, marks and memo hold values that are small handles, so a cycle or a value used a
// billion times costs nothing. Texts stay in the file and are read only where one names an import.
// Rules that the stream breaks become risks, and the walk goes on where an unpickler of some kind
// might. The cursor stands behind the stream afterwards.
class PickleMachine {
 public:
  // `content` and `risks` gather; `place` begins each evidence ("archive/data.pkl: ", or nothing).
  PickleMachine(Cursor& cursor, PickleContent& content, RiskList& risks, std::string place);

  // Whether the stream reached its STOP.
  bool Run();

 private:
  enum class Kind : std::uint8_t {
    kUnknown,  // of no interest: a float, a list, an instance of something safe
    kLost,     // not known although it would matter: broken stream, or past a limit
    kInteger,  // number: its value
    kText,     // number: where it stands, see PackText
    kBytes,
    kTuple,    // number: index into groups_
    kDict,     // number: index into groups_ of what was set last, or -1
    kGlobal,   // number: index into content.imports
    kObject,   // what calling that import gave
    kDtype,    // a numpy dtype; number: its code as PackText
    kStorage,  // a tensor's storage; number: index into groups_ of its persistent id, or -1
  };
  struct Value {
    Kind kind = Kind::kUnknown;
    std::int64_t number = -1;
  };
  enum class TextForm : std::uint8_t { kUtf8 = 0, kQuoted = 1, kRawEscape = 2, kTooLong = 3 };
  struct Group {
    std::uint32_t begin = 0;
    std::uint32_t count = 0;
  };
  // What one stream keeps; set aside while a stream inside an array (joblib) is walked.
  struct State {
    std::vector<Value> stack;
    std::vector<std::size_t> marks;  // the size of the stack below each
    PickleMemo<Value> memo;
    bool memo_full = false;  // something was not remembered
    std::uint64_t frame_end = 0;
  };

  bool BreakOff();
  bool Step(const PickleOpcode& opcode);
  // Literals, and whatever only takes and leaves values of no interest.
  bool StepData(const PickleOpcode& opcode);
  bool PushText(const PickleOpcode& opcode);
  bool PushInteger(const PickleOpcode& opcode);
  bool PushLine(std::uint8_t code);
  bool PushLong();
  bool SkipArgument(PickleArgument argument);
  std::optional<std::uint64_t> ReadLength(PickleArgument argument);
  std::optional<std::uint32_t> ReadFixed(PickleArgument argument);
  bool Memo(const PickleOpcode& opcode);
  void MemoPut(std::uint64_t key);
  void MemoGet(std::uint64_t key);
  bool Frame();
  void PopOrMark();
  bool SetAside();
  void StopStream();

  void Mark();
  std::size_t Fence() const { return state_.marks.empty() ? 0 : state_.marks.back(); }
  Value Pop();
  void Push(Value value);
  void PushKind(Kind kind) { Push({kind, -1}); }
  // Removes everything above the topmost mark and the mark; the group is what was there, as far as
  // it is of interest (at most `most` values).
  Value PopToMark(std::size_t most);
  Value MakeGroup(Kind kind, std::vector<Value>::const_iterator begin, std::size_t count);
  void MakeTuple(std::size_t count);
  void SetItems();
  std::optional<Value> Item(Value tuple, std::size_t index) const;

  bool ImportLines(const PickleOpcode& opcode);
  bool ImportFromStack();
  void ImportExtension();
  Value Import(std::string module, std::string name);
  void Call(const PickleOpcode& opcode);
  bool Build();
  void MarkCalled(Value callee);
  Value ResultOf(Value callee, Value arguments);
  Value Persist(Value id);
  void NoteGap(model::WeightsReason reason);
  void RebuildTensor(std::string_view function, Value arguments);
  void RebuildSubclass(Value arguments);
  void CountElements(Value arguments, std::string_view type);
  void KeepTensor(Value arguments, std::string_view type);
  std::optional<std::vector<std::uint64_t>> Extents(std::optional<Value> tuple) const;
  std::optional<Value> ItemOfStorage(std::optional<Value> storage, std::size_t index) const;
  bool StorageIsUntyped(std::optional<Value> storage) const;
  std::string_view TypeOfTensor(std::string_view function, Value arguments) const;
  bool SkipArray(Value state);

  // A text's place and form in one number; nothing of it is copied.
  static std::int64_t PackText(std::uint64_t offset, std::uint64_t length, TextForm form);
  std::optional<std::string> ReadText(Value text);
  void LookInside(std::uint64_t begin, std::uint64_t length);

  std::string Here() const;
  // At most kMaxAlarms of each kind are told; a stream that breaks more rules is given up.
  void Alarm(RiskId id, std::string_view what);
  void Malformed(std::string_view what) { Alarm(RiskId::kMalformed, what); }
  void Opaque(std::string_view what) { Alarm(RiskId::kOpaque, what); }

  Cursor& cursor_;
  PickleContent& content_;
  RiskList& risks_;
  const std::string place_;

  State state_;
  std::vector<State> set_aside_;
  std::size_t values_set_aside_ = 0;  // on their stacks and in their memos
  std::vector<Value> values_;         // of all groups
  std::vector<Group> groups_;
  // What STACK_GLOBAL gave for two texts, so that one repeated a million times is read once.
  std::map<std::pair<std::int64_t, std::int64_t>, Value> resolved_;
  std::size_t names_read_ = 0;
  std::set<std::int64_t> unused_storages_;  // those that no tensor was made of, if it is asked for
  std::map<RiskId, std::size_t> alarms_;
  std::uint64_t op_offset_ = 0;
  const PickleOpcode* opcode_ = nullptr;
  bool joblib_ = false;    // wraps arrays that follow in the stream
  bool given_up_ = false;  // too many rules are broken
  bool stopped_ = false;
};

}  // namespace weighmaster::agent::formats
