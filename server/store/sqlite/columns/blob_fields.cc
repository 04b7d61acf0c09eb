#include "server/store/sqlite/columns/blob_fields.h"

#include <string>
#include <vector>

#include "policy/model/path.h"
#include "proto/wire/convert.h"
#include "server/store/sqlite/columns/rows.h"
#include "weighmaster/v1/event.pb.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::server::store {
namespace {

using sqlite::FunctionValue;

// A blob that can't be read is the empty message: whoever shows the row says so.
template <typename Message>
Message Read(base::ByteView blob) {
  Message message;
  if (!message.ParseFromArray(blob.data(), static_cast<int>(blob.size()))) message.Clear();
  return message;
}

// 0 stands for none.
FunctionValue NumberOrNone(std::int64_t number) {
  return number == 0 ? FunctionValue() : FunctionValue(number);
}

FunctionValue SightingRisks(base::ByteView blob) {
  std::vector<std::string> ids;
  const auto sighting = Read<v1::Sighting>(blob);
  for (const v1::Risk& risk : sighting.facts().risks()) ids.push_back(risk.id());
  return SetColumn(ids);
}

FunctionValue SightingOwnerId(base::ByteView blob) { return Read<v1::Sighting>(blob).owner().id(); }

FunctionValue SightingTensors(base::ByteView blob) {
  const auto sighting = Read<v1::Sighting>(blob);
  if (!sighting.facts().has_tensor_count()) return {};
  return Column(sighting.facts().tensor_count());
}

FunctionValue SightingDigestDetail(base::ByteView blob) {
  return Read<v1::Sighting>(blob).digest().detail();
}

FunctionValue SightingVerified(base::ByteView blob) {
  return NumberOrNone(Read<v1::Sighting>(blob).digest().verified_time_us());
}

FunctionValue SightingWeightsReason(base::ByteView blob) {
  return NumberOrNone(Read<v1::Sighting>(blob).weights_reason());
}

FunctionValue VerdictReason(base::ByteView blob) { return Read<v1::Verdict>(blob).reason(); }

FunctionValue VerdictLink(base::ByteView blob) { return Read<v1::Verdict>(blob).link(); }

FunctionValue VerdictUntil(base::ByteView blob) {
  return NumberOrNone(Read<v1::Verdict>(blob).until_time_us());
}

const v1::Path* PathOf(const v1::Event& event) {
  switch (event.body_case()) {
    case v1::Event::kSightingAppeared:
      return &event.sighting_appeared().sighting().path();
    case v1::Event::kSightingChanged:
      return &event.sighting_changed().sighting().path();
    case v1::Event::kSightingGone:
      return &event.sighting_gone().path();
    case v1::Event::kSightingJudged:
      return &event.sighting_judged().path();
    case v1::Event::kCoverageChanged:
      return &event.coverage_changed().coverage().root();
    default:
      return nullptr;
  }
}

FunctionValue EventPath(base::ByteView blob) {
  const auto event = Read<v1::Event>(blob);
  const v1::Path* const path = PathOf(event);
  if (path == nullptr) return std::string();
  const auto read = wire::FromProto(*path);
  return read.has_value() ? read->ToDisplay() : std::string();
}

struct Function {
  const char* name;
  FunctionValue (*function)(base::ByteView);
};
constexpr Function kFunctions[] = {
    {"sighting_risks", SightingRisks},          {"sighting_owner_id", SightingOwnerId},
    {"sighting_tensors", SightingTensors},      {"sighting_digest_detail", SightingDigestDetail},
    {"sighting_verified_us", SightingVerified}, {"sighting_weights_reason", SightingWeightsReason},
    {"verdict_reason", VerdictReason},          {"verdict_link", VerdictLink},
    {"verdict_until_us", VerdictUntil},         {"event_path", EventPath}};

}  // namespace

base::Status AddBlobFields(sqlite::Database& database) {
  for (const Function& function : kFunctions) {
    WM_RETURN_IF_ERROR(database.AddFunction(function.name, function.function));
  }
  return {};
}

}  // namespace weighmaster::server::store
