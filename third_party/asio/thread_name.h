#pragma once

#include <string>

namespace weighmaster::asio {

// Shown by top and by debuggers; a name that is too long is cut.
void NameThisThread(const std::string& name);

}  // namespace weighmaster::asio
