#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/formats/pickle/machine.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// What walking the pickles of one file, or of one member of an archive, came to.
struct PickleWalk {
  bool marked = false;    // begins with a protocol mark
  bool complete = false;  // every stream reached its end
  std::uint64_t streams = 0;
  // Of PyTorch's format before 1.6: where the storages of the tensors follow the pickles.
  std::optional<std::uint64_t> storages_begin;
  std::uint64_t calls = 0;
  std::vector<PickleImport> imports;
  bool joblib = false;  // holds arrays as joblib wraps them
  PickleTensors tensors;

  // Without a protocol mark a text can pass for the beginning of a pickle: it is none when it
  // neither ends like one nor calls anything.
  bool IsPickle() const { return marked || complete || streams > 1 || calls > 0; }
};

// Whether the bytes begin with the first of the five pickles of PyTorch's format before 1.6, the
// number 0x1950a86a20f9469cfc6c.
inline constexpr std::size_t kLegacyTorchMagicBytes = 15;
bool BeginsLegacyTorch(base::ByteView bytes);

// Walks the streams that the cursor's range begins with, and the pickles that they carry as data;
// adds what they do to `risks`. `place` begins each evidence ("archive/data.pkl: ", or nothing).
// Where the tensors are stored is gathered if it is wanted.
PickleWalk WalkPickles(Cursor& cursor, RiskList& risks, const std::string& place,
                       bool wants_tensors);

// The same for one stream alone, whatever follows it: the cursor stands behind it afterwards.
PickleWalk WalkOnePickle(Cursor& cursor, RiskList& risks, const std::string& place);

// Counts and the commonest type of the tensors, as facts.
void TellTensors(const PickleTensors& tensors, model::Facts& facts);

}  // namespace weighmaster::agent::formats
