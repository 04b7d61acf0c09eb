#include "tests/sim/world.h"

#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "policy/base/check.h"
#include "proto/wire/seal.h"
#include "server/findings/rules.h"
#include "tests/sim/models.h"

namespace weighmaster::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kAgents = 3;
constexpr int kActions = 60;
constexpr int kPaths = 8;

template <typename T>
T Must(base::Result<T> result) {
  WM_CHECK(result.has_value());
  return std::move(*result);
}

model::Id EndpointId(int n) {
  model::Id id;
  id.bytes.fill(static_cast<std::uint8_t>(n + 1));
  return id;
}

}  // namespace

World::World(std::uint64_t seed) : random_(seed) {
  server_ = std::make_unique<SimServer>(loop_, random_, fleet_, folder_.path());
  network_ = std::make_unique<Network>(loop_, loop_, random_,
                                       [this](std::unique_ptr<wire::ServerChannel> channel) {
                                         return server_->Accept(std::move(channel));
                                       });
  server_->Start();
  for (int n = 0; n < kAgents; ++n) {
    const openssl::PrivateKey& key = tests::TestKey(10 + n);
    server_->Enrol(EndpointId(n), key.public_key());
    const std::string folder = folder_ / ("agent" + std::to_string(n));
    std::filesystem::create_directory(folder);
    agents_.push_back(
        std::make_unique<SimAgent>(SimAgent::Setting{loop_, random_, fleet_.signed_root}, folder,
                                   EndpointId(n), key, network_->MakeConnector()));
    agents_.back()->Start();
  }
}

World::~World() {
  for (auto& agent : agents_) agent->Kill();
  server_->Kill();
}

std::vector<std::string> World::Run() {
  for (int action = 0; action < kActions; ++action) {
    Act();
    loop_.RunFor(Between(milliseconds(1), seconds(20)));
  }
  Settle();
  return std::move(complaints_);
}

void World::Act() {
  SimAgent& agent = *agents_[random_.Below(agents_.size())];
  const std::uint64_t dice = random_.Below(100);
  if (dice < 50) {
    if (agent.alive()) ChangeFiles(agent);
  } else if (dice < 62) {
    if (agent.alive()) KillAgent(agent);
  } else if (dice < 74) {
    if (server_->alive()) KillServer();
  } else if (dice < 88) {
    if (server_->alive()) server_->Publish(server_->published() + 1);
  } else {
    Storm();
  }
}

void World::ChangeFiles(SimAgent& agent) {
  const auto changes = 1 + random_.Below(4);
  for (std::uint64_t change = 0; change < changes; ++change) {
    const std::string path = "file" + std::to_string(random_.Below(kPaths));
    if (Chance(250)) {
      agent.Remove(path);
    } else {
      agent.Put(path, static_cast<int>(random_.Below(kContents)));
    }
  }
  agent.Look();
}

void World::KillAgent(SimAgent& agent) {
  ++agent_deaths_;
  agent.Kill();
  loop_.After(Between(milliseconds(1), minutes(2)), [&agent] {
    if (!agent.alive()) agent.Start();
  });
}

void World::KillServer() {
  ++server_deaths_;
  network_->ForgetServerEnds();
  server_->Kill();
  CheckAcknowledgements();
  loop_.After(Between(milliseconds(1), minutes(2)), [this] {
    if (!server_->alive()) server_->Start();
  });
}

void World::Storm() {
  Weather weather;
  weather.refuse = random_.Below(500);
  weather.cut = random_.Below(100);
  weather.duplicate = random_.Below(100);
  weather.reorder = random_.Below(100);
  weather.max_latency = Between(milliseconds(5), seconds(3));
  network_->set_weather(weather);
}

// Everybody lives, the weather is fair: whatever was begun must come to its end.
void World::Settle() {
  network_->set_weather({});
  if (!server_->alive()) server_->Start();
  for (auto& agent : agents_) {
    if (!agent->alive()) agent->Start();
    agent->Look();
  }
  if (!loop_.RunUntil([this] { return IsSettled(); }, hours(2))) {
    for (auto& agent : agents_) {
      Complain(*agent, "has not settled: " + agent->last_error());
    }
    return;
  }
  CheckEnd();
}

bool World::IsSettled() {
  for (auto& agent : agents_) {
    const auto counts = Must(agent->journal().Count());
    if (!agent->connected() || counts.pending_events > 0 || counts.unacknowledged_batches > 0) {
      return false;
    }
    if (agent->policy().version() != server_->published() || agent->policy().applying()) {
      return false;
    }
  }
  return true;
}

