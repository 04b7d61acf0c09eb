#include "agent/app/state.h"

#include <utility>

#include "agent/journal/state_file.h"
#include "agent/os/machine.h"
#include "third_party/spdlog/log.h"

namespace weighmaster::agent::app {
namespace {

base::Result<State> OpenFile(const StateSetting& setting) {
  State state;
  WM_ASSIGN_OR_RETURN(state.database, journal::OpenStateFile(setting.path));
  const journal::EventStamp stamp(setting.clock, setting.boot_id);
  journal::Journal::Options options;
  options.boot_id = setting.boot_id;
  options.report_drop = stamp.MakeDropReporter();
  options.clock_state = [] {
    return os::ClockIsSynchronised() ? wire::ClockState::kSynchronised
                                     : wire::ClockState::kUnsynchronised;
  };
  WM_ASSIGN_OR_RETURN(state.journal,
                      journal::Journal::Open(*state.database, setting.clock, setting.random,
                                             setting.signer, std::move(options)));
  state.events = std::make_unique<journal::EventLog>(*state.journal, stamp);
  return state;
}

}  // namespace

base::Result<State> OpenState(const StateSetting& setting) {
  auto state = OpenFile(setting);
  if (!state.has_value() && state.error().code() == base::ErrorCode::kDataLoss) {
    WM_ASSIGN_OR_RETURN(const std::string aside,
                        journal::MoveStateFileAside(setting.path, setting.clock.Now()));
    logging::Error("journal", state.error().message() + "; it is kept as " + aside);
    state = OpenFile(setting);
  }
  if (!state.has_value()) return std::move(state).error();
  if (state->journal->head().chain.is_zero()) {
    WM_RETURN_IF_ERROR(state->events->StartChain(
        setting.first_run ? model::ChainReason::kEnrolled : model::ChainReason::kJournalLost, 0));
  }
  return state;
}

}  // namespace weighmaster::agent::app
