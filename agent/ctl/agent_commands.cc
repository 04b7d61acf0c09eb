#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "agent/control/client.h"
#include "agent/ctl/clock_fault.h"
#include "agent/ctl/commands.h"
#include "policy/base/bytes.h"
#include "policy/engine/policy.h"
#include "policy/report/table.h"
#include "proto/wire/convert.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::ctl {
namespace {

using local::v1::StatusAnswer;
using local::v1::WhyAnswer;

std::string TimeText(std::int64_t time_us) {
  return base::FormatWallTime(base::WallTimeFromMicroseconds(time_us)).substr(0, 19) + "Z";
}

std::string ServerLine(const StatusAnswer& status) {
  if (status.endpoint_id().empty()) return "not enrolled: " + status.connection_detail();
  std::string line = (status.connected() ? "connected to " : "not connected to ") +
                     status.server_address() + " as " + status.endpoint_id();
  if (!status.connection_detail().empty()) line += "; " + status.connection_detail();
  if (!status.connected() && status.last_contact_time_us() != 0) {
    line += "; last contact " + TimeText(status.last_contact_time_us());
  }
  return line;
}

std::string PolicyLine(const StatusAnswer& status) {
  std::string line = status.policy_version() == 0
                         ? "none in force yet"
                         : "version " + std::to_string(status.policy_version());
  if (status.policy_stale()) line += ", stale: past its expiry, still in force";
  if (!status.policy_detail().empty()) line += "; " + status.policy_detail();
  return line;
}

std::string ModelsLine(const StatusAnswer& status) {
  return std::to_string(status.sightings()) + " (" + std::to_string(status.allow()) + " allowed, " +
         std::to_string(status.warn()) + " warned, " + std::to_string(status.deny()) + " denied; " +
         std::to_string(status.digests_pending()) + " not hashed yet)";
}

std::string ScanLine(const StatusAnswer& status) {
  std::string line = status.walking() ? "walking" : "resting";
  if (status.pause() == local::v1::PAUSE_REASON_ON_BATTERY) line += ", paused on battery";
  if (status.pause() == local::v1::PAUSE_REASON_UNDER_LOAD)
    line += ", paused while the load is high";
  line += ", " + std::to_string(status.files_seen()) + " files looked at";
  if (status.bytes_to_hash() > status.bytes_hashed()) {
    line += ", " + report::FormatBytes(status.bytes_to_hash() - status.bytes_hashed()) +
            " left to hash";
  }
  return line;
}

std::string JournalLine(const StatusAnswer& status) {
  std::string line = std::to_string(status.batches_unacknowledged()) +
                     " batches wait for the server, " + std::to_string(status.events_pending()) +
                     " events for the next, " + report::FormatBytes(status.journal_bytes()) +
                     " kept";
  if (status.events_dropped() > 0) {
    line += ", " + std::to_string(status.events_dropped()) + " event bodies dropped";
  }
  if (!status.journal_error().empty()) line += "; " + status.journal_error();
  return line;
}

std::string SettingLine(const StatusAnswer& status, const local::v1::EffectiveSetting& setting) {
  std::string line = setting.name() + " " + setting.value();
  if (setting.source() == local::v1::SETTING_SOURCE_DEFAULT) line += ", by default";
  if (setting.source() == local::v1::SETTING_SOURCE_FILE) line += ", by the settings file";
  if (setting.source() != local::v1::SETTING_SOURCE_POLICY) return line;
  // What is withheld stays so also while the policy that says it can't be read.
  return line + (status.policy_version() == 0
                     ? ", by the last policy"
                     : ", by policy version " + std::to_string(status.policy_version()));
}

base::Result<model::Path> AbsolutePath(const std::string& path) {
  std::error_code error;
  auto absolute = std::filesystem::absolute(path, error);
  if (error) return base::FromErrno(error.value(), path);
  // The folders' links are resolved, as the sensor sees them; the file's own name is kept.
  const auto folder = std::filesystem::weakly_canonical(absolute.parent_path(), error);
  if (!error && absolute.has_filename()) absolute = folder / absolute.filename();
  return model::Path{absolute.lexically_normal().string(), model::PathEncoding::kPosixBytes};
}

base::Result<WhyAnswer> Ask(const control::Client& client, const std::string& path) {
  WM_ASSIGN_OR_RETURN(const model::Path absolute, AbsolutePath(path));
  WhyAnswer answer;
  WM_RETURN_IF_ERROR(client.Why(absolute, answer));
  return answer;
}

ExitCode Worse(ExitCode a, ExitCode b) { return static_cast<int>(a) > static_cast<int>(b) ? a : b; }

void PrintFacts(std::ostream& out, const model::Sighting& sighting) {
  const model::Facts& facts = sighting.facts;
  const auto line = [&out](const char* name, const std::string& value) {
    if (!value.empty()) out << name << base::EscapeForDisplay(value) << "\n";
  };
  out << sighting.path.ToDisplay() << "\n";
  line("  format        ", std::string(model::FormatName(facts.format)));
  line("  size          ", report::FormatBytes(sighting.size_bytes));
  line("  name          ", facts.name);
  line("  architecture  ", facts.architecture);
  if (facts.parameters.has_value()) {
    line("  parameters    ", report::FormatParameters(*facts.parameters));
  }
  line("  quantization  ", facts.quantization);
  line("  license       ", facts.license.empty() ? "not said" : facts.license);
  line("  sha256        ",
       sighting.digest.sha256.has_value() ? sighting.digest.sha256->ToHex() : std::string());
  line("  digest        ",
       std::string(model::DigestStateName(sighting.digest.state)) +
           (sighting.digest.detail.empty() ? "" : ": " + sighting.digest.detail));
  for (const model::Risk& risk : facts.risks) {
    line("  risk          ", std::string(model::SeverityName(risk.severity)) + ", " + risk.id +
                                 ": " + risk.message +
                                 (risk.evidence.empty() ? "" : " (" + risk.evidence + ")"));
  }
}

// What the mode makes of a verdict that speaks against a file, for its user. Nothing here promises
// what the agent does not do.
const char* WhatFollows(const model::Verdict& verdict) {
  if (verdict.outcome == model::Outcome::kAllow) return "";
  if (verdict.mode == model::Mode::kObserve) {
    return ": the server is told, and nothing else follows; it may be used";
  }
  if (verdict.mode == model::Mode::kEnforce && verdict.outcome == model::Outcome::kDeny) {
    return ": it is not to be opened; this version says so, and does not keep anybody from it";
  }
  return ": you are told as well, and nothing is refused";
}

void PrintVerdict(std::ostream& out, const model::Verdict& verdict) {
  out << "  verdict       " << model::OutcomeName(verdict.outcome) << ", "
      << model::SeverityName(verdict.severity) << "\n"
      << "  mode          " << model::ModeName(verdict.mode) << WhatFollows(verdict) << "\n"
      << "  because       " << base::EscapeForDisplay(verdict.reason) << "\n";
  // Whoever answers at the socket sends no person anywhere but to an https address.
  if (engine::IsLink(verdict.link)) {
    out << "  more          " << base::EscapeForDisplay(verdict.link) << "\n";
  }
  out << "  decided by    " << base::EscapeForDisplay(verdict.rule) << " ("
      << model::JudgementStepName(verdict.step) << "), basis " << model::BasisName(verdict.basis)
      << ", policy version " << verdict.policy_version << "\n";
  if (verdict.until.has_value()) {
    out << "  until         " << base::FormatWallTime(*verdict.until) << "\n";
  }
  for (const std::string& rule : verdict.audits) {
    out << "  audit rule    " << base::EscapeForDisplay(rule) << " applies, and decides nothing\n";
  }
}

void PrintExceptions(std::ostream& out, const WhyAnswer& answer, const model::Verdict& verdict) {
  for (const local::v1::AppliedException& exception : answer.exceptions()) {
    out << "  exception     " << base::EscapeForDisplay(exception.exception_id()) << " overrides "
        << base::EscapeForDisplay(exception.overrides()) << " until "
        << TimeText(exception.expires_time_us()) << " ("
        << base::EscapeForDisplay(exception.reason()) << ")";
    // Who was granted one and is refused all the same has to see why.
    if (verdict.step != model::JudgementStep::kException) {
      out << "; decided all the same by " << base::EscapeForDisplay(verdict.rule);
    }
    out << "\n";
  }
}

// The line of `check` for one file, and what it makes of the exit code. A policy that only observes
// says nothing to the file's user: what it would refuse may be used.
ExitCode PrintAnswer(std::ostream& out, const std::string& shown_path,
                     const model::Verdict& verdict) {
  if (verdict.outcome != model::Outcome::kAllow && verdict.mode == model::Mode::kObserve) {
    out << "observe  " << shown_path << ": may be used; the policy only observes "
        << "(\"weighmaster why\" has its judgement)\n";
    return ExitCode::kOk;
  }
  std::string outcome(model::OutcomeName(verdict.outcome));
  outcome.resize(7, ' ');
  out << outcome << "  " << shown_path << ": " << base::EscapeForDisplay(verdict.reason);
  if (verdict.outcome != model::Outcome::kAllow && engine::IsLink(verdict.link)) {
    out << " More: " << base::EscapeForDisplay(verdict.link);
  }
  out << "\n";
  const bool is_refused =
      verdict.outcome == model::Outcome::kDeny && verdict.mode == model::Mode::kEnforce;
  return is_refused ? ExitCode::kJudged : ExitCode::kOk;
}

}  // namespace

