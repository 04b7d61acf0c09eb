#pragma once

#include <string>
#include <string_view>

namespace weighmaster::server::identity {

// What counts as one caller where nobody has said yet who calls: an IPv4 address, or the /64 of an
// IPv6 one, which is what one customer can choose from at will.
std::string LimitKey(std::string_view address);

}  // namespace weighmaster::server::identity
