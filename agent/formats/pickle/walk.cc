#include "agent/formats/pickle/walk.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "agent/formats/pickle/coding.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::uint64_t kLegacyTorchStreams = 5;
constexpr std::uint64_t kMaxStreams = 1'024;
constexpr std::size_t kProbeBytes = 4 * base::limits::kKiB;
// Pickles in pickles: how deep, and how many in all, are followed.
constexpr int kMaxNesting = 4;
constexpr int kMaxEmbedded = 64;

// `runs`: whether loading the file reaches these pickles, or only a second, later load would.
void TellImports(const PickleContent& content, const std::string& place, bool runs,
                 WorkBudget& budget, RiskList& risks) {
  for (const PickleImport& import : content.imports) {
    if (import.grade == GlobalGrade::kSafe) continue;
    std::string evidence = place + import.module + "." + import.name + ", imported by " +
                           std::string(import.opcode) + " at " + AtOffset(import.offset);
    if (!import.call_opcode.empty()) {
      evidence +=
          ", called by " + std::string(import.call_opcode) + " at " + AtOffset(import.call_offset);
    }
    const RiskId id = import.grade == GlobalGrade::kExecutes  ? RiskId::kPickleExecutesCode
                      : import.grade == GlobalGrade::kReaches ? RiskId::kPickleReachesSystem
                                                              : RiskId::kPickleUnlistedGlobal;
    const model::Severity severity = RiskSeverity(id);
    budget.Take(work::kRisk);
    risks.Add(id, evidence, runs ? severity : std::min(severity, model::Severity::kHigh));
  }
}

// What joblib puts in the place of an array: https://github.com/joblib/joblib, numpy_pickle.py and
// numpy_pickle_compat.py.
bool HoldsJoblibArrays(const PickleContent& content) {
  return std::any_of(content.imports.begin(), content.imports.end(), [](const auto& import) {
    return import.module.starts_with("joblib.numpy_pickle") &&
           import.name.ends_with("ArrayWrapper");
  });
}

// torch.storage._load_from_bytes is how torch itself puts a tensor into another program's pickle.
bool LoadsTensorsFromBytes(const PickleContent& content) {
  return content.import_index.count({"torch.storage", "_load_from_bytes"}) != 0;
}

// Walks a file's pickles and those inside them.
class Walker {
 public:
  Walker(RiskList& risks, bool wants_tensors, std::uint64_t most_streams = kMaxStreams)
      : risks_(risks), wants_tensors_(wants_tensors), most_streams_(most_streams) {}

  PickleWalk Walk(Cursor& cursor, const std::string& place, int depth, bool runs);

 private:
  void WalkStreams(Cursor& cursor, const std::string& place, std::uint64_t most_streams,
                   PickleContent& content, PickleWalk& walk);
  void CheckRest(Cursor& cursor, const std::string& place);
  // False: it may make tensors.
  // NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxNesting.
  bool WalkEmbedded(Cursor& cursor, const EmbeddedPickle& embedded, const std::string& place,
                    int depth, bool runs);

  RiskList& risks_;
  const bool wants_tensors_;
  // Of the file itself; 1: what follows the first is none.
  const std::uint64_t most_streams_;
  int embedded_left_ = kMaxEmbedded;
};

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxNesting.
PickleWalk Walker::Walk(Cursor& cursor, const std::string& place, int depth, bool runs) {
  PickleWalk walk;
  const base::ByteView start = cursor.Peek(1);
  walk.marked = !start.empty() && start[0] == kProto;
  PickleContent content;
  content.tensors.wanted = wants_tensors_ && depth == 0;
  WalkStreams(cursor, place, depth == 0 ? most_streams_ : kMaxStreams, content, walk);
  TellImports(content, place, runs, cursor.budget(), risks_);
  walk.calls = content.calls;
  const bool loads_inside = LoadsTensorsFromBytes(content);
  const model::Severity severity =
      loads_inside ? model::Severity::kMedium : RiskSeverity(RiskId::kEmbeddedPickle);
  for (const EmbeddedPickle& embedded : content.embedded) {
    const std::string where = place + "the data at " + AtOffset(embedded.begin);
    risks_.Add(RiskId::kEmbeddedPickle, where, severity);
    if (depth == kMaxNesting || embedded_left_ == 0) {
      risks_.Add(RiskId::kOpaque, where + " is nested too deeply");
      continue;
    }
    --embedded_left_;
    // Where tensors of a pickle inside are stored is not looked for.
    if (!WalkEmbedded(cursor, embedded, where + ": ", depth, runs && loads_inside)) {
      content.tensors.gap = model::WeightsReason::kIncomplete;
    }
  }
  walk.joblib = HoldsJoblibArrays(content);
  walk.imports = std::move(content.imports);
  walk.tensors = std::move(content.tensors);
  return walk;
}

