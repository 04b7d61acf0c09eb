#pragma once

#include <string>
#include <string_view>

#include "policy/base/bytes.h"

namespace weighmaster::tests {

// A folder of the test's own that goes with everything in it, also what a test made unreadable or
// too deep for one path. Made where TMPDIR says, else in /tmp.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

  // Makes or overwrites a file, and folders in between; returns its full path.
  std::string Write(std::string_view name, base::ByteView content) const;
  std::string Write(std::string_view name, std::string_view content) const {
    return Write(name, base::AsBytes(content));
  }

 private:
  std::string path_;
};

}  // namespace weighmaster::tests
