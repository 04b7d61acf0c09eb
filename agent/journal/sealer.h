#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <utility>

#include "agent/journal/journal.h"
#include "policy/base/loop.h"
#include "policy/model/event.h"

namespace weighmaster::agent::journal {

// Decides when waiting events are sealed: limits::kMaxSealDelay after the first of them, or at once
// when a class has limits::kMaxEventsPerBatch. Seals one batch per turn of the loop. When sealing
// fails (a full disk) it tries again every limits::kStorageRetryDelay, for ever.
//
// Owned by the loop. The journal and the loop must outlive it; it takes the journal's one place for
// an append listener.
class Sealer {
 public:
  Sealer(base::Loop& loop, Journal& journal);
  ~Sealer();
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  // Called after each sealed batch; sync sends then.
  void set_on_sealed(std::function<void()> on_sealed) { on_sealed_ = std::move(on_sealed); }

  // Seals soon whatever waits, e.g. events appended before this object existed.
  void SealSoon() { Arm(base::Duration(0)); }

 private:
  void OnAppend(model::PriorityClass priority);
  void Arm(base::Duration delay);
  void SealOne();

  base::Loop& loop_;
  Journal& journal_;
  std::function<void()> on_sealed_;
  base::Timer timer_;
  bool hurried_ = false;         // the timer runs for a full batch and must not be set back
  bool storage_failed_ = false;  // the timer runs for a retry
  std::map<model::PriorityClass, std::size_t>
      appended_;  // since the last sealing; rollbacks included
};

}  // namespace weighmaster::agent::journal
