#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "server/fleet/session.h"

namespace weighmaster::server::fleet {

// All open streams, and the one way to a Session. The newest stream of an endpoint fences the older
// ones; a revocation closes its streams at once; times of contact, of open streams every
// limits::kContactInterval, wait in memory and are stored together. Loop-owned; everything in
// Services must outlive it.
class Fleet final : public Session::Owner {
 public:
  explicit Fleet(const Services& services);
  ~Fleet() override;
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // For a transport: takes the server's end of a new stream and returns who listens to it, valid
  // until OnClosed or the channel's destruction. Null, with the channel closed, at the limit
  // (limits::kMaxStreams). `tls_identity` is PeerDecision::endpoint, none without TLS.
  wire::ServerListener* Accept(std::unique_ptr<wire::ServerChannel> channel,
                               std::optional<model::Id> tls_identity);

  // Stores the revocation, then closes the endpoint's streams. Replies whether it was connected.
  // NOT_FOUND when there is no such endpoint in the scope.
  void Revoke(const store::Scope& scope, const model::Id& endpoint, std::string reason,
              std::function<void(base::Result<bool>)> reply);

  bool IsConnected(const model::Id& endpoint) const { return ready_.contains(endpoint); }
  std::size_t connected() const { return ready_.size(); }
  std::vector<model::Id> Connected() const;
  // Policies that were offered since the start, each endpoint on its own.
  std::uint64_t policies_offered() const { return policies_offered_; }

 private:
  bool OnReady(Session& session) override;
  void OnContact(const store::Contact& contact) override;
  void OnOffered() override { ++policies_offered_; }
  void OnOver(Session& session) override;

  // A new policy goes out in groups, over limits::kOfferRounds pauses however many endpoints there
  // are. What this server has to do for all of them at once would be done for all of them at the
  // end; one group after the other, most are done much earlier.
  void OfferToAll();
  void OfferToNext();
  void MeetAll();
  void FlushContacts();

  const Services services_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();

  // Owned by the loop.
  std::map<const Session*, std::unique_ptr<Session>> sessions_;
  std::map<model::Id, Session*> ready_;
  // Since this server started: a hello that was looked up before the revocation must not win.
  std::set<model::Id> revoked_;
  std::map<model::Id, store::Contact> contacts_;
  base::Timer contacts_timer_;
  base::Timer open_streams_timer_;
  std::optional<model::Id> offered_up_to_;  // of ready_, by the offers under way
  std::size_t offers_at_once_ = 0;
  base::Timer offers_timer_;
  std::uint64_t policies_offered_ = 0;
};

}  // namespace weighmaster::server::fleet
