#pragma once

#include <string>

namespace weighmaster::posix {

// Whether the text is an IPv4 or IPv6 address in numbers (inet_pton(3)), and so no name.
bool IsIpAddress(const std::string& text);

}  // namespace weighmaster::posix
