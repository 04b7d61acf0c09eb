#pragma once

#include <cstdint>
#include <string_view>

namespace weighmaster::agent::formats {

// What importing and calling a Python object can do.
enum class GlobalGrade : std::uint8_t {
  kSafe = 0,      // what checkpoints are made of
  kUnlisted = 1,  // on no list
  kReaches = 2,   // files, network, processes, threads
  kExecutes = 3,  // runs code that the file chooses
};

// Grades what a pickle imports as `name` from `module`. A module stands for all below it; a dotted
// name ("a.b", which loaders resolve attribute by attribute) is as bad as the worst that any part
// of it names. Names of Python 2 and 3 are both known.
GlobalGrade GradeGlobal(std::string_view module, std::string_view name);

}  // namespace weighmaster::agent::formats
