#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "agent/cage/parser.h"
#include "agent/ctl/commands.h"
#include "agent/ctl/policy_file.h"
#include "agent/ctl/progress_bar.h"
#include "agent/os/this_program.h"
#include "agent/sensors/artifacts/artifact_sensor.h"
#include "agent/sensors/artifacts/roots.h"
#include "policy/base/bytes.h"
#include "policy/report/sighting_json.h"
#include "policy/report/table.h"
#include "third_party/asio/thread_pool.h"
#include "third_party/openssl/random.h"
#include "third_party/posix/system_clock.h"

namespace weighmaster::agent::ctl {
namespace {

// Gathers what the sensor tells. Filled from sensor threads one at a time, read after Wait().
class ScanSink final : public sensors::ObservationSink {
 public:
  void Deliver(std::vector<sensors::Observation> batch, std::stop_token) override {
    const std::scoped_lock lock(mutex_);
    for (sensors::Observation& observation : batch) Take(std::move(observation));
  }

  // By path, in its latest state: first without, then with its digest.
  const std::map<model::Path, model::Sighting>& sightings() const { return sightings_; }
  // Roots that were not looked at whole.
  const std::vector<model::Coverage>& gaps() const { return gaps_; }

 private:
  void Take(sensors::Observation observation) {
    if (auto* const seen = std::get_if<sensors::ModelSeen>(&observation)) {
      sightings_[seen->sighting.path] = std::move(seen->sighting);
    } else if (auto* const hashed = std::get_if<sensors::ModelHashed>(&observation)) {
      const auto model = sightings_.find(hashed->path);
      if (model == sightings_.end()) return;
      model->second.digest = std::move(hashed->digest);
      model->second.weights_digest = hashed->weights.digest;
      model->second.weights_reason = hashed->weights.reason;
    } else if (const auto* const gone = std::get_if<sensors::ModelGone>(&observation)) {
      sightings_.erase(gone->path);
    } else if (const auto* const walk = std::get_if<sensors::WalkFinished>(&observation)) {
      Cover(walk->coverage);
    } else if (const auto* const seen_coverage = std::get_if<sensors::CoverageSeen>(&observation)) {
      Cover(seen_coverage->coverage);
    }
  }

  void Cover(const model::Coverage& coverage) {
    // Nobody looks for models in /proc.
    if (coverage.state == model::CoverageState::kLooked ||
        coverage.reason == model::CoverageReason::kPseudoFileSystem) {
      return;
    }
    gaps_.push_back(coverage);
  }

  std::mutex mutex_;
  std::map<model::Path, model::Sighting> sightings_;
  std::vector<model::Coverage> gaps_;
};

std::string GapLine(const model::Coverage& coverage) {
  std::string line = coverage.root.ToDisplay();
  line += coverage.state == model::CoverageState::kCouldNot ? ": could not be looked at"
                                                            : ": was looked at only in part";
  if (coverage.reason != model::CoverageReason::kNone) {
    line += ", " + std::string(model::CoverageReasonName(coverage.reason));
  }
  if (!coverage.detail.empty()) line += ": " + base::EscapeForDisplay(coverage.detail);
  return line;
}

// The table for people, the risks below their file, and the count.
class Report {
 public:
  void Add(const model::Sighting& sighting, const model::Verdict& verdict) {
    ++counts_[verdict.outcome];
    const std::string digest = sighting.digest.sha256.has_value()
                                   ? sighting.digest.sha256->ToHex().substr(0, 12)
                                   : std::string(model::DigestStateName(sighting.digest.state));
    const model::Facts& facts = sighting.facts;
    table_.AddRow({std::string(model::OutcomeName(verdict.outcome)), verdict.rule,
                   std::string(model::FormatName(facts.format)),
                   report::FormatBytes(sighting.size_bytes), facts.license, digest,
                   sighting.path.bytes});
    for (const model::Risk& risk : facts.risks) {
      if (risk.severity < model::Severity::kMedium) continue;
      risks_ += "\n" + sighting.path.ToDisplay() + "\n  " +
                std::string(model::SeverityName(risk.severity)) + ": " +
                base::EscapeForDisplay(risk.message) +
                (risk.evidence.empty() ? "" : " (" + base::EscapeForDisplay(risk.evidence) + ")") +
                "\n";
    }
  }

