#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weighmaster::base {

// The numbers and meanings of gRPC's status codes, so that an error crosses the wire unchanged.
// Source: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
enum class ErrorCode : std::uint8_t {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// The code's name as gRPC spells it, e.g. "NOT_FOUND".
std::string_view ErrorCodeName(ErrorCode code);

// What went wrong, in a sentence for a person: a code, a message, and a chain of "while …" that
// callers add on the way up. A value; copying it is cheap enough for a path that has failed.
class Error {
 public:
  Error(ErrorCode code, std::string message);

  // "…; while opening /var/lib/weighmaster/state.db". Returns itself, for use in a return
  // statement.
  Error&& While(std::string_view what) &&;

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // "NOT_FOUND: message; while a; while b", for logs.
  std::string ToString() const;

 private:
  ErrorCode code_;
  std::string message_;
};

Error InvalidArgument(std::string message);
Error NotFound(std::string message);
Error AlreadyExists(std::string message);
Error PermissionDenied(std::string message);
Error ResourceExhausted(std::string message);
Error FailedPrecondition(std::string message);
Error OutOfRange(std::string message);
Error Internal(std::string message);
Error Unavailable(std::string message);
Error DataLoss(std::string message);
Error Unauthenticated(std::string message);

// An error from errno: the code that fits it and "what: strerror". `what` names the call and its
// object, e.g. "open /etc/weighmaster/agent.yaml".
Error FromErrno(int error_number, std::string_view what);

}  // namespace weighmaster::base
