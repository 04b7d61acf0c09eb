#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/formats/pickle/machine.h"

namespace weighmaster::agent::formats {

// A first look at data that begins with `head`, which nearly all data of a model fails: whether its
// first bytes could, in some coding, be those of a pickle.
bool MayHoldPickle(std::string_view head);

// How the data that begins with `head` and is `length` bytes long holds a pickle: as it is, or in
// one of the codings in which hostile files hide one. Nothing when it holds none.
std::optional<PickleCoding> FindPickleCoding(std::string_view head, std::uint64_t length);

// The pickle's own bytes.
std::string DecodePickle(std::string_view text, PickleCoding coding);

}  // namespace weighmaster::agent::formats
