// What an endpoint may say of itself and its files, at its worst, and what people and programs are
// shown of it: nothing lost over REST, gRPC and JSON, nothing that acts on a terminal.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sync/grpc/enrolment_client.h"
#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "server/ctl/admin_client.h"
#include "server/ctl/profile.h"
#include "server/ctl/program/signal_pause.h"
#include "server/ctl/program/weighctl.h"
#include "tests/integration/both_ports.h"
#include "tests/integration/tls_client.h"
#include "tests/support/endpoint_script.h"
#include "tests/support/keys.h"
#include "third_party/openssl/certificate.h"
#include "weighmaster/v1/admin.pb.h"
#include "weighmaster/v1/enrol.pb.h"
#include "weighmaster/v1/event.pb.h"

namespace weighmaster::tests {
namespace {

namespace ctl = server::ctl;
namespace limits = base::limits;
using Json = nlohmann::json;
using Kind = server::ingest::Outcome::Kind;

constexpr std::size_t kMegabyte = 1'000'000;

// Well-formed UTF-8, which is all that a text may be.
const std::vector<std::string> kTexts = {
    "<script>alert(1)</script>&amp;<img src=x onerror=alert(1)>",
    "=cmd|'/c calc'!A0",
    "@SUM(1+1)\t,\"x\";",
    "-2+3",
    "\x1b[2J\x1b]0;owned\x07\u009b31m",
    "two\r\nlines\n\n",
    "right-to-left\u202egpj.exe \u2028\u2029 \u0085",
    "\\x41\\\\ \"quoted\" 'single' `back`",
    "'; DROP TABLE endpoints; --",
    "größer-模型-😀",
    "%s%n%00../../etc/passwd",
};

std::vector<std::string> Texts() {
  std::vector<std::string> texts = kTexts;
  texts.emplace_back("nul\0inside", 10);
  texts.emplace_back(limits::kMaxFactBytes, 'x');
  return texts;
}

// Any bytes but NUL: texts, and what is none.
std::vector<std::string> Paths() {
  std::vector<std::string> paths;
  for (const std::string& text : Texts()) paths.push_back("/m/" + text);
  std::erase_if(paths,
                [](const std::string& path) { return path.find('\0') != std::string::npos; });
  for (const char* const bytes :
       {"\xff\xfe", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80", "\x9b[31m"}) {
    paths.push_back(std::string("/m/") + bytes);
  }
  paths.push_back("/m/" + std::string(limits::kMaxPathBytes - 3, '\x1b'));
  return paths;
}

class HostileStringsTest : public testing::Test {
 protected:
  HostileStringsTest() {
    profile_ = api_.folder_ / "weighctl.json";
    ctl::Profile profile;
    profile.address = ports_.rpc_address();
    profile.ca_pem = api_.ca_pem_;
    profile.token = api_.bearer_.substr(std::string("Bearer ").size());
    profile.fleet_id = Must(api_.queries_->Fleet()).fleet_id;
    WM_CHECK(ctl::SaveProfile({profile_, ""}, profile));
    setenv("WEIGHCTL_PROFILE", profile_.c_str(), 1);
  }

  // As an agent would, over gRPC; on a thread beside the loop.
  base::Result<model::Id> Enrol(const openssl::PrivateKey& key, const std::string& text) {
    ctl::AdminClient admin(Must(ctl::LoadProfile({profile_, ""})));
    v1::CreateTokenRequest request;
    request.set_uses(1);
    request.set_valid_for_ms(60'000);
    v1::CreateTokenResponse response;
    WM_CHECK(admin.CreateToken(request, response));
    wire::EnrolmentToken token = Must(wire::ParseToken(response.token()));
    token.address = ports_.rpc_address();
    v1::MachineFacts facts;
    facts.set_hostname(text);
    facts.set_os(text);
    facts.set_agent_version(text);
    auto enrolment = agent::sync::GrpcEnrolmentClient(ports_.clock_)
                         .Enrol(token, Must(openssl::MakeSigningRequest(key, "x")), facts);
    if (!enrolment.has_value()) return enrolment.error();
    return enrolment->endpoint_id;
  }

  // On the loop's thread. What became of it.
  Kind Submit(const model::Id& endpoint, const openssl::PrivateKey& key, wire::SealedBatch batch) {
    std::optional<Kind> kind;
    WM_CHECK(api_.ingest_.Submit({endpoint, key.public_key(), {}}, std::move(batch),
                                 [&](const server::ingest::Outcome& outcome) {
                                   kind = outcome.result.kind;
                                   ports_.loop_.Stop();
                                 }));
    ports_.loop_.Run();
    return *kind;
  }

  // A sighting whose every text is this one.
  static model::Sighting Sighting(const std::string& path, const std::string& text, int n) {
    model::Sighting sighting = TestSighting(path, n);
    sighting.owner = {text, text};
    sighting.facts.name = sighting.facts.architecture = text;
    sighting.facts.license = sighting.facts.quantization = text;
    sighting.facts.risks = {{base::CutText(text, limits::kMaxNameBytes), model::Severity::kCritical,
                             text, base::CutText(text, limits::kMaxEvidenceBytes)}};
    return sighting;
  }

  // An endpoint that is called by each text, and has the files of all paths.
  void SeeAll() {
    const std::vector<std::string> texts = Texts();
    const std::vector<std::string> paths = Paths();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const openssl::PrivateKey& key = TestKey(10 + static_cast<int>(i));
      model::Id endpoint;
      ports_.Beside([&] { endpoint = Must(Enrol(key, texts[i])); });
      EndpointScript script(key, endpoint, i);
      ASSERT_EQ(Submit(endpoint, key, script.Start()), Kind::kStored);
      hostnames_.insert(texts[i]);
      for (std::size_t j = i; j < paths.size(); j += texts.size()) {
        const model::Sighting sighting = Sighting(paths[j], texts[i], static_cast<int>(j));
        ASSERT_EQ(Submit(endpoint, key, script.Seal({model::SightingAppeared{sighting}})),
                  Kind::kStored);
        model::Verdict verdict = TestVerdict(model::Outcome::kDeny);
        verdict.rule = verdict.reason = texts[i];
        verdict.audits = {base::CutText(texts[i], limits::kMaxRuleIdBytes)};
        ASSERT_EQ(Submit(endpoint, key,
                         script.Seal({model::SightingJudged{sighting.path, sighting.digest.sha256,
                                                            verdict}})),
                  Kind::kStored);
        sent_.push_back(sighting);
      }
      model::Coverage coverage;
      coverage.sensor = base::CutText(texts[i], limits::kMaxNameBytes);
      coverage.root.bytes = paths[i];
      coverage.detail = texts[i];
      ASSERT_EQ(Submit(endpoint, key, script.Seal({model::CoverageChanged{coverage}})),
                Kind::kStored);
    }
  }

  // On a thread beside the loop. JSON that is parsed is strict: it is UTF-8 as well.
  Json Rest(const std::string& path) {
    TlsClient client(ports_.rest_->port(), api_.ca_pem_);
    const HttpAnswer answer = client.Ask(
        "GET " + path + " HTTP/1.1\r\nHost: h\r\nAuthorization: " + api_.bearer_ + "\r\n\r\n");
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(answer.headers.at("content-type"), "application/json");
    EXPECT_TRUE(IsHarmless(answer.body)) << "somebody looks at it with curl";
    Json json = Json::parse(answer.body, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << path;
    return json;
  }
  std::string Weighctl(const std::vector<std::string>& words) {
    std::ostringstream out;
    std::ostringstream err;
    ctl::SignalPause pause;
    EXPECT_EQ(ctl::RunWeighctl(words, {out, err, ports_.clock_, pause, false}), ctl::ExitCode::kOk)
        << err.str();
    EXPECT_TRUE(IsHarmless(err.str()));
    return out.str();
  }

  // Lines of text that a terminal shows and nothing else.
  static bool IsHarmless(std::string text) {
    std::erase(text, '\n');
    const std::string escaped = base::EscapeForDisplay(text);
    // Where nothing else had to be escaped, only the backslashes of escapes were.
    std::string twice;
    for (const char c : text) twice += c == '\\' ? "\\\\" : std::string(1, c);
    return escaped == twice;
  }

  // A header and so many rows, none with a line's end in it, and no cell that is a formula.
  static void ExpectSafeCsv(std::string csv, std::size_t rows) {
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(csv, '\n')), rows + 1) << csv;
    EXPECT_EQ(std::erase(csv, '\r'), rows + 1) << csv;
    EXPECT_TRUE(IsHarmless(csv)) << csv;
    EXPECT_FALSE(std::regex_search(csv, std::regex("(^|[,;\n])\"?[ \t]*([=+@]|-[^0-9])"))) << csv;
  }

  // What a command prints that did or made one thing: a line, and nothing else.
  Json Object(std::vector<std::string> words) {
    words.emplace_back("--json");
    const std::string line = Weighctl(words);
    EXPECT_EQ(std::ranges::count(line, '\n'), 1) << line;
    EXPECT_TRUE(IsHarmless(line)) << line;
    return Json::parse(line);
  }

  BothPorts ports_;
  ServedApi& api_ = ports_.api_;
  std::string profile_;
  std::vector<model::Sighting> sent_;
  std::set<std::string> hostnames_;
};

bool ByPath(const model::Sighting& a, const model::Sighting& b) { return a.path < b.path; }

TEST_F(HostileStringsTest, AreReadBackWholeOverGrpcAndTheSameOverRest) {
  SeeAll();
  ports_.Beside([&] {
    ctl::AdminClient admin(Must(ctl::LoadProfile({profile_, ""})));
    v1::ListSightingsResponse grpc;
    ASSERT_TRUE(admin.ListSightings({}, grpc).has_value());
    std::vector<model::Sighting> got;
    for (const auto& stored : grpc.sightings())
      got.push_back(Must(wire::FromProto(stored.sighting())));
    std::ranges::sort(got, ByPath);
    std::ranges::sort(sent_, ByPath);
    EXPECT_EQ(got, sent_);

    const Json rest = Rest("/v1/sightings");
    ASSERT_EQ(rest.at("sightings").size(), sent_.size());
    for (std::size_t i = 0; i < sent_.size(); ++i) {
      const auto& row = rest.at("sightings").at(i);
      const auto& same = grpc.sightings(static_cast<int>(i));
      EXPECT_EQ(row.at("hostname"), same.hostname());
      EXPECT_EQ(row.at("path").at("text"), same.path().text());
      EXPECT_EQ(row.at("sighting").at("facts").at("name"), same.sighting().facts().name());
      EXPECT_EQ(row.at("sighting").at("facts").at("risks").at(0).at("evidence"),
                same.sighting().facts().risks(0).evidence());
      EXPECT_EQ(row.at("sighting").at("owner").at("name"), same.sighting().owner().name());
      EXPECT_EQ(row.at("verdict").at("reason"), same.verdict().reason());
      EXPECT_TRUE(IsHarmless(row.at("path").at("text")));
    }
  });
}

TEST_F(HostileStringsTest, AreInEveryRestListAndItsJsonIsWhole) {
  SeeAll();
  ports_.Beside([&] {
    std::set<std::string> hostnames;
    const Json endpoints = Rest("/v1/endpoints").at("endpoints");
    for (const Json& endpoint : endpoints) {
      hostnames.insert(endpoint.at("hostname"));
      EXPECT_EQ(endpoint.at("os"), endpoint.at("hostname"));
      EXPECT_EQ(endpoint.at("coverage").at(0).at("detail"), endpoint.at("hostname"));
      const std::string id = endpoint.at("endpoint_id");
      EXPECT_EQ(Rest("/v1/endpoints/" + id).at("hostname"), endpoint.at("hostname"));
    }
    EXPECT_EQ(hostnames, hostnames_);
    EXPECT_EQ(Rest("/v1/where?sha256=" + TestDigest(0).ToHex()).at("total"), "1");
    const Json findings = Rest("/v1/findings?page_size=1000").at("findings");
    EXPECT_GE(findings.size(), sent_.size());
    for (const Json& finding : findings) {
      EXPECT_TRUE(hostnames_.contains(finding.at("hostname").get<std::string>()));
    }
    EXPECT_FALSE(Rest("/v1/audit_entries").at("entries").empty());
    EXPECT_FALSE(Rest("/v1/admin_tokens").at("admin_tokens").empty());
  });
}

TEST_F(HostileStringsTest, AreHarmlessInWeighctlsTablesAndWholeInItsJson) {
  SeeAll();
  ports_.Beside([&] {
    const std::vector<std::vector<std::string>> tables = {
        {"inventory"},     {"endpoints"},
        {"findings"},      {"where", TestDigest(0).ToHex()},
        {"audit", "list"}, {"admin-tokens", "list"},
        {"whoami"}};
    for (const auto& words : tables) EXPECT_TRUE(IsHarmless(Weighctl(words))) << words[0];
    const std::string inventory = Weighctl({"inventory"});
    // A heading, the rows, an empty line, the count.
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(inventory, '\n')), sent_.size() + 3);

    const std::string output = Weighctl({"inventory", "--json"});
    EXPECT_TRUE(IsHarmless(output));
    std::istringstream lines(output);
    std::set<std::string> paths;
    std::set<std::string> names;
    for (std::string line; std::getline(lines, line);) {
      const Json row = Json::parse(line);
      names.insert(row.at("name").get<std::string>());
      EXPECT_TRUE(hostnames_.contains(row.at("hostname").get<std::string>()));
      if (row.contains("path_base64")) {
        paths.insert(std::string(
            base::AsText(Must(base::Base64UrlDecode(row.at("path_base64").get<std::string>())))));
      } else {
        paths.insert(row.at("path").get<std::string>());
      }
    }
    const std::vector<std::string> sent_paths = Paths();
    EXPECT_EQ(paths, std::set<std::string>(sent_paths.begin(), sent_paths.end()));
    EXPECT_EQ(names, hostnames_);
  });
}

TEST_F(HostileStringsTest, AreHarmlessInEveryListThatWeighctlPrintsForPrograms) {
  SeeAll();
  ports_.Beside([&] {
    const std::string endpoint = Rest("/v1/endpoints").at("endpoints").at(0).at("endpoint_id");
    const std::vector<std::vector<std::string>> lists = {{"inventory"},
                                                         {"endpoints"},
                                                         {"findings"},
                                                         {"artifacts"},
                                                         {"events", endpoint},
                                                         {"where", TestDigest(0).ToHex()},
                                                         {"audit", "list"},
                                                         {"admin-tokens", "list"},
                                                         {"policy", "list"},
                                                         {"exceptions", "list"},
                                                         {"verdicts"},
                                                         {"whoami"},
                                                         {"changes", "--position", "0"}};
    for (std::vector<std::string> words : lists) {
      const std::string name = words[0];
      words.emplace_back("--json");
      const std::string json = Weighctl(words);
      words.back() = "--csv";
      ExpectSafeCsv(Weighctl(words), static_cast<std::size_t>(std::ranges::count(json, '\n')));
      EXPECT_TRUE(IsHarmless(json)) << name;
      std::istringstream lines(json);
      for (std::string line; std::getline(lines, line);) EXPECT_TRUE(Json::accept(line)) << line;
    }
  });
}

TEST_F(HostileStringsTest, AreEscapedOnceByWeighctlWhereTheServerHasEscapedThem) {
  SeeAll();
  ports_.Beside([&] {
    const std::string findings = Weighctl({"findings"});
    for (const std::string& path : Paths()) {
      EXPECT_NE(findings.find(base::EscapeForDisplay(path)), std::string::npos)
          << base::EscapeForDisplay(path);
    }
    const std::string endpoint = Rest("/v1/endpoints").at("endpoints").at(0).at("endpoint_id");
    Weighctl({"revoke", endpoint, "--reason", "two\nlines"});
    EXPECT_NE(Weighctl({"audit", "list"}).find("\"two\\x0alines\""), std::string::npos)
        << Weighctl({"audit", "list"});
  });
}

TEST_F(HostileStringsTest, AreHarmlessInWhatSpeaksOfOneThing) {
  SeeAll();
  ports_.Beside([&] {
    const Json endpoints = Rest("/v1/endpoints").at("endpoints");
    for (const Json& endpoint : endpoints) {
      const std::string id = endpoint.at("endpoint_id");
      EXPECT_TRUE(IsHarmless(Weighctl({"endpoint", "show", id})));
      EXPECT_EQ(Json::parse(Weighctl({"endpoint", "show", id, "--json"})).at("hostname"),
                endpoint.at("hostname"));
    }
    for (const std::string& text : Texts()) {
      if (text.find('\0') != std::string::npos || text.size() > limits::kMaxFindingCommentBytes) {
        continue;  // no word of a command line; past the limit
      }
      Weighctl({"finding", "comment", "1", "--comment", text});
    }
    EXPECT_TRUE(IsHarmless(Weighctl({"finding", "show", "1"})));
    const std::string json = Weighctl({"finding", "show", "1", "--json"});
    EXPECT_TRUE(IsHarmless(json));
    EXPECT_EQ(Json::parse(json), Rest("/v1/findings/1"));
    const std::string policy = api_.folder_ / "policy.yaml";
    std::ofstream(policy) << "policy: p\ndefault: {then: warn}\n";
    EXPECT_TRUE(IsHarmless(Weighctl({"policy", "simulate", policy, "--samples", "100"})));
    EXPECT_TRUE(IsHarmless(Weighctl({"policy", "simulate", policy, "--json"})));
    EXPECT_TRUE(IsHarmless(Weighctl({"status"})));
    const std::string verdicts = Weighctl({"verdicts"});
    EXPECT_TRUE(IsHarmless(verdicts));
    EXPECT_NE(verdicts.find("AUDIT RULE"), std::string::npos);
    EXPECT_FALSE(Rest("/v1/changes?position=0").at("changes").empty());
    EXPECT_EQ(Rest("/v1/statistics").at("verdicts").at("pending"), "0");
  });
}

TEST_F(HostileStringsTest, AreHarmlessInTheRowsOfOneThing) {
  SeeAll();
  ports_.Beside([&] {
    const Json endpoints = Rest("/v1/endpoints").at("endpoints");
    for (const Json& endpoint : endpoints) {
      const std::string csv =
          Weighctl({"endpoint", "show", endpoint.at("endpoint_id").get<std::string>(), "--csv"});
      ExpectSafeCsv(csv, 1);
      EXPECT_EQ(csv.find("endpoint_id,sensor,root,state,reason,detail,"), 0U) << csv;
    }
    for (const std::string& text : kTexts) {
      const Json finding = Object({"finding", "comment", "1", "--comment", text});
      EXPECT_EQ(finding.at("finding_id"), 1);
      EXPECT_EQ(finding.at("state"), "open");
      EXPECT_EQ(finding.at("hostname"), Rest("/v1/findings/1").at("finding").at("hostname"));
    }
    const std::string csv = Weighctl({"finding", "show", "1", "--csv"});
    ExpectSafeCsv(csv, kTexts.size());
    EXPECT_NE(csv.find(",ada,,'=cmd|'"), std::string::npos) << csv;
    ExpectSafeCsv(Weighctl({"status", "--csv"}), 1);
  });
}

TEST_F(HostileStringsTest, AreWholeInWhatWeighctlSaysThatItDidAndHarmlessInTheExceptionsOfIt) {
  const std::string publisher = "=1+1\x1b[2J\u202e";
  ctl::Profile profile = Must(ctl::LoadProfile({profile_, ""}));
  profile.token = api_.MakeBearer(server::store::AdminRole::kAdmin, publisher).substr(7);
  ASSERT_TRUE(ctl::SaveProfile({profile_, ""}, profile).has_value());
  const std::string key = api_.folder_ / "fleet/offline-keys/exceptions.key";
  ports_.Beside([&] {
    const std::string endpoint = Must(Enrol(TestKey(10), "host")).ToHex();
    for (const std::string& text : kTexts) {
      const Json granted =
          Object({"exceptions", "grant", "--endpoint", endpoint, "--sha256", TestDigest(1).ToHex(),
                  "--overrides", "default", "--user", text, "--reason", text, "--key", key});
      EXPECT_EQ(granted.at("user"), text);
      EXPECT_EQ(granted.at("reason"), text);
    }
    EXPECT_TRUE(IsHarmless(Weighctl({"exceptions", "list"})));
    ExpectSafeCsv(Weighctl({"exceptions", "list", "--csv"}), kTexts.size());
    const std::string lines = Weighctl({"exceptions", "list", "--json"});
    EXPECT_TRUE(IsHarmless(lines));
    const Json first = Json::parse(lines.substr(0, lines.find('\n')));
    EXPECT_EQ(first.at("granted_by"), publisher);
    EXPECT_EQ(first.at("version"), 1);
    const Json revoked = Object({"exceptions", "revoke", "--endpoint", endpoint, "--key", key,
                                 first.at("exception_id").get<std::string>()});
    EXPECT_EQ(revoked, Json({{"endpoint_id", endpoint},
                             {"exception_id", first.at("exception_id")},
                             {"version", kTexts.size() + 1},
                             {"endpoints_offered", 0}}));
  });
}

TEST_F(HostileStringsTest, AreKeptWholeAsCommentsOfAFindingAndShownHarmless) {
  SeeAll();
  ports_.Beside([&] {
    ctl::AdminClient admin(Must(ctl::LoadProfile({profile_, ""})));
    std::vector<std::string> said;
    for (const std::string& text : Texts()) {
      if (text.empty()) continue;
      said.push_back(base::CutText(text, limits::kMaxFindingCommentBytes));
      v1::UpdateFindingRequest request;
      request.set_finding_id(1);
      request.set_comment(said.back());
      v1::UpdateFindingResponse response;
      ASSERT_TRUE(admin.UpdateFinding(request, response).has_value());
    }
    std::vector<std::string> kept;
    const Json comments = Rest("/v1/findings/1").at("comments");
    for (const Json& comment : comments) kept.push_back(comment.at("text"));
    EXPECT_EQ(kept, said);
    const std::string shown = Weighctl({"finding", "show", "1"});
    EXPECT_TRUE(IsHarmless(shown));
    // The finding has ten lines; each comment an empty line, who said it, and what.
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(shown, '\n')), 10 + 3 * said.size());
  });
}