base::Result<ExitCode> ShowStatus(const std::string& socket, Terminal terminal) {
  StatusAnswer status;
  WM_RETURN_IF_ERROR(control::Client(socket).Status(status));
  const auto line = [&](const char* name, const std::string& value) {
    terminal.out << name << base::EscapeForDisplay(value) << "\n";
  };
  line("agent     ", "weighmaster-agent " + status.agent_version());
  line("server    ", ServerLine(status));
  if (const std::string fault = ClockFault(status); !fault.empty()) line("clock     ", fault);
  line("policy    ", PolicyLine(status));
  line("models    ", ModelsLine(status));
  line("looking   ", ScanLine(status));
  line("journal   ", JournalLine(status));
  for (const local::v1::EffectiveSetting& setting : status.settings()) {
    line("setting   ", SettingLine(status, setting));
  }
  for (const v1::Coverage& item : status.coverage()) {
    WM_ASSIGN_OR_RETURN(const model::Coverage coverage, wire::FromProto(item));
    std::string text =
        coverage.root.bytes + ": " + std::string(model::CoverageStateName(coverage.state));
    if (coverage.reason != model::CoverageReason::kNone) {
      text += ", " + std::string(model::CoverageReasonName(coverage.reason));
    }
    if (!coverage.detail.empty()) text += " (" + coverage.detail + ")";
    line("coverage  ", text);
  }
  if (status.coverage_left_out() > 0) {
    line("coverage  ", "and " + std::to_string(status.coverage_left_out()) + " roots more");
  }
  return ExitCode::kOk;
}

