#include "agent/inventory/row.h"

#include "proto/wire/convert.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::agent::inventory {
namespace {

std::int64_t BitOf(model::Withheld field) {
  return std::int64_t{1} << static_cast<unsigned>(field);
}

template <typename Proto, typename Value>
std::string Serialise(const Value& value) {
  Proto proto;
  wire::ToProto(value, proto);
  return proto.SerializeAsString();
}

template <typename Value, typename Proto>
base::Result<Value> Parse(base::ByteView bytes, const char* what) {
  Proto proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::DataLoss(std::string("a stored ") + what + " can't be read");
  }
  auto value = wire::FromProto(proto);
  if (!value.has_value()) {
    return base::DataLoss(std::string("a stored ") + what + ": " + value.error().message());
  }
  return value;
}

}  // namespace

std::string ToColumn(const model::Sighting& sighting) { return Serialise<v1::Sighting>(sighting); }
std::string ToColumn(const model::Verdict& verdict) { return Serialise<v1::Verdict>(verdict); }
std::string ToColumn(const model::Coverage& coverage) { return Serialise<v1::Coverage>(coverage); }

base::Result<model::Sighting> SightingFromColumn(base::ByteView bytes) {
  return Parse<model::Sighting, v1::Sighting>(bytes, "sighting");
}
base::Result<model::Verdict> VerdictFromColumn(base::ByteView bytes) {
  return Parse<model::Verdict, v1::Verdict>(bytes, "verdict");
}
base::Result<model::Coverage> CoverageFromColumn(base::ByteView bytes) {
  return Parse<model::Coverage, v1::Coverage>(bytes, "coverage");
}

std::int64_t ToColumn(const model::WithheldFields& withheld) {
  std::int64_t bits = 0;
  for (const model::Withheld field : withheld) bits |= BitOf(field);
  return bits;
}

model::WithheldFields WithheldFromColumn(std::int64_t bits) {
  model::WithheldFields withheld;
  for (const model::SentField& row : model::SentFields()) {
    if (row.as.has_value() && (bits & BitOf(*row.as)) != 0) withheld.insert(*row.as);
  }
  return withheld;
}

}  // namespace weighmaster::agent::inventory
