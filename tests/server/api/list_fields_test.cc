// Whatever a list answers can be asked for: each field of its rows is one of the list's fields, or
// is named here with the reason why it is none.

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "server/query/lists.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

struct Answered {
  const query::List& list;
  const Descriptor* row;
  // By which field of the list a field of the row is asked for, where the names differ. What
  // begins with "-" is the reason why by none.
  std::map<std::string, std::string> names;
};

std::vector<Answered> AllAnswers() {
  return {
      {query::Endpoints(),
       v1::Endpoint::descriptor(),
       {{"coverage_state", "coverage"},
        {"coverage", "-each root: as a whole it is `coverage`, and the roots are in the answer"}}},
      {query::Sightings(),
       v1::StoredSighting::descriptor(),
       {{"path.text", "path"},
        {"path.path", "-the same, as bytes"},
        {"sighting.path", "-the same once more"},
        {"sighting.file_identity", "-opaque, and of one endpoint alone"},
        {"sighting.size_bytes", "size"},
        {"sighting.owner.name", "owner"},
        {"sighting.owner.id", "owner_id"},
        {"sighting.facts.tensor_count", "tensors"},
        {"sighting.facts.risks", "risk"},
        {"sighting.digest.state", "digest_state"},
        {"sighting.digest.detail", "digest_detail"},
        {"verdict.outcome", "verdict"},
        {"verdict.audits", "audit"}}},
      {query::Artifacts(), v1::Artifact::descriptor(), {{"size_bytes", "size"}}},
      {query::Events(),
       v1::StoredEvent::descriptor(),
       {{"event", "-by what it speaks of: `time`, `path`, `sha256`"}}},
      {query::Policies(), v1::PublishedPolicy::descriptor(), {}},
      {query::Exceptions(), v1::GrantedException::descriptor(), {}},
      {query::Findings(), v1::Finding::descriptor(), {}},
      {query::Changes(), v1::Change::descriptor(), {}},
      {query::AdminTokens(), v1::AdminToken::descriptor(), {}},
      {query::AuditEntries(),
       v1::AuditEntry::descriptor(),
       {{"sha256", "-it is for checking the chain"}}},
  };
}

// "labels" is asked for as `label`, "enrolled_time_us" as `enrolled_time`.
bool IsField(const query::List& list, const std::string& name) {
  if (query::FindField(list, name) != nullptr) return true;
  for (const std::string_view unit : {"_us", "s"}) {
    if (name.ends_with(unit) &&
        query::FindField(list, name.substr(0, name.size() - unit.size())) != nullptr) {
      return true;
    }
  }
  return false;
}

void Walk(const Answered& answered, const Descriptor& message, const std::string& above,
          std::set<std::string>& used) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    const std::string path = above + std::string(field.name());
    if (const auto named = answered.names.find(path); named != answered.names.end()) {
      used.insert(path);
      EXPECT_TRUE(named->second.starts_with("-") || IsField(answered.list, named->second))
          << answered.list.name << " has no field " << named->second;
      continue;
    }
    if (field.message_type() != nullptr && !field.is_repeated()) {
      Walk(answered, *field.message_type(), path + ".", used);
      continue;
    }
    EXPECT_TRUE(IsField(answered.list, std::string(field.name())))
        << answered.list.name << " answers " << path << " and can't be asked for it";
  }
}

TEST(ListFields, AreAllThatAListAnswers) {
  const std::vector<Answered> answers = AllAnswers();
  EXPECT_EQ(answers.size(), query::Lists().size());
  for (const Answered& answered : answers) {
    std::set<std::string> used;
    Walk(answered, *answered.row, "", used);
    for (const auto& [path, name] : answered.names) {
      EXPECT_TRUE(used.contains(path)) << answered.list.name << " answers no " << path;
    }
  }
}

}  // namespace
}  // namespace weighmaster::server::api
