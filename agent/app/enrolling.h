#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/app/identity.h"
#include "agent/os/machine.h"
#include "agent/sync/enrolment_client.h"
#include "policy/base/loop.h"
#include "policy/base/random.h"
#include "proto/wire/stream/backoff.h"

namespace weighmaster::agent::app {

// Where the enrolment token comes from.
struct TokenSource {
  std::string file;  // "-" is standard input, "" none
  std::string text;  // what standard input held

  // Where the file is "-": all of it, at once. Blocks until its end, so before everything else.
  base::Status ReadStandardInput();
  // The file anew at each call, so that a better one can be put there.
  base::Result<std::string> Read() const;
};

// Makes this endpoint known to its server, and keeps its certificate fresh afterwards. Nothing that
// fails makes it give up: it reads the token file anew at each attempt, so that an administrator
// can simply put a good one there.
//
// Loop-owned; the calls block and run on the executor, whose tasks post back. Everything passed in
// must outlive it, but for the executor, which ends before it: a call under way uses it.
class Enrolling {
 public:
  struct Rooms {
    base::Loop& loop;
    base::Executor& executor;
    const base::Clock& clock;
    base::Random& random;
    const openssl::PrivateKey& key;
    const sync::EnrolmentClient& client;  // called on the executor
  };
  // `on_identity` is called on the loop with the first identity and again after each renewal.
  using OnIdentity = std::function<void(const EnrolledIdentity&)>;

  Enrolling(Rooms rooms, std::string state_folder, TokenSource token, os::Machine machine,
            OnIdentity on_identity);
  ~Enrolling() = default;
  Enrolling(const Enrolling&) = delete;
  Enrolling& operator=(const Enrolling&) = delete;

  // With the identity that is there, or by enrolling.
  void Start(std::optional<EnrolledIdentity> identity);

  // One line: why this endpoint is not enrolled, or its certificate not renewed; "" when all is
  // well.
  const std::string& last_error() const { return last_error_; }
  const std::optional<EnrolledIdentity>& identity() const { return identity_; }
  // Who this endpoint is to its server by now: asked at each connection, so that a renewed
  // certificate is used from the next one on. Not before there is an identity.
  sync::ConnectorOptions connector_options() const { return OptionsOf(*identity_); }

 private:
  sync::ConnectorOptions OptionsOf(const EnrolledIdentity& identity) const;
  base::Result<EnrolledIdentity> Enrol() const;
  base::Result<EnrolledIdentity> Renew(const EnrolledIdentity& identity) const;
  bool NeedsRenewal() const;
  void TryEnrol();
  void CheckCertificate();
  void Finish(base::Result<EnrolledIdentity> outcome);
  // Into the log when it is another one than before, and now and then.
  void Complain(std::string why);

  // Constant after construction.
  const Rooms rooms_;
  const std::string state_folder_;
  const TokenSource token_;
  const os::Machine machine_;
  const OnIdentity on_identity_;
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);

  // Owned by the loop.
  std::optional<EnrolledIdentity> identity_;
  std::string last_error_;
  base::Duration complain_again_{};  // on the clock since boot
  wire::Backoff backoff_;
  base::Timer timer_;
};

}  // namespace weighmaster::agent::app
