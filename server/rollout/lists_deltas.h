#pragma once

#include <deque>
#include <memory>
#include <string>

#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "server/store/store.h"

namespace weighmaster::server::rollout {

// What leads from one stored `lists` part to another (policy/model/lists/lists_delta.h). A
// publication makes every endpoint ask for the same one within a second, so the newest
// limits::kMaxListsDeltasKept are kept, and so is the knowledge that there is none.
//
// Belongs to the thread that runs `queries`, which reads both parts whole to make one. What can't
// be read now is no delta, and is tried again.
class ListsDeltas {
 public:
  explicit ListsDeltas(store::Queries& queries) : queries_(queries) {}

  // Null when there is none of at most limits::kMaxListsDeltaBytes that is shorter than the part.
  std::shared_ptr<const std::string> Find(const model::Sha256& from, const model::Sha256& to);

 private:
  struct Known {
    model::Sha256 from;
    model::Sha256 to;
    std::shared_ptr<const std::string> delta;
  };

  base::Result<std::shared_ptr<const std::string>> Make(const model::Sha256& from,
                                                        const model::Sha256& to);

  store::Queries& queries_;
  std::deque<Known> known_;  // asked for last, first
};

}  // namespace weighmaster::server::rollout