  void Print(std::ostream& out, std::uint64_t files_seen) {
    if (!table_.empty()) out << table_.ToString() << risks_ << "\n";
    out << files_seen << " files looked at, "
        << counts_[model::Outcome::kAllow] + counts_[model::Outcome::kWarn] +
               counts_[model::Outcome::kDeny]
        << " models: " << counts_[model::Outcome::kAllow] << " allowed, "
        << counts_[model::Outcome::kWarn] << " warned, " << counts_[model::Outcome::kDeny]
        << " denied.\n";
  }

 private:
  report::Table table_{{{"VERDICT"},
                        {"RULE"},
                        {"FORMAT"},
                        {"SIZE", report::Table::Align::kRight},
                        {"LICENSE"},
                        {"SHA256"},
                        {"PATH"}}};
  std::string risks_;
  std::map<model::Outcome, std::uint64_t> counts_;
};

struct Looked {
  ScanSink sink;
  std::uint64_t files_seen = 0;
};

base::Status Look(const std::vector<std::string>& paths, const base::Clock& clock,
                  Terminal terminal, Looked& looked) {
  WM_ASSIGN_OR_RETURN(const std::string program, os::BesideThisProgram("weighmaster-cage"));
  WM_ASSIGN_OR_RETURN(const auto cage, cage::Cage::Launch(cage::DefaultCageSpec(program)));
  openssl::SystemRandom random;
  const unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  asio::ThreadPool pool(threads + 1, "scan");
  sensors::NothingKnown nothing_known;
  sensors::NoCheckpoints no_checkpoints;
  sensors::ArtifactSensor sensor(
      sensors::ScanOptions(paths, threads),
      {clock, random, pool,
       [&cage](std::span<const cage::CageFile> files) { return cage->ParseBatch(files); },
       [&cage](int fd, std::uint64_t bytes) { return cage->MapTensors(fd, bytes); }, nothing_known,
       no_checkpoints, looked.sink});
  sensor.StartWalk();
  {
    const ProgressBar bar(terminal, [&sensor] { return sensor.progress(); });
    sensor.Wait();
  }
  looked.files_seen = sensor.progress().files_seen;
  return {};
}

}  // namespace

base::Result<ExitCode> Scan(const ScanArguments& arguments, Terminal terminal) {
  const posix::SystemClock clock;
  WM_ASSIGN_OR_RETURN(const auto policy,
                      LoadScanPolicy(arguments.policy_file, clock.Now(), terminal.err));
  if (policy == nullptr) return ExitCode::kUsage;
  Looked looked;
  WM_RETURN_IF_ERROR(Look(arguments.paths, clock, terminal, looked));

  ExitCode code = ExitCode::kOk;
  for (const model::Coverage& gap : looked.sink.gaps()) {
    terminal.err << "weighmaster: " << GapLine(gap) << "\n";
    code = ExitCode::kFailed;
  }
  Report report;
  for (const auto& [path, sighting] : looked.sink.sightings()) {
    const model::Verdict verdict = policy->Judge(sighting, clock.Now());
    if (sighting.digest.state == model::DigestState::kFailed && code == ExitCode::kOk) {
      code = ExitCode::kFailed;
    }
    if (verdict.outcome >= arguments.fail_on) code = ExitCode::kJudged;
    if (arguments.json) {
      terminal.out << report::SightingToJson(sighting, verdict) << "\n";
    } else {
      report.Add(sighting, verdict);
    }
  }
  if (!arguments.json) report.Print(terminal.out, looked.files_seen);
  return code;
}

}  // namespace weighmaster::agent::ctl
