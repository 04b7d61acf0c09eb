#include "agent/formats/arrays/numpy.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "agent/formats/arrays/python_literal.h"
#include "agent/formats/pickle/opcodes.h"

namespace weighmaster::agent::formats {
namespace {

using Kind = PythonLiteral::Kind;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMagicBytes = 8;  // with the two bytes of the version
constexpr std::uint8_t kNewestVersion = 3;
// numpy itself asks back at 10,000; the widest records come to some ten thousand more.
constexpr std::size_t kMaxHeaderBytes = 256 * base::limits::kKiB;
constexpr std::size_t kMaxDimensions = 64;  // numpy's since version 2
constexpr std::size_t kProbeBytes = 4 * base::limits::kKiB;
// A literal of two bytes becomes a node of a tree: what reading and keeping it costs.
constexpr std::uint64_t kHeaderByteWork = 2 * work::kTextByte;

std::optional<NumpyHeader> Interpret(const PythonLiteral& dict, std::string& broken) {
  const PythonLiteral* descr = nullptr;
  const PythonLiteral* order = nullptr;
  const PythonLiteral* shape = nullptr;
  const auto refuse = [&](const char* why) {
    broken = why;
    return std::nullopt;
  };
  if (dict.kind != Kind::kDict) return refuse("a header that is no dict");
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PythonLiteral& key = dict.items[i];
    const PythonLiteral* const value = &dict.items[i + 1];
    if (key.kind != Kind::kText) return refuse("a key that is no text");
    // Of a key that is repeated Python keeps the last.
    if (key.text == "descr") {
      descr = value;
    } else if (key.text == "fortran_order") {
      order = value;
    } else if (key.text == "shape") {
      shape = value;
    } else {
      return refuse("a key that no header has");
    }
  }
  if (descr == nullptr || order == nullptr || shape == nullptr) {
    return refuse("a header without descr, fortran_order or shape");
  }
  const auto dtype = ReadNumpyDtype(*descr);
  if (!dtype.has_value()) return refuse("a descr that is no dtype");
  if (order->kind != Kind::kBoolean) return refuse("a fortran_order that is no boolean");
  const auto elements = ElementsOfShape(*shape);
  if (shape->kind != Kind::kTuple || !elements.has_value()) {
    return refuse("a shape that is no tuple of numbers, or too large");
  }
  if (shape->items.size() > kMaxDimensions) return refuse("a shape of too many dimensions");
  NumpyHeader header{*dtype, order->number != 0, {}, *elements};
  for (const PythonLiteral& extent : shape->items) header.shape.push_back(extent.number);
  return header;
}

// Tells of one array; the header was read.
class ArrayReader {
 public:
  ArrayReader(Cursor& cursor, const std::string& place, RiskList& risks, PickleTensors& counts,
              TensorMapWriter& map)
      : cursor_(cursor), place_(place), risks_(risks), counts_(counts), map_(map) {}

  void Read(const NumpyHeader& header);
  void WalkPickle();

 private:
  void CheckSize(const NumpyHeader& header);
  void Map(const NumpyHeader& header);
  void AddRisk(RiskId id, const std::string& evidence) {
    cursor_.budget().Take(work::kRisk);
    risks_.Add(id, place_ + evidence);
  }

  Cursor& cursor_;
  const std::string& place_;
  RiskList& risks_;
  PickleTensors& counts_;
  TensorMapWriter& map_;
};

void ArrayReader::Read(const NumpyHeader& header) {
  if (header.dtype.has_objects) return WalkPickle();
  CountArray(header, counts_);
  CheckSize(header);
  Map(header);
}

void ArrayReader::WalkPickle() {
  // What a pickle makes of its bytes is not read, so there is no digest.
  map_.Fail(model::WeightsReason::kPacked);
  AddRisk(RiskId::kPickleFormat, "Python objects at " + AtOffset(cursor_.offset()));
  WalkPickles(cursor_, risks_, place_, false);
}

void ArrayReader::CheckSize(const NumpyHeader& header) {
  if (!header.dtype.bytes.has_value()) return;
  std::uint64_t bytes = 0;
  const bool counted = !__builtin_mul_overflow(header.elements, *header.dtype.bytes, &bytes);
  const std::uint64_t left = cursor_.remaining();
  if (!counted || bytes > left) {
    AddRisk(RiskId::kMalformed, std::to_string(header.elements) + " elements of " +
                                    std::to_string(*header.dtype.bytes) + " bytes in " +
                                    std::to_string(left) + " bytes at " +
                                    AtOffset(cursor_.offset()));
  } else if (bytes < left) {
    AddRisk(RiskId::kTrailingData,
            std::to_string(left - bytes) + " bytes from " + AtOffset(cursor_.offset() + bytes));
  }
}

void ArrayReader::Map(const NumpyHeader& header) {
  if (!map_.wanted()) return;
  // Also times and texts: of what is no number there is no digest.
  if (header.dtype.type == nullptr) return map_.Fail(model::WeightsReason::kUnknownType);
  Tensor tensor{header.dtype.type, header.shape, {}, cursor_.offset(), header.dtype.big_endian};
  if (header.fortran_order) {
    std::uint64_t stride = 1;
    for (const std::uint64_t extent : header.shape) {
      tensor.strides.push_back(stride);
      // Past 64 bits only when another extent is 0, and then there is no element to find.
      if (__builtin_mul_overflow(stride, extent, &stride)) stride = 0;
    }
  }
  map_.Add(tensor);
}

}  // namespace