// An acknowledgement that an agent has written down is a promise: the batch is on the server's
// disk.
void World::CheckAcknowledgements() {
  const auto queries = server_->Look();
  const std::uint64_t newest = Must(queries->Fleet()).newest_policy;
  for (auto& agent : agents_) {
    if (!agent->alive()) continue;
    const auto& head = agent->journal().head();
    const auto stored = Must(queries->FindChain(agent->id(), head.chain));
    if (agent->journal().acknowledged_number() > stored.number) {
      Complain(*agent,
               "was told that batch " + std::to_string(agent->journal().acknowledged_number()) +
                   " is stored, and the server's disk ends at " + std::to_string(stored.number));
    }
    if (agent->policy().version() > newest) {
      Complain(*agent, "follows policy " + std::to_string(agent->policy().version()) +
                           ", which was never published");
    }
  }
}

void World::CheckEnd() {
  CheckAcknowledgements();
  const auto queries = server_->Look();
  for (auto& agent : agents_) {
    CheckEvents(*agent, *queries);
    CheckInventory(*agent, *queries);
  }
  CheckFindings(*queries);
}

// Every event that was numbered is stored, once, and what was looked at is known.
void World::CheckEvents(SimAgent& agent, server::store::Queries& queries) {
  const auto& head = agent.journal().head();
  const auto newest = Must(agent.journal().Read(head.number));
  WM_CHECK(newest.has_value());
  const wire::BatchHeader header = Must(wire::ParseHeader(newest->header));
  const std::uint64_t sealed = header.first_event + header.event_count - 1;
  for (const auto& row : Must(queries.ListEndpoints(server::store::Scope::WholeFleet(), {})).rows) {
    if (row.id == agent.id() && row.events_stored != sealed) {
      Complain(agent, "sealed " + std::to_string(sealed) + " events, and " +
                          std::to_string(row.events_stored) + " are stored");
    }
    if (row.id == agent.id() && row.coverage != Must(agent.inventory().Coverages())) {
      Complain(agent, "has another coverage on the server");
    }
  }
}

// The server knows what lies on the endpoint, as far as the policy lets it, and every verdict is
// the naive judge's.
void World::CheckInventory(SimAgent& agent, server::store::Queries& queries) {
  server::store::SightingQuery query;
  query.endpoint = agent.id();
  const auto page = Must(queries.ListSightings(server::store::Scope::WholeFleet(), query));
  std::set<std::string> seen;
  for (const auto& row : page.rows) {
    const std::string name = row.sighting.path.FileName();
    seen.insert(name);
    const auto file = agent.files().find(name);
    if (file == agent.files().end()) {
      Complain(agent, name + " is gone, and the server still has it");
      continue;
    }
    if (!IsContent(row.sighting, file->second)) {
      Complain(agent, name + " has other content on the server");
    }
    if (row.sighting.facts.license != NaiveLicense(server_->published(), file->second)) {
      Complain(agent, name + " has a licence on the server that it should not have");
    }
    const model::Outcome expected = NaiveOutcome(server_->published(), file->second);
    if (!row.verdict.has_value() || row.verdict->outcome != expected) {
      Complain(agent, name + " should be judged " + std::string(model::OutcomeName(expected)));
    }
  }
  for (const auto& [name, content] : agent.files()) {
    if (!seen.contains(name)) Complain(agent, "the server does not know " + name);
  }
}

// Nothing here attacks anybody.
void World::CheckFindings(server::store::Queries& queries) {
  const std::set<std::string_view> innocent = {server::findings::kDeniedModel,
                                               server::findings::kRiskyModel};
  for (const auto& finding :
       Must(queries.ListFindings(server::store::Scope::WholeFleet(), true, {})).rows) {
    if (!innocent.contains(finding.rule)) {
      complaints_.push_back("a finding without cause: " + finding.rule + ", " + finding.detail);
    }
  }
}

void World::Complain(const SimAgent& agent, const std::string& what) {
  complaints_.push_back("endpoint " + agent.id().ToHex().substr(0, 2) + " " + what);
}

base::Duration World::Between(base::Duration least, base::Duration most) {
  return least + base::Duration(static_cast<std::int64_t>(
                     random_.Below(static_cast<std::uint64_t>((most - least).count()))));
}

}  // namespace weighmaster::sim
