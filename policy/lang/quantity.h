#pragma once

#include <cstdint>
#include <string_view>

#include "policy/base/result.h"
#include "policy/engine/fields.h"

namespace weighmaster::lang {

// A number as a person writes it: digits, at most nine decimals, and a suffix that fits the unit.
// Bytes: B kB MB GB TB (powers of 1000), KiB MiB GiB TiB (of 1024), or none. Counts: K M B T
// (thousand, million, billion, trillion), or none. "1.5GiB", "500 MB", "7B". What is left of a
// fraction is dropped. The error's message is fit for a hint.
base::Result<std::uint64_t> ParseQuantity(std::string_view text, engine::FieldUnit unit);

}  // namespace weighmaster::lang
