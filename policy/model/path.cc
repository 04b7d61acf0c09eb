#include "policy/model/path.h"

#include "policy/base/bytes.h"

namespace weighmaster::model {

std::string Path::ToDisplay() const { return base::EscapeForDisplay(bytes); }

bool Path::IsDisplayable() const { return ToDisplay() == bytes; }

std::string Path::FileName() const {
  const std::size_t slash = bytes.rfind('/');
  return slash == std::string::npos ? bytes : bytes.substr(slash + 1);
}

}  // namespace weighmaster::model
