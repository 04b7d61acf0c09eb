#pragma once

#include <map>
#include <string>
#include <string_view>

#include "policy/lang/document.h"

namespace weighmaster::lang {

// When tests read documents: 2026-01-01T00:00:00Z.
inline constexpr base::WallTime kNow = base::WallTimeFromMicroseconds(1'767'225'600'000'000);

// A document as "policy.yaml", with list files by name.
Reading ReadText(std::string_view text, const std::map<std::string, std::string>& files = {});

// The diagnostics as text, one after the other.
std::string DiagnosticsOf(std::string_view text,
                          const std::map<std::string, std::string>& files = {});

// `when` of the only rule of a document that has "when: CONDITION"; fails the test on an error.
model::Condition ConditionOf(const std::string& condition);
// The diagnostics of such a document.
std::string ConditionDiagnostics(const std::string& condition);

// 64 hexadecimal digits, all the same.
std::string Hex(char digit);

}  // namespace weighmaster::lang
