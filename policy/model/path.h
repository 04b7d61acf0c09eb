#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace weighmaster::model {

// How a path's bytes are to be read. Stored and sent as these numbers.
enum class PathEncoding : std::uint8_t {
  kPosixBytes = 1,  // any bytes but NUL, '/' between names (Linux, macOS)
  kWtf8 = 2,        // UTF-16 with lone surrogates as WTF-8 (Windows)
};

// A file's full path on its endpoint: bytes and their encoding, never assumed to be UTF-8. It
// begins with '/', on Windows with a drive and '/' ("C:/").
struct Path {
  std::string bytes;
  PathEncoding encoding = PathEncoding::kPosixBytes;

  friend auto operator<=>(const Path&, const Path&) = default;

  // One line fit for people, logs and JSON (base::EscapeForDisplay).
  std::string ToDisplay() const;
  // Whether ToDisplay() lost nothing but the escaping of a backslash, i.e. whether `bytes` is UTF-8
  // with nothing that had to be escaped. JSON adds `path_base64` where it is false.
  bool IsDisplayable() const;
  // What follows the last '/', or all of it.
  std::string FileName() const;
};

}  // namespace weighmaster::model
