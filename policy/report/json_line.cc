#include "policy/report/json_line.h"

#include <nlohmann/json.hpp>

#include "policy/base/bytes.h"

namespace weighmaster::report {

std::string JsonLine(const nlohmann::ordered_json& json) {
  constexpr auto kReplace = nlohmann::ordered_json::error_handler_t::replace;
  std::string line = json.dump(-1, ' ', false, kReplace);
  if (base::IsFitForDisplay(line)) return line;
  return json.dump(-1, ' ', true, kReplace);
}

std::string JsonText(std::string_view text) {
  return base::IsUtf8(text) ? std::string(text) : base::EscapeForDisplay(text);
}

}  // namespace weighmaster::report
