#include "tests/support/temp_folder.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "policy/base/check.h"

namespace weighmaster::tests {

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "weighmaster-XXXXXX").string();
  WM_CHECK(::mkdtemp(name.data()) != nullptr);
  // Without links in it, as the product's own paths are.
  path_ = std::filesystem::canonical(name).string();
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  // remove_all goes by open folders, so depth is no matter; it can't enter what was made
  // unreadable.
  for (std::filesystem::recursive_directory_iterator entry(path_, ignored), end;
       !ignored && entry != end; entry.increment(ignored)) {
    std::error_code none;
    if (entry->is_directory(none) && !entry->is_symlink(none)) {
      std::filesystem::permissions(entry->path(), std::filesystem::perms::owner_all, none);
    }
  }
  std::filesystem::remove_all(path_, ignored);
}

std::string TempFolder::Write(std::string_view name, base::ByteView content) const {
  const std::filesystem::path path = *this / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(base::AsText(content).data(), static_cast<std::streamsize>(content.size()));
  file.close();
  WM_CHECK(file.good());
  return path.string();
}

}  // namespace weighmaster::tests
