#pragma once

#include <utility>

namespace weighmaster::agent::os {

// Owns one open file descriptor and closes it. A value with one owner; -1 is none.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { Reset(); }
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = other.Release();
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  // Keeps errno, so that it may stand between a failed call and its report.
  void Reset();

 private:
  int fd_ = -1;
};

}  // namespace weighmaster::agent::os
