#pragma once

#include <memory>
#include <utility>

#include "policy/base/loop.h"

namespace weighmaster::server::store {

// Runs `work` on the executor and then `then` with what it returned on the loop, unless the owner
// has gone by then. The one way from loop-owned objects to a store and back. `owner` is a token
// that the asking object holds: its destruction drops every answer still under way.
template <typename Work, typename Then>
void Ask(base::Executor& executor, base::Loop& loop, const std::shared_ptr<const void>& owner,
         Work work, Then then) {
  executor.Submit([&loop, alive = std::weak_ptr<const void>(owner), work = std::move(work),
                   then = std::move(then)]() mutable {
    auto answer = work();
    loop.Post(
        [alive = std::move(alive), then = std::move(then), answer = std::move(answer)]() mutable {
          if (alive.lock() != nullptr) then(std::move(answer));
        });
  });
}

}  // namespace weighmaster::server::store
