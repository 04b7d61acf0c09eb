#include "server/fleet/fleet.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "server/store/ask.h"

namespace weighmaster::server::fleet {

namespace limits = base::limits;

Fleet::Fleet(const Services& services)
    : services_(services),
      contacts_timer_(services.loop),
      open_streams_timer_(services.loop),
      offers_timer_(services.loop) {
  services_.rollout.Subscribe([this] { OfferToAll(); });
  services_.exceptions.Subscribe([this](const auto& published) {
    if (!published->set.endpoint.has_value()) return OfferToAll();
    const auto session = ready_.find(*published->set.endpoint);
    if (session != ready_.end()) session->second->SendExceptions(*published);
  });
}

Fleet::~Fleet() {
  services_.rollout.Subscribe(nullptr);
  services_.exceptions.Subscribe(nullptr);
}

wire::ServerListener* Fleet::Accept(std::unique_ptr<wire::ServerChannel> channel,
                                    std::optional<model::Id> tls_identity) {
  WM_CHECK(services_.loop.OnLoop());
  if (sessions_.size() >= limits::kMaxStreams) return nullptr;
  auto session = std::make_unique<Session>(services_, *this, std::move(channel), tls_identity);
  Session* const listener = session.get();
  sessions_.emplace(listener, std::move(session));
  listener->Start();
  return listener;
}

void Fleet::Revoke(const store::Scope& scope, const model::Id& endpoint, std::string reason,
                   std::function<void(base::Result<bool>)> reply) {
  store::Ask(
      services_.writer, services_.loop, alive_,
      [&store = services_.store, scope, endpoint, reason = std::move(reason),
       now = services_.clock.Now()] { return store.Revoke(scope, endpoint, reason, now); },
      [this, endpoint, reply = std::move(reply)](base::Status revoked) {
        if (!revoked.has_value()) return reply(std::move(revoked).error());
        revoked_.insert(endpoint);
        const auto found = ready_.find(endpoint);
        const bool was_connected = found != ready_.end();
        if (was_connected) {
          Session* const session = found->second;
          ready_.erase(found);
          session->Refuse(RefusalReason::kRevoked, "this endpoint was revoked by an administrator");
        }
        reply(was_connected);
      });
}

std::vector<model::Id> Fleet::Connected() const {
  std::vector<model::Id> endpoints;
  endpoints.reserve(ready_.size());
  for (const auto& [endpoint, session] : ready_) endpoints.push_back(endpoint);
  return endpoints;
}

bool Fleet::OnReady(Session& session) {
  if (revoked_.contains(session.endpoint())) return false;
  Session*& newest = ready_[session.endpoint()];
  Session* const older = std::exchange(newest, &session);
  if (older != nullptr) {
    older->Refuse(RefusalReason::kFenced, "a newer stream of this endpoint took its place");
  }
  if (!open_streams_timer_.armed()) {
    open_streams_timer_.Start(limits::kContactInterval, [this] { MeetAll(); });
  }
  return true;
}

// An endpoint on which nothing changes says nothing for days, and is there all the same.
void Fleet::MeetAll() {
  for (const auto& [endpoint, session] : ready_) OnContact(session->ContactNow());
  if (ready_.empty()) return;
  open_streams_timer_.Start(limits::kContactInterval, [this] { MeetAll(); });
}

void Fleet::OnContact(const store::Contact& contact) {
  contacts_[contact.endpoint] = contact;
  if (!contacts_timer_.armed()) {
    contacts_timer_.Start(limits::kContactFlushDelay, [this] { FlushContacts(); });
  }
}

void Fleet::OnOver(Session& session) {
  const auto found = ready_.find(session.endpoint());
  if (found != ready_.end() && found->second == &session) ready_.erase(found);
  services_.loop.Post([this, alive = std::weak_ptr<const void>(alive_), over = &session] {
    if (alive.lock() != nullptr) sessions_.erase(over);
  });
}

void Fleet::OfferToAll() {
  offered_up_to_.reset();
  offers_at_once_ = std::max(limits::kLeastOffersAtOnce, ready_.size() / limits::kOfferRounds);
  OfferToNext();
}

void Fleet::OfferToNext() {
  auto next = offered_up_to_.has_value() ? ready_.upper_bound(*offered_up_to_) : ready_.begin();
  for (std::size_t offered = 0; next != ready_.end() && offered < offers_at_once_; ++next) {
    offered_up_to_ = next->first;
    if (next->second->Offer()) ++offered;
  }
  if (next != ready_.end()) {
    offers_timer_.Start(limits::kOffersPause, [this] { OfferToNext(); });
  }
}

void Fleet::FlushContacts() {
  auto contacts = std::make_shared<std::vector<store::Contact>>();
  for (auto& [endpoint, contact] : std::exchange(contacts_, {})) contacts->push_back(contact);
  store::Ask(
      services_.writer, services_.loop, alive_,
      [&store = services_.store, contacts] { return store.RecordContacts(*contacts); },
      [this, contacts](const base::Status& recorded) {
        if (recorded.has_value()) return;
        // Newer ones stay; the rest waits for the next time.
        for (const store::Contact& contact : *contacts) {
          if (!contacts_.contains(contact.endpoint)) OnContact(contact);
        }
      });
}

}  // namespace weighmaster::server::fleet