TEST_F(HostileStringsTest, OfAMegabyteAreRefusedWhereTheyComeIn) {
  const openssl::PrivateKey& key = TestKey(10);
  model::Id endpoint;
  ports_.Beside([&] {
    EXPECT_FALSE(Enrol(key, std::string(kMegabyte, 'x')).has_value());
    EXPECT_EQ(Rest("/v1/endpoints").at("total"), "0");
    endpoint = Must(Enrol(key, std::string(limits::kMaxFactBytes + 1, 'x')));
    EXPECT_EQ(Rest("/v1/endpoints").at("endpoints").at(0).at("hostname"),
              std::string(limits::kMaxFactBytes, 'x'))
        << "a little too long is cut";
  });
  EndpointScript script(key, endpoint);
  ASSERT_EQ(Submit(endpoint, key, script.Start()), Kind::kStored);
  // A path past its limit is in an event that is kept as it came, and not believed.
  v1::Event event;
  event.ParseFromString(wire::SerialiseEvent(
      {kTestEpoch, {}, TestId(1), model::SightingAppeared{TestSighting("/m", 1)}}));
  event.mutable_sighting_appeared()->mutable_sighting()->mutable_path()->set_value(
      "/" + std::string(limits::kMaxPathBytes, 'x'));
  EXPECT_EQ(
      Submit(endpoint, key,
             script.SealBodies(model::PriorityClass::kInventory, {event.SerializeAsString()})),
      Kind::kStored);
  wire::SealedBatch batch = script.Seal({model::SightingAppeared{TestSighting("/m", 1)}});
  batch.events.at(0).body = std::string(kMegabyte, 'x');
  EXPECT_EQ(Submit(endpoint, key, std::move(batch)), Kind::kRefused);
  ports_.Beside([&] {
    EXPECT_EQ(Rest("/v1/sightings").at("total"), "0");
    const std::string body = R"({"reason": ")" + std::string(kMegabyte, 'x') + "\"}";
    TlsClient client(ports_.rest_->port(), api_.ca_pem_);
    EXPECT_EQ(client
                  .Ask("POST /v1/endpoints/" + endpoint.ToHex() +
                       ":revoke HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                       "Authorization: " +
                       api_.bearer_ + "\r\nContent-Length: " + std::to_string(body.size()) +
                       "\r\n\r\n" + body)
                  .status,
              413);
  });
}

}  // namespace
}  // namespace weighmaster::tests
