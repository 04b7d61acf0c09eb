#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "policy/base/loop.h"
#include "policy/base/rate_limit.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "server/api/methods.h"
#include "server/identity/administrators.h"
#include "server/store/store.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weighmaster::server::api {

// Writes down what administrators do: docs/formats/audit-log.md. A row before a call and one after
// it, so that nothing is changed that the log does not know of. The program's log repeats each row
// that was written, in a line.
//
// Loop-owned; replies come on the loop, later, and never once it is destroyed. Everything passed in
// must outlive it.
class AuditLog {
 public:
  using Outcome = base::Result<std::shared_ptr<google::protobuf::Message>>;

  AuditLog(base::Loop& loop, const base::Clock& clock, base::Executor& writer, store::Store& store);
  ~AuditLog() = default;
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // Replies with the number of the row, once it is durable.
  void Begun(const identity::Caller& caller, const Method& method,
             const google::protobuf::Message& request,
             std::function<void(base::Result<std::uint64_t>)> reply);
  void Ended(const identity::Caller& caller, const Method& method, std::uint64_t begun_number,
             const Outcome& outcome, std::function<void(base::Status)> reply);
  // The caller's role or scope may not. Nobody waits for it; past limits::kAuditRefusalBurst it is
  // not written, and a row that can't be written is missing, since nothing was changed.
  void Refused(const identity::Caller& caller, const Method& method);

 private:
  wire::AuditRow RowOf(const identity::Caller& caller, const Method& method,
                       wire::AuditOutcome outcome) const;
  void Append(wire::AuditRow row, std::function<void(base::Result<std::uint64_t>)> reply);

  // Constant after construction.
  base::Loop& loop_;
  const base::Clock& clock_;
  base::Executor& writer_;
  store::Store& store_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();

  // Owned by the loop.
  base::RateLimit refusals_;  // by token
};

// The set fields of a message by name and value, for a log: of bytes and long texts only the size,
// of lists but those of texts how long they are, of fields with the option `secret` nothing but
// that they are there. At most limits::kMaxAuditSummaryBytes, always UTF-8.
std::string Summarise(const google::protobuf::Message& message);

}  // namespace weighmaster::server::api
