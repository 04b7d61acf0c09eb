#pragma once

#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/api/admin_api.h"
#include "server/api/audit_log.h"
#include "server/api/dispatch.h"
#include "server/api/evidence.h"
#include "server/identity/administrators.h"
#include "server/identity/authority.h"
#include "server/rollout/simulator.h"
#include "tests/server/server_world.h"

namespace weighmaster::tests {

inline std::unique_ptr<server::identity::FleetFiles> MakeFleetFiles(base::WallTime now) {
  std::string pattern = ::testing::TempDir() + "/weighmaster-api-XXXXXX";
  const std::string folder = mkdtemp(pattern.data());
  base::SeededRandom random(1);
  EXPECT_TRUE(server::identity::CreateFleet(folder, {{"localhost"}, {}, now}, random).has_value());
  auto files = server::identity::LoadFleet(folder);
  std::filesystem::remove_all(folder);
  EXPECT_TRUE(files.has_value());
  return std::make_unique<server::identity::FleetFiles>(*std::move(files));
}

// A server's rooms with the administrative API on top, and an administrator "ada".
class ApiWorld {
 public:
  ApiWorld() { bearer_ = MakeBearer(server::store::AdminRole::kAdmin, {}, "ada"); }

  // "Bearer wma1.…" of a new token.
  std::string MakeBearer(server::store::AdminRole role,
                         std::optional<base::WallTime> expires = std::nullopt,
                         const std::string& name = "somebody", const std::string& scope = "") {
    const auto token =
        server::identity::MakeAdminToken(name, role, server::store::Scope::Parse(scope).value(),
                                         world_.loop_.Now(), expires, world_.random_);
    EXPECT_TRUE(world_.store_->AddAdminToken(token.record).has_value());
    last_id_ = token.record.id;
    return "Bearer " + token.text;
  }

  base::Result<server::api::Dispatch::Admission> Admit(const google::protobuf::Descriptor& request,
                                                       const std::string& authorization) {
    std::optional<base::Result<server::api::Dispatch::Admission>> answer;
    dispatch_.Admit(dispatch_.MethodFor(request), authorization,
                    [&](auto result) { answer.emplace(std::move(result)); });
    world_.loop_.RunReady();
    EXPECT_TRUE(answer.has_value());
    return *std::move(answer);
  }
  base::Result<server::api::Dispatch::Message> Call(server::api::Dispatch::Admission admission,
                                                    server::api::Dispatch::Message request) {
    std::optional<base::Result<server::api::Dispatch::Message>> answer;
    dispatch_.Call(std::move(admission), std::move(request),
                   [&](auto result) { answer.emplace(std::move(result)); });
    world_.loop_.RunReady();
    EXPECT_TRUE(answer.has_value());
    return *std::move(answer);
  }
  // Both steps, as a transport makes them.
  template <typename Response, typename Request>
  base::Result<Response> Ask(const Request& request, const std::string& authorization) {
    auto admission = Admit(*Request::descriptor(), authorization);
    if (!admission.has_value()) return std::move(admission).error();
    auto answer = Call(*std::move(admission), std::make_shared<Request>(request));
    if (!answer.has_value()) return std::move(answer).error();
    return static_cast<const Response&>(**answer);
  }
  template <typename Response, typename Request>
  base::Result<Response> Ask(const Request& request) {
    return Ask<Response>(request, bearer_);
  }

  ServerWorld world_;
  server::identity::Authority authority_{
      world_.loop_,     world_.loop_,     world_.random_, *MakeFleetFiles(world_.loop_.Now()),
      "localhost:7400", world_.executor_, *world_.store_, world_.executor_,
      *world_.queries_};
  server::identity::Administrators administrators_{
      world_.loop_,   world_.loop_,     world_.random_,  world_.executor_,
      *world_.store_, world_.executor_, *world_.queries_};
  server::rollout::Simulator simulator_{world_.loop_, world_.loop_, world_.executor_,
                                        *world_.queries_};
  server::api::Evidence evidence_{world_.loop_, ServerKey()};
  server::api::AdminApi api_{
      world_.loop_, world_.loop_,
      server::api::AdminApi::Rooms{authority_, administrators_, world_.fleet_, world_.ingest_,
                                   world_.rollout_, world_.exceptions_, simulator_, evidence_,
                                   world_.executor_, *world_.queries_, world_.executor_,
                                   *world_.store_},
      "0.1.0"};
  server::api::AuditLog audit_{world_.loop_, world_.loop_, world_.executor_, *world_.store_};
  server::api::Dispatch dispatch_{world_.loop_, administrators_, audit_, api_};
  std::string bearer_;
  model::Id last_id_;  // of the token that MakeBearer made last
};

}  // namespace weighmaster::tests
