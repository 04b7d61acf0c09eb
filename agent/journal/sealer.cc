#include "agent/journal/sealer.h"

#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "third_party/spdlog/log.h"

namespace weighmaster::agent::journal {

Sealer::Sealer(base::Loop& loop, Journal& journal) : loop_(loop), journal_(journal), timer_(loop) {
  journal_.set_on_append([this](model::PriorityClass priority) { OnAppend(priority); });
  SealSoon();
}

Sealer::~Sealer() { journal_.set_on_append(nullptr); }

void Sealer::OnAppend(model::PriorityClass priority) {
  WM_CHECK(loop_.OnLoop());
  const bool full = ++appended_[priority] >= base::limits::kMaxEventsPerBatch;
  if (storage_failed_ || hurried_) return;
  if (full) {
    // Inside the caller's transaction; the loop's next turn is the earliest.
    hurried_ = true;
    Arm(base::Duration(0));
  } else if (!timer_.armed()) {
    Arm(base::limits::kMaxSealDelay);
  }
}

void Sealer::Arm(base::Duration delay) {
  timer_.Start(delay, [this] { SealOne(); });
}

void Sealer::SealOne() {
  hurried_ = false;
  const bool failed_before = std::exchange(storage_failed_, false);
  const auto sealed = journal_.Seal();
  if (!sealed.has_value()) {
    // Before the first chain there is nothing to mend; StartChain's caller seals what waits.
    storage_failed_ = sealed.error().code() != base::ErrorCode::kFailedPrecondition;
    if (storage_failed_) Arm(base::limits::kStorageRetryDelay);
    if (storage_failed_ && !failed_before) {
      logging::Error("journal", sealed.error().message() + "; events wait until it can be written");
    }
    return;
  }
  if (failed_before) logging::Info("journal", "it can be written again");
  if (!sealed.value()) {
    appended_.clear();
    return;
  }
  Arm(base::Duration(0));  // more may wait, of this class or another
  if (on_sealed_) on_sealed_();
}

}  // namespace weighmaster::agent::journal
