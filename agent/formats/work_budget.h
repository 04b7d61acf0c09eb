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

// The prices, measured in a release build: a unit is about a nanosecond on a slow core. What a step
// reads is paid beside them.
namespace work {

inline constexpr std::uint64_t kByte = 1;        // read from the source
inline constexpr std::uint64_t kRefill = 1'000;  // one call of the source
inline constexpr std::uint64_t kRisk = 1'000;    // put into words and compared with the others
inline constexpr std::uint64_t kJsonByte = 5;
inline constexpr std::uint64_t kTemplateByte = 20;
inline constexpr std::uint64_t kTensor = 250;
inline constexpr std::uint64_t kArrayText = 10;
inline constexpr std::uint64_t kWireField = 40;
inline constexpr std::uint64_t kWireVarint = 15;
inline constexpr std::uint64_t kArchiveMember = 800;
inline constexpr std::uint64_t kInflate = 5'000;  // one stream, before its first byte
inline constexpr std::uint64_t kInflatedByte = 6;
inline constexpr std::uint64_t kOpcode = 40;
inline constexpr std::uint64_t kOpcodeLine = 60;  // an argument that ends with its line
inline constexpr std::uint64_t kSparseKey = 600;  // of the memo, in a tree of many
inline constexpr std::uint64_t kImport = 500;
inline constexpr std::uint64_t kImportPart = 2'000;  // of a dotted name that is graded
inline constexpr std::uint64_t kProbedByte = 10;     // of data that may begin a pickle
inline constexpr std::uint64_t kDecodedByte = 20;

}  // namespace work
}  // namespace weighmaster::agent::formats
