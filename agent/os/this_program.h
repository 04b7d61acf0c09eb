#pragma once

#include <string>

#include "policy/base/result.h"

namespace weighmaster::agent::os {

// The full path of a program that was installed in the folder of the running one.
base::Result<std::string> BesideThisProgram(const std::string& name);

}  // namespace weighmaster::agent::os
