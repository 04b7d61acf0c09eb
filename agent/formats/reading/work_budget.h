#pragma once

#include <cstdint>

#include "policy/base/limits.h"

namespace weighmaster::agent::formats {

// What one file may still cost. Every step of every parser takes its price from here, so the end of
// a hostile file is decided by its bytes alone and is the same on every machine; no clock is asked.
// One budget serves a whole Parse. A spent one fails every read that follows, and the parsers then
// say that the file was not looked at whole (`opaque`).
class WorkBudget {
 public:
  explicit WorkBudget(std::uint64_t units = base::limits::kMaxParseWork) : left_(units) {}

  std::uint64_t left() const { return left_; }
  bool spent() const { return spent_; }
  void Take(std::uint64_t units) {
    spent_ = spent_ || units > left_;
    left_ = spent_ ? 0 : left_ - units;
  }

 private:
  std::uint64_t left_;
  bool spent_ = false;
};

// The prices, measured in a release build with files that do nothing but one step each: a unit took
// at most 0.7 ns of a processor, so a file that spends its budget keeps a worker for less than a
// second. What a step reads is paid beside them.
namespace work {

inline constexpr std::uint64_t kByte = 1;        // read from the source
inline constexpr std::uint64_t kRefill = 1'000;  // one call of the source
inline constexpr std::uint64_t kRisk = 1'000;    // put into words and compared with the others
inline constexpr std::uint64_t kJsonByte = 8;
inline constexpr std::uint64_t kTemplateByte = 20;
inline constexpr std::uint64_t kTensor = 250;
inline constexpr std::uint64_t kExtent = 10;    // of a shape
inline constexpr std::uint64_t kTextByte = 16;  // made fit to be shown
inline constexpr std::uint64_t kArrayText = 24;
inline constexpr std::uint64_t kWireField = 30;
inline constexpr std::uint64_t kWireVarint = 12;
inline constexpr std::uint64_t kWireVarintByte = 14;
inline constexpr std::uint64_t kArchiveMember = 800;
inline constexpr std::uint64_t kInflate = 5'000;  // one stream, before its first byte
inline constexpr std::uint64_t kInflatedByte = 8;
inline constexpr std::uint64_t kUnpackedByte = 30;  // of bzip2 and LZMA, in and out
inline constexpr std::uint64_t kOpcode = 60;
inline constexpr std::uint64_t kOpcodeLine = 60;  // an argument that ends with its line
inline constexpr std::uint64_t kSparseKey = 800;  // of the memo, in a tree of many
inline constexpr std::uint64_t kImport = 500;
inline constexpr std::uint64_t kImportPart = 2'500;  // of a dotted name that is graded
inline constexpr std::uint64_t kProbedByte = 10;     // of data that may begin a pickle
inline constexpr std::uint64_t kDecodedByte = 20;

}  // namespace work
}  // namespace weighmaster::agent::formats