void Walker::WalkStreams(Cursor& cursor, const std::string& place, std::uint64_t most_streams,
                         PickleContent& content, PickleWalk& walk) {
  const bool legacy_torch = BeginsLegacyTorch(cursor.Peek(kLegacyTorchMagicBytes));
  do {
    PickleMachine machine(cursor, content, risks_, place);
    walk.complete = machine.Run();
    ++walk.streams;
    if (!walk.complete || most_streams == 1) return;
    // torch reads five pickles; what follows is weights, which may look like anything.
    if (legacy_torch && walk.streams == kLegacyTorchStreams) {
      walk.storages_begin = cursor.offset();
      return;
    }
  } while (walk.streams < most_streams &&
           LooksLikePickle(cursor.Peek(kProbeBytes), cursor.remaining()));
  CheckRest(cursor, place);
}

void Walker::CheckRest(Cursor& cursor, const std::string& place) {
  const base::ByteView rest = cursor.Peek(kProbeBytes);
  const bool blank = rest.size() == cursor.remaining() &&
                     std::all_of(rest.begin(), rest.end(), [](std::uint8_t byte) {
                       return byte == 0 || byte == '\n' || byte == '\r' || byte == ' ';
                     });
  if (blank) return;
  risks_.Add(RiskId::kTrailingData, place + std::to_string(cursor.remaining()) + " bytes from " +
                                        AtOffset(cursor.offset()));
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxNesting.
bool Walker::WalkEmbedded(Cursor& cursor, const EmbeddedPickle& embedded, const std::string& place,
                          int depth, bool runs) {
  Cursor inside(cursor.source(), cursor.budget(), embedded.begin, embedded.begin + embedded.length);
  const auto makes_none = [](const PickleWalk& walk) {
    return walk.tensors.count == 0 && walk.tensors.gap == model::WeightsReason::kNone;
  };
  if (embedded.coding == PickleCoding::kRaw) {
    return makes_none(Walk(inside, place, depth + 1, runs));
  }
  constexpr std::size_t kMost = base::limits::kMaxDecodedPickleBytes;
  if (embedded.length > kMost) {
    risks_.Add(RiskId::kOpaque, place + "longer than can be decoded");
  }
  const auto text = inside.Text(embedded.length, kMost);
  if (!text.has_value()) return false;
  cursor.budget().Take(text->size() * work::kDecodedByte);
  const std::string decoded = DecodePickle(*text, embedded.coding);
  MemorySource source(base::AsBytes(decoded));
  Cursor decoded_cursor(source, cursor.budget());
  return makes_none(Walk(decoded_cursor, place, depth + 1, runs));
}

}  // namespace

bool BeginsLegacyTorch(base::ByteView bytes) {
  constexpr std::string_view kMagic{"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e",
                                    kLegacyTorchMagicBytes};
  return base::AsText(bytes).starts_with(kMagic);
}

PickleWalk WalkPickles(Cursor& cursor, RiskList& risks, const std::string& place,
                       bool wants_tensors) {
  return Walker(risks, wants_tensors).Walk(cursor, place, 0, true);
}

PickleWalk WalkOnePickle(Cursor& cursor, RiskList& risks, const std::string& place) {
  return Walker(risks, false, 1).Walk(cursor, place, 0, true);
}

void TellTensors(const PickleTensors& tensors, model::Facts& facts) {
  if (tensors.count == 0) return;
  facts.tensor_count = tensors.count;
  if (tensors.parameters_known) facts.parameters = tensors.parameters;
  std::uint64_t most = 0;
  for (const auto& [type, elements] : tensors.elements_by_type) {
    if (elements < most) continue;
    most = elements;
    facts.quantization = type;
  }
}

}  // namespace weighmaster::agent::formats
