#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "policy/base/result.h"

namespace weighmaster::posix {

// Keeps a second process of a kind off one folder, for as long as it lives; the kernel lets go of
// it when the process ends, however it ends. A value with one owner.
class FolderLock {
 public:
  FolderLock() = default;
  // `program` names the other in the error, FAILED_PRECONDITION: "another agent works on …".
  static base::Result<FolderLock> Take(const std::string& folder, std::string_view program);
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace weighmaster::posix
