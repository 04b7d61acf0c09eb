#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/base/result.h"
#include "policy/engine/fields.h"
#include "policy/lang/yaml/diagnostics.h"
#include "policy/lang/yaml/tree.h"

namespace weighmaster::lang {

// A number as a person writes it: digits, at most nine decimals, and a suffix that fits the unit.
// Bytes: B kB MB GB TB (powers of 1000), KiB MiB GiB TiB (of 1024), or none. Counts: K M B T
// (thousand, million, billion, trillion), or none. "1.5GiB", "500 MB", "7B". What is left of a
// fraction is dropped. The error's message is fit for a hint.
base::Result<std::uint64_t> ParseQuantity(std::string_view text, engine::FieldUnit unit);

// A number as a person would write it, exactly, and as ParseQuantity reads it: bytes "64 KiB",
// "2 MB", "1023 B", counts "7B", "350M", "1001".
std::string QuantityText(std::uint64_t number, engine::FieldUnit unit);
std::string BytesText(std::uint64_t bytes);

// Such a number of bytes, or a whole number, as the value `what` of a document or settings file.
// What is no such number or out of its bounds is reported, and nothing is returned.
std::optional<std::uint64_t> ReadBytes(const YamlNode& node, std::string_view what,
                                       std::uint64_t least, std::uint64_t most,
                                       const Reporter& report);
std::optional<std::uint32_t> ReadNumber(const YamlNode& node, std::string_view what,
                                        std::uint32_t least, std::uint32_t most,
                                        const Reporter& report);

}  // namespace weighmaster::lang