base::Result<ExitCode> Check(const std::string& socket, const std::vector<std::string>& paths,
                             Terminal terminal) {
  const control::Client client(socket);
  ExitCode code = ExitCode::kOk;
  for (const std::string& path : paths) {
    const auto answer = Ask(client, path);
    const std::string shown = base::EscapeForDisplay(path);
    if (!answer.has_value()) {
      // One file that is another user's says nothing about the others.
      if (answer.error().code() != base::ErrorCode::kPermissionDenied) {
        if (code != ExitCode::kJudged) return answer.error();
        terminal.err << "weighmaster: " << base::EscapeForDisplay(answer.error().message()) << "\n";
        return code;
      }
      terminal.out << "unknown  " << shown << ": "
                   << base::EscapeForDisplay(answer.error().message()) << "\n";
      code = Worse(code, ExitCode::kFailed);
      continue;
    }
    if (!answer->known()) {
      terminal.out << "unknown  " << shown << ": the agent knows of no model there; "
                   << "\"weighmaster scan\" looks at once\n";
      code = Worse(code, ExitCode::kFailed);
      continue;
    }
    WM_ASSIGN_OR_RETURN(const model::Verdict verdict, wire::FromProto(answer->verdict()));
    code = Worse(code, PrintAnswer(terminal.out, shown, verdict));
  }
  return code;
}

base::Result<ExitCode> Why(const std::string& socket, const std::string& path, Terminal terminal) {
  WM_ASSIGN_OR_RETURN(const WhyAnswer answer, Ask(control::Client(socket), path));
  if (!answer.known()) {
    return base::NotFound("the agent knows of no model at " + path +
                          "; \"weighmaster status\" says where it has looked");
  }
  WM_ASSIGN_OR_RETURN(const model::Sighting sighting, wire::FromProto(answer.sighting()));
  WM_ASSIGN_OR_RETURN(const model::Verdict verdict, wire::FromProto(answer.verdict()));
  PrintFacts(terminal.out, sighting);
  PrintVerdict(terminal.out, verdict);
  PrintExceptions(terminal.out, answer, verdict);
  terminal.out << "  order         blocked, exceptions, denied, always rules, approved, rules, "
                  "default; the first that speaks decides\n";
  return ExitCode::kOk;
}

}  // namespace weighmaster::agent::ctl
