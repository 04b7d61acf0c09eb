#include <filesystem>
#include <system_error>

#include "agent/os/this_program.h"

namespace weighmaster::agent::os {

base::Result<std::string> BesideThisProgram(const std::string& name) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return base::FromErrno(error.value(), "read /proc/self/exe");
  return (program.parent_path() / name).string();
}

}  // namespace weighmaster::agent::os
