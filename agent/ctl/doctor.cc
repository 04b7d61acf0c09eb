#include <cstddef>
#include <string>

#include "agent/cage/parser.h"
#include "agent/control/client.h"
#include "agent/ctl/clock_fault.h"
#include "agent/ctl/commands.h"
#include "agent/os/machine.h"
#include "agent/os/this_program.h"
#include "policy/base/bytes.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::ctl {
namespace {

using local::v1::StatusAnswer;

// Prints one line a question and remembers whether any answer was bad.
class Examination {
 public:
  explicit Examination(std::ostream& out) : out_(out) {}

  void Good(const char* what, const std::string& detail) { Print("ok      ", what, detail); }
  void Bad(const char* what, const std::string& detail) {
    Print("PROBLEM ", what, detail);
    well_ = false;
  }
  bool well() const { return well_; }

 private:
  void Print(const char* state, std::string what, const std::string& detail) {
    what.resize(10, ' ');
    out_ << state << what << base::EscapeForDisplay(detail) << "\n";
  }

  std::ostream& out_;
  bool well_ = true;
};

void ExamineMachine(Examination& examination) {
  if (os::ClockIsSynchronised()) {
    examination.Good("clock", "disciplined by time synchronisation");
  } else {
    examination.Bad("clock", "not synchronised; times of events may be off. Turn on NTP");
  }
  const auto program = os::BesideThisProgram("weighmaster-cage");
  if (!program.has_value()) {
    examination.Bad("cage", program.error().message());
    return;
  }
  const auto cage = cage::Cage::Launch(cage::DefaultCageSpec(*program));
  if (cage.has_value()) {
    examination.Good("cage", *program + " starts, with its system call filter");
  } else {
    examination.Bad("cage", cage.error().message());
  }
}

void ExamineCoverage(Examination& examination, const StatusAnswer& status) {
  std::size_t looked = 0;
  for (const v1::Coverage& coverage : status.coverage()) {
    if (coverage.state() == v1::COVERAGE_STATE_LOOKED) {
      ++looked;
    } else if (coverage.reason() == v1::COVERAGE_REASON_PERMISSION ||
               coverage.reason() == v1::COVERAGE_REASON_IO_ERROR ||
               coverage.reason() == v1::COVERAGE_REASON_NOT_MOUNTED) {
      examination.Bad("coverage", coverage.root().value() + ": " + coverage.detail());
    }
  }
  examination.Good("coverage",
                   std::to_string(looked) + " of " +
                       std::to_string(static_cast<std::uint64_t>(status.coverage_size()) +
                                      status.coverage_left_out()) +
                       " roots were looked at whole");
}

void ExamineAgent(Examination& examination, const StatusAnswer& status) {
  examination.Good("agent", "weighmaster-agent " + status.agent_version() + " answers");
  if (status.endpoint_id().empty()) {
    examination.Bad("enrolment", status.connection_detail());
  } else if (status.connected()) {
    examination.Good("server", "connected to " + status.server_address());
  } else {
    examination.Bad("server", status.server_address() + ": " + status.connection_detail());
  }
  if (const std::string fault = ClockFault(status); !fault.empty()) {
    examination.Bad("clock", fault);
  }
  if (!status.policy_detail().empty()) {
    examination.Bad("policy", status.policy_detail());
  } else if (status.policy_stale()) {
    examination.Bad("policy", "past its expiry; it stays in force until a new one is published");
  } else if (status.policy_version() == 0) {
    examination.Good("policy", "none published yet");
  } else {
    examination.Good("policy", "version " + std::to_string(status.policy_version()));
  }
  if (status.journal_error().empty()) {
    examination.Good("journal", "can be written");
  } else {
    examination.Bad("journal", status.journal_error());
  }
}

}  // namespace

base::Result<ExitCode> Doctor(const std::string& socket, Terminal terminal) {
  Examination examination(terminal.out);
  ExamineMachine(examination);
  StatusAnswer status;
  const auto asked = control::Client(socket).Status(status);
  if (asked.has_value()) {
    ExamineAgent(examination, status);
    ExamineCoverage(examination, status);
  } else {
    examination.Bad("agent", asked.error().message());
  }
  return examination.well() ? ExitCode::kOk : ExitCode::kFailed;
}

}  // namespace weighmaster::agent::ctl