bool LooksLikeNumpy(const FileEnds& file) {
  const base::ByteView head = file.head;
  if (head.size() < kMagicBytes + 2 || base::AsText(head).substr(0, kMagic.size()) != kMagic) {
    return false;
  }
  const std::uint8_t version = head[kMagic.size()];
  // A version to come may begin its header otherwise.
  if (version > kNewestVersion) return true;
  std::string_view header = base::AsText(head.subspan(kMagicBytes));
  header.remove_prefix(std::min<std::size_t>(header.size(), version == 1 ? 2 : 4));
  const std::size_t first = header.find_first_not_of(" \t");
  return version != 0 && (first == std::string_view::npos || header[first] == '{');
}

std::optional<NumpyHeader> ReadNumpyHeader(Cursor& cursor, std::string& broken) {
  const auto refuse = [&](std::string why) {
    broken = std::move(why);
    return std::nullopt;
  };
  const auto magic = cursor.Text(kMagic.size(), kMagic.size());
  const auto major = cursor.U8();
  const auto minor = cursor.U8();
  if (magic != kMagic || !major.has_value() || !minor.has_value()) {
    return refuse("no magic of an array");
  }
  if (*major == 0 || *major > kNewestVersion || *minor != 0) {
    return refuse("version " + std::to_string(*major) + "." + std::to_string(*minor));
  }
  std::optional<std::uint32_t> length;
  if (*major == 1) {
    const auto short_length = cursor.U16();
    if (short_length.has_value()) length = *short_length;
  } else {
    length = cursor.U32();
  }
  if (!length.has_value() || *length > cursor.remaining()) {
    return refuse("a header that ends behind the file");
  }
  if (*length > kMaxHeaderBytes) {
    return refuse("a header of " + std::to_string(*length) + " bytes");
  }
  cursor.budget().Take(*length * kHeaderByteWork);
  const auto text = cursor.Text(*length, kMaxHeaderBytes);
  if (!text.has_value()) return refuse(std::string(ReadFailureText(cursor.failure())));
  const auto literal = ReadPythonLiteral(*text);
  if (!literal.has_value()) return refuse("a header that is no Python literal");
  return Interpret(*literal, broken);
}

void CountArray(const NumpyHeader& header, PickleTensors& counts) {
  if (header.dtype.type == nullptr) return;
  ++counts.count;
  if (__builtin_add_overflow(counts.parameters, header.elements, &counts.parameters)) {
    counts.parameters_known = false;
  }
  counts.elements_by_type[std::string(header.dtype.type->name)] += header.elements;
}

void ReadNumpy(Cursor& cursor, const std::string& place, RiskList& risks, PickleTensors& counts,
               TensorMapWriter& map) {
  cursor.budget().Take(work::kTensor);
  ArrayReader reader(cursor, place, risks, counts, map);
  const std::uint64_t begin = cursor.offset();
  const base::ByteView start = cursor.Peek(kMagicBytes);
  const bool newer = start.size() == kMagicBytes && start[kMagic.size()] > kNewestVersion;
  std::string broken;
  const auto header = ReadNumpyHeader(cursor, broken);
  if (header.has_value()) return reader.Read(*header);
  map.Fail(model::WeightsReason::kIncomplete);
  if (cursor.budget().spent()) return;
  risks.Add(newer ? RiskId::kUnsupportedVersion : RiskId::kMalformed,
            place + broken + " at " + AtOffset(begin));
  // Some other loader may still read what is broken here, and load the pickle behind it.
  if (LooksLikePickle(cursor.Peek(kProbeBytes), cursor.remaining())) reader.WalkPickle();
}

model::Facts ParseNumpy(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) {
  tensors.Begin();
  model::Facts facts;
  facts.format = model::Format::kNumpy;
  RiskList risks;
  PickleTensors counts;
  Cursor cursor(source, budget);
  ReadNumpy(cursor, "", risks, counts, tensors);
  TellTensors(counts, facts);
  if (budget.spent()) risks.AddSpent(cursor.offset());
  facts.risks = std::move(risks).Take();
  return facts;
}

}  // namespace weighmaster::agent::formats
