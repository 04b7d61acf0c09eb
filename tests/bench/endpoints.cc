#include "tests/bench/endpoints.h"

#include <algorithm>
#include <utility>

#include "policy/base/bytes.h"
#include "tests/bench/bench.h"
#include "tests/support/keys.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::bench {
namespace {

// Many endpoints have the same models.
constexpr int kModelsInTheWorld = 50'000;
constexpr int kFirstEndpointKey = 10;
constexpr std::chrono::hours kTokenLife{24};

model::Id IdOf(const std::string& what, int n) {
  const model::Sha256 digest = openssl::Sha256Of(base::AsBytes(what + std::to_string(n)));
  model::Id id;
  std::copy_n(digest.bytes.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

model::Verdict DefaultVerdict(model::Basis basis) {
  model::Verdict verdict = tests::TestVerdict(model::Outcome::kAllow);
  verdict.basis = basis;
  return verdict;
}

}  // namespace

model::Id EndpointId(int n) { return IdOf("benchmark endpoint ", n); }

const openssl::PrivateKey& EndpointKey(int n) { return tests::TestKey(kFirstEndpointKey + n); }

void EnrolEndpoints(server::store::Store& store, int count, base::WallTime now) {
  server::store::EnrolmentTokenRecord token;
  token.secret_sha256 = openssl::Sha256Of(base::AsBytes("benchmark token"));
  token.uses = static_cast<std::uint32_t>(count);
  token.created = now;
  token.expires = now + kTokenLife;
  Must(store.AddToken(token));
  for (int n = 0; n < count; ++n) {
    server::store::NewEndpoint endpoint{EndpointId(n), EndpointKey(n).public_key(), {}};
    endpoint.machine.hostname = "laptop-" + std::to_string(n);
    Must(store.Enrol(token.secret_sha256, now, endpoint));
  }
}

TellingEndpoint::TellingEndpoint(int n)
    : n_(n), script_(EndpointKey(n), IdOf("benchmark chain ", n), static_cast<std::uint64_t>(n)) {}

model::Sighting TellingEndpoint::NextSighting(int model) {
  const int place = found_++;
  model::Sighting sighting =
      tests::TestSighting("/home/ada/.cache/models/" + std::to_string(place % 97) + "/model-" +
                              std::to_string(place) + ".gguf",
                          model);
  sighting.facts.architecture = "llama";
  sighting.facts.license = "apache-2.0";
  return sighting;
}

std::vector<wire::SealedBatch> TellingEndpoint::FindModels(int count) {
  std::vector<model::EventBody> seen;
  std::vector<model::EventBody> judged_early;
  std::vector<model::EventBody> hashed;
  std::vector<model::EventBody> judged;
  for (int i = 0; i < count; ++i) {
    const int model =
        static_cast<int>((std::int64_t{n_} * 7'919 + found_ * 31) % kModelsInTheWorld);
    const model::Sighting sighting = NextSighting(model);
    model::Sighting pending = sighting;
    pending.digest = {};
    seen.emplace_back(model::SightingAppeared{std::move(pending)});
    judged_early.emplace_back(
        model::SightingJudged{sighting.path, std::nullopt, DefaultVerdict(model::Basis::kPartial)});
    hashed.emplace_back(model::SightingChanged{sighting});
    judged.emplace_back(model::SightingJudged{sighting.path, sighting.digest.sha256,
                                              DefaultVerdict(model::Basis::kVerified)});
  }
  std::vector<wire::SealedBatch> batches;
  for (auto* const events : {&seen, &judged_early, &hashed, &judged}) {
    batches.push_back(script_.Seal(std::move(*events)));
  }
  return batches;
}

std::vector<wire::SealedBatch> TellingEndpoint::TellInventory(int count) {
  std::vector<model::EventBody> seen;
  std::vector<model::EventBody> judged;
  for (int i = 0; i < count; ++i) {
    const int model = i == 0 ? 0 : 1 + (n_ * 7'919 + i * 31) % kModelsInTheWorld;
    model::Sighting sighting = NextSighting(model);
    judged.emplace_back(model::SightingJudged{sighting.path, sighting.digest.sha256,
                                              DefaultVerdict(model::Basis::kVerified)});
    seen.emplace_back(model::SightingAppeared{std::move(sighting)});
  }
  model::CoverageChanged covered;
  covered.coverage.sensor = "artifacts";
  covered.coverage.root.bytes = "/home";
  covered.coverage.state = model::CoverageState::kLooked;
  std::vector<wire::SealedBatch> batches;
  batches.push_back(script_.Seal(std::move(seen)));
  batches.push_back(script_.Seal(std::move(judged)));
  batches.push_back(script_.Seal({std::move(covered)}));
  return batches;
}

model::Sha256 TellingEndpoint::CommonDigest() { return tests::TestDigest(0); }

}  // namespace weighmaster::bench
