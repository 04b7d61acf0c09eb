#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "policy/base/loop.h"
#include "policy/base/random.h"
#include "policy/base/result.h"
#include "server/identity/fleet_files.h"
#include "server/identity/peer.h"
#include "server/store/store.h"

namespace weighmaster::v1 {
class EnrolRequest;
class EnrolResponse;
class RenewRequest;
class RenewResponse;
}  // namespace weighmaster::v1

namespace weighmaster::server::identity {

struct NewEnrolmentToken {
  std::string text;  // "wm1.…"
  base::WallTime expires;
};

// What a new enrolment token is to be.
struct TokenWish {
  std::uint32_t uses = 1;
  base::Duration valid_for{0};
  std::string comment;
  store::Labels labels = {};  // of the endpoints that enrol with it
};

// Which endpoints belong to the fleet: enrolment tokens, enrolment, certificates. Secrets are
// stored and compared as SHA-256 only, so neither the store nor the time of a comparison tells
// them.
//
// Loop-owned; replies come on the loop, later, and never once it is destroyed. The CA key stays
// inside. Everything passed in must outlive it.
class Authority {
 public:
  template <typename T>
  using Reply = std::function<void(base::Result<T>)>;

  // `address` is what goes into enrolment tokens: host:port. `reader` runs `queries`.
  Authority(base::Loop& loop, const base::Clock& clock, base::Random& random, FleetFiles files,
            std::string address, base::Executor& writer, store::Store& store,
            base::Executor& reader, store::Queries& queries);
  ~Authority() = default;
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  // What a connection with this client certificate (PEM; "" for none) may do, now. A certificate
  // that cannot be read is refused. RESOURCE_EXHAUSTED while limits::kMaxPeersWaiting are under
  // way: whoever opens connections must not fill the reader's queue.
  void Classify(const std::string& certificate_pem, Reply<PeerDecision> reply);

  // AgentService.Enrol. INVALID_ARGUMENT: the request is malformed or not signed by its key.
  // UNAUTHENTICATED, PERMISSION_DENIED: see store::Store::Enrol.
  void Enrol(const v1::EnrolRequest& request, Reply<v1::EnrolResponse> reply);
  // AgentService.Renew, for the endpoint that Classify named. Only for its present key.
  void Renew(const model::Id& endpoint, const v1::RenewRequest& request,
             Reply<v1::RenewResponse> reply);

  // On the word of somebody with this scope. INVALID_ARGUMENT: the uses or the validity are not
  // within limits. PERMISSION_DENIED: endpoints that enrol with it would not be in the scope.
  void CreateToken(const store::Scope& scope, TokenWish wish, Reply<NewEnrolmentToken> reply);

  const FleetFiles& files() const { return *files_; }

 private:
  // Constant after construction; files_ is shared with work on executors.
  base::Loop& loop_;
  const base::Clock& clock_;
  base::Random& random_;
  const std::shared_ptr<const FleetFiles> files_;
  const std::string address_;
  base::Executor& writer_;
  store::Store& store_;
  base::Executor& reader_;
  store::Queries& queries_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();

  // Owned by the loop.
  std::size_t classifying_ = 0;
};

}  // namespace weighmaster::server::identity
