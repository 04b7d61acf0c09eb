#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "policy/base/limits.h"
#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "server/rpc/calls.h"
#include "server/rpc/doorkeeper.h"

namespace weighmaster::server::api {
class Dispatch;
}  // namespace weighmaster::server::api

namespace weighmaster::server::rpc {

// The one port of a server: TLS that asks for a client certificate and leaves the judgement of it
// to AgentCalls, with AgentService and AdminService behind it. A connection is a stranger's to the
// Doorkeeper until a stream of it was accepted, or a call of it was admitted.
//
// Made, stopped and destroyed on the loop's thread; so are all sessions. The loop, the clock, the
// agents and the admin must outlive it.
class Server {
 public:
  struct Options {
    std::string address;          // "host:port"; port 0 chooses one
    std::string certificate_pem;  // of the server
    std::string private_key_pem;
    std::string ca_pem;  // is sent after the certificate, so that an enrolment can check its digest
    Doorkeeper::Limits strangers = {};
    // A connection without a call is closed after so much time.
    std::chrono::milliseconds idle_time = base::limits::kMaxConnectionIdleTime;
  };

  // Listens at once. Another server on the port is an error, with the system's reason. Without an
  // `admin` the administrative API is UNIMPLEMENTED.
  static base::Result<std::unique_ptr<Server>> Start(const Options& options, base::Loop& loop,
                                                     const base::Clock& clock, AgentCalls& agents,
                                                     api::Dispatch* admin);
  virtual ~Server() = default;

  virtual std::uint16_t port() const = 0;
  virtual Doorkeeper::Counts counts() const = 0;

  // Ends every stream and call with UNAVAILABLE and waits until `deadline` for that to reach the
  // peers. Listeners hear OnClosed from the loop, later. Called again it does nothing.
  virtual void Stop(std::chrono::milliseconds deadline = base::limits::kMaxStopTime) = 0;
};

}  // namespace weighmaster::server::rpc
