#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "server/api/dispatch.h"

namespace weighmaster::v1 {
class ListChangesResponse;
}  // namespace weighmaster::v1

namespace weighmaster::server::rest {

// Who reads changes, and what of them: `filter` as in ListChanges.
struct ChangeReader {
  std::string authorization;
  std::string filter;
};

// ListChanges as a text/event-stream that does not end by itself: each change is an event, its
// position the event's id. https://html.spec.whatwg.org/multipage/server-sent-events.html and
// docs/formats/rest.md.
//
// Every look is a call of its own, so whoever's token is revoked meanwhile is told so, and that is
// the end. A stream that has nothing to say says that it is there every
// limits::kRestEventHeartbeat. Loop-owned; loop and dispatch must outlive it.
class ChangeEvents {
 public:
  // `first` is the answer to the question that opened the stream; `permit` is held as long as this.
  ChangeEvents(base::Loop& loop, const base::Clock& clock, api::Dispatch& dispatch,
               ChangeReader reader, const v1::ListChangesResponse& first,
               std::shared_ptr<const void> permit);
  ~ChangeEvents();
  ChangeEvents(const ChangeEvents&) = delete;
  ChangeEvents& operator=(const ChangeEvents&) = delete;

  // What is to be written next, once there is something; none: the end. One question at a time, and
  // no reply once this is destroyed.
  void Next(std::function<void(std::optional<std::string>)> reply);

 private:
  void Look();
  void Take(base::Result<api::Dispatch::Message> answer);
  void Reply(std::optional<std::string> text);

  base::Loop& loop_;
  const base::Clock& clock_;
  api::Dispatch& dispatch_;
  const ChangeReader reader_;
  const std::shared_ptr<const void> permit_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();

  std::string position_;
  std::optional<std::string> ready_;  // the first answer's
  std::function<void(std::optional<std::string>)> waiting_;
  base::Duration last_said_;
  base::Timer pause_{loop_};
  bool over_ = false;
};

}  // namespace weighmaster::server::rest
