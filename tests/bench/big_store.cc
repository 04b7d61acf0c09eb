#include "tests/bench/big_store.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "server/store/sqlite/schema.h"
#include "tests/bench/bench.h"
#include "tests/bench/ingesting.h"

namespace weighmaster::bench {
namespace {

constexpr int kModelsThere = 100;
constexpr int kModelsGone = 20;
constexpr int kModelsInTheWorld = 50'000;
constexpr int kEndpointsAtOnce = 200;  // within the server's queue
// An endpoint's first event comes so long after that of the one before it.
constexpr std::chrono::minutes kBetweenEndpoints{50};

template <std::size_t kCount>
std::string_view OneOf(const std::string_view (&words)[kCount], int n) {
  return words[static_cast<std::size_t>(n) % kCount];
}

// Number i of endpoint n: most are harmless, a few are denied or dangerous.
model::Sighting BigSighting(int n, int i) {
  constexpr std::string_view kLicenses[] = {"apache-2.0",   "mit",        "llama3.1", "",
                                            "cc-by-nc-4.0", "apache-2.0", "gemma"};
  constexpr std::string_view kFolders[] = {"/home/ada/.cache/huggingface/hub/models--acme--",
                                           "/home/bo/.ollama/models/blobs/", "/srv/models/",
                                           "/home/cy/Downloads/", "/opt/runtime/share/"};
  constexpr std::string_view kQuantizations[] = {"Q4_K_M", "Q8_0", "BF16", "F16"};
  const int model = i == 0 ? 0 : 1 + (n * 7'919 + i * 31) % kModelsInTheWorld;
  model::Sighting sighting =
      tests::TestSighting(std::string(OneOf(kFolders, n + i)) + std::to_string(model % 997) +
                              "/model-" + std::to_string(model) + "-" + std::to_string(i) + ".bin",
                          model);
  sighting.size_bytes = std::uint64_t{100'000} * static_cast<std::uint64_t>(model);
  sighting.facts.format = static_cast<model::Format>(1 + model % 5);
  sighting.facts.architecture = "llama";
  sighting.facts.license = OneOf(kLicenses, model);
  sighting.facts.quantization = OneOf(kQuantizations, model);
  sighting.facts.parameters = std::uint64_t{1'000'000} * static_cast<std::uint64_t>(model);
  if (model % 50 == 7) {
    sighting.facts.risks.push_back({"pickle_executes_code", model::Severity::kHigh,
                                    "Loading the file executes code.", "os.system"});
  }
  return sighting;
}

model::Verdict BigVerdict(const model::Sighting& sighting, int i, model::Basis basis) {
  model::Verdict verdict = tests::TestVerdict(model::Outcome::kAllow);
  verdict.basis = basis;
  if (!sighting.facts.risks.empty()) {
    verdict.outcome = model::Outcome::kDeny;
    verdict.rule = "files-that-run-code";
  } else if (i % 10 == 3) {
    verdict.outcome = model::Outcome::kWarn;
    verdict.rule = "not-for-business";
  }
  return verdict;
}

// What endpoint n says in its year.
class BigEndpoint {
 public:
  explicit BigEndpoint(int n) : n_(n), script_(EndpointKey(n), ChainOf(n)) {
    script_.set_wall(tests::kTestEpoch + n * kBetweenEndpoints);
  }

  std::vector<wire::SealedBatch> Tell() {
    for (int i = 0; i < kModelsThere + kModelsGone; ++i) Find(i);
    std::vector<wire::SealedBatch> batches{script_.Start()};
    for (auto* const events : {&seen_, &judged_early_, &hashed_, &judged_, &gone_, &covered_}) {
      script_.set_wall(tests::kTestEpoch + n_ * kBetweenEndpoints +
                       std::chrono::minutes(batches.size()));
      batches.push_back(script_.Seal(std::move(*events)));
    }
    return batches;
  }

 private:
  static model::Id ChainOf(int n) {
    model::Id id = EndpointId(n);
    id.bytes[0] = static_cast<std::uint8_t>(~id.bytes[0]);
    return id;
  }

  void Find(int i) {
    const model::Sighting sighting = BigSighting(n_, i);
    model::Sighting pending = sighting;
    pending.digest = {};
    seen_.emplace_back(model::SightingAppeared{std::move(pending)});
    judged_early_.emplace_back(model::SightingJudged{
        sighting.path, std::nullopt, BigVerdict(sighting, i, model::Basis::kPartial)});
    hashed_.emplace_back(model::SightingChanged{sighting});
    judged_.emplace_back(model::SightingJudged{sighting.path, sighting.digest.sha256,
                                               BigVerdict(sighting, i, model::Basis::kVerified)});
    if (i >= kModelsThere) {
      gone_.emplace_back(model::SightingGone{sighting.path, model::GoneReason::kDeleted});
    }
    if (i > 0) return;
    model::CoverageChanged covered;
    covered.coverage.sensor = "artifacts";
    covered.coverage.root.bytes = "/";
    covered.coverage.state = model::CoverageState::kLooked;
    covered_.emplace_back(std::move(covered));
  }

  const int n_;
  tests::EndpointScript script_;
  std::vector<model::EventBody> seen_;
  std::vector<model::EventBody> judged_early_;
  std::vector<model::EventBody> hashed_;
  std::vector<model::EventBody> judged_;
  std::vector<model::EventBody> gone_;
  std::vector<model::EventBody> covered_;
};

void Fill(const std::string& path) {
  IngestingServer server(path, kBigEndpoints);
  for (int first = 0; first < kBigEndpoints; first += kEndpointsAtOnce) {
    std::vector<IngestingServer::Sent> batches;
    for (int n = first; n < first + kEndpointsAtOnce; ++n) {
      for (wire::SealedBatch& batch : BigEndpoint(n).Tell()) {
        batches.push_back({n, std::move(batch)});
      }
    }
    server.Take(std::move(batches));
    if (first % 1'000 == 0) std::fprintf(stderr, "big store: %d endpoints\n", first);
  }
}

}  // namespace

std::unique_ptr<server::store::Store> OpenBigStore(const std::string& folder) {
  const std::string path =
      folder + "/big-" + std::to_string(server::store::SchemaSteps().size()) + ".db";
  if (!std::filesystem::exists(path)) {
    const std::string unfinished = folder + "/big-unfinished.db";
    for (const char* const tail : {"", "-wal", "-shm"}) std::filesystem::remove(unfinished + tail);
    Fill(unfinished);
    std::filesystem::rename(unfinished, path);
  }
  return Must(server::store::SqliteStore::Open(path));
}

}  // namespace weighmaster::bench
