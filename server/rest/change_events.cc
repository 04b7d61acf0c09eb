#include "server/rest/change_events.h"

#include <google/protobuf/message.h>

#include <string_view>
#include <utility>

#include "policy/base/limits.h"
#include "server/rest/transcode.h"
#include "server/store/values.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::rest {
namespace {

using api::Dispatch;
using base::Result;
namespace limits = base::limits;

// JSON here is one line, so it is one `data` field.
std::string EventText(std::string_view name, const std::string& json) {
  return "event: " + std::string(name) + "\ndata: " + json + "\n\n";
}

std::string ChangesText(const v1::ListChangesResponse& response) {
  std::string text;
  for (const v1::Change& change : response.changes()) {
    const auto json = ToJson(change);
    if (!json.has_value()) continue;
    text +=
        "id: " + std::to_string(change.position()) + "\n" +
        EventText(store::ChangeTopicName(static_cast<store::ChangeTopic>(change.topic())), *json);
  }
  return text;
}

}  // namespace

ChangeEvents::ChangeEvents(base::Loop& loop, const base::Clock& clock, Dispatch& dispatch,
                           ChangeReader reader, const v1::ListChangesResponse& first,
                           std::shared_ptr<const void> permit)
    : loop_(loop),
      clock_(clock),
      dispatch_(dispatch),
      reader_(std::move(reader)),
      permit_(std::move(permit)),
      position_(first.position()),
      last_said_(clock.SinceBoot().since_boot) {
  // An id without data moves the reader on and is no event. When it lost the connection it comes
  // again after the time that `retry` says.
  ready_ = "retry: " + std::to_string(limits::kRestEventRetry.count()) + "\n" +
           (first.changes().empty() ? "id: " + position_ + "\n" : "") + "\n" + ChangesText(first);
}

ChangeEvents::~ChangeEvents() = default;

void ChangeEvents::Next(std::function<void(std::optional<std::string>)> reply) {
  waiting_ = std::move(reply);
  if (over_) return Reply(std::nullopt);
  if (ready_.has_value()) return Reply(std::exchange(ready_, std::nullopt));
  Look();
}

void ChangeEvents::Look() {
  auto request = std::make_shared<v1::ListChangesRequest>();
  request->set_position(position_);
  request->set_filter(reader_.filter);
  request->set_page_size(static_cast<std::uint32_t>(limits::kMaxPageSize));
  const auto take = [this, alive = std::weak_ptr<const void>(alive_)](auto answer) {
    if (alive.lock() != nullptr) Take(std::move(answer));
  };
  dispatch_.Admit(dispatch_.MethodFor(*v1::ListChangesRequest::descriptor()), reader_.authorization,
                  [this, take, request, alive = std::weak_ptr<const void>(alive_)](
                      Result<Dispatch::Admission> admission) {
                    if (alive.lock() == nullptr) return;
                    if (!admission.has_value()) {
                      return take(Result<Dispatch::Message>(std::move(admission).error()));
                    }
                    dispatch_.Call(*std::move(admission), request, take);
                  });
}

void ChangeEvents::Take(Result<Dispatch::Message> answer) {
  const base::Duration now = clock_.SinceBoot().since_boot;
  if (answer.has_value()) {
    const auto& response = static_cast<const v1::ListChangesResponse&>(**answer);
    position_ = response.position();
    if (!response.changes().empty()) return Reply(ChangesText(response));
  } else {
    const base::ErrorCode code = answer.error().code();
    const bool may_pass =
        code == base::ErrorCode::kResourceExhausted || code == base::ErrorCode::kUnavailable;
    if (!may_pass) {
      over_ = true;
      return Reply(EventText("error", ErrorJson(answer.error())));
    }
  }
  if (now - last_said_ >= limits::kRestEventHeartbeat) {
    // Past what the reader's filter left out, too.
    return Reply("id: " + position_ + "\n: nothing changed\n\n");
  }
  pause_.Start(limits::kRestEventPause, [this] { Look(); });
}

void ChangeEvents::Reply(std::optional<std::string> text) {
  last_said_ = clock_.SinceBoot().since_boot;
  std::exchange(waiting_, nullptr)(std::move(text));
}

}  // namespace weighmaster::server::rest
