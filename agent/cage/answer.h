#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/base/result.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::cage {

// What came back for one file.
struct CageAnswer {
  std::uint64_t id = 0;
  bool parsed = false;
  model::Facts facts;   // when parsed
  std::string failure;  // when not: "the parser was killed (signal 11)"
};

// Reads one message of the cage. Every byte of it may have been chosen by the file that was parsed:
// the facts go through wire::FromProto, and facts that do not hold make the file a failure. Only a
// message that is none at all is INVALID_ARGUMENT.
base::Result<CageAnswer> ParseCageAnswer(std::string_view message);

// A piece of the map of a file's tensors.
struct CageTensors {
  std::uint64_t id = 0;
  bool last = true;
  std::string piece;    // of what formats::TensorMap::Decode reads
  std::string failure;  // not empty: there is no map
};

// As ParseCageAnswer, where tensors were asked for.
base::Result<CageTensors> ParseCageTensors(std::string_view message);

// Facts for a file that could not be parsed: its format as it was sniffed, and the `malformed`
// risk.
model::Facts UnparsedFacts(model::Format sniffed, std::string_view failure);

}  // namespace weighmaster::agent::cage
