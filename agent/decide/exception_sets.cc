#include "agent/decide/exception_sets.h"

#include <utility>

#include "proto/wire/exceptions.h"
#include "third_party/spdlog/log.h"
#include "weighmaster/v1/exceptions.pb.h"

namespace weighmaster::agent::decide {
namespace {

ExceptionSets::Taken Refused(model::PolicyRefusal refusal, std::string detail) {
  ExceptionSets::Taken taken;
  taken.refusal = refusal;
  taken.detail = std::move(detail);
  return taken;
}

}  // namespace

void ExceptionSets::Load(const wire::Root& root) {
  fleet_ = Read(vault_.record().fleet_exceptions, root);
  endpoint_ = Read(vault_.record().endpoint_exceptions, root);
}

std::optional<model::ExceptionSet> ExceptionSets::Read(const std::optional<model::Sha256>& document,
                                                       const wire::Root& root) const {
  if (!document.has_value()) return std::nullopt;
  const auto verified = [&]() -> base::Result<model::ExceptionSet> {
    WM_ASSIGN_OR_RETURN(const std::string bytes, vault_.Read(*document));
    v1::SignedExceptions proto;
    if (!proto.ParseFromString(bytes)) return base::DataLoss("the file is damaged");
    WM_ASSIGN_OR_RETURN(const wire::SignedDocument signed_set, wire::FromProto(proto));
    return wire::VerifyExceptions(signed_set, root);
  }();
  if (verified.has_value()) return *verified;
  logging::Warning("policy",
                   "stored exceptions do not hold any more: " + verified.error().message());
  return std::nullopt;
}

base::Result<ExceptionSets::Taken> ExceptionSets::Take(const wire::SignedDocument& document,
                                                       const wire::Root& root,
                                                       const model::Id& endpoint) {
  auto set = wire::VerifyExceptions(document, root);
  if (!set.has_value()) {
    const base::Error& error = set.error();
    if (error.code() == base::ErrorCode::kUnauthenticated) {
      return Refused(model::PolicyRefusal::kBadSignature, error.message());
    }
    if (error.code() == base::ErrorCode::kFailedPrecondition) {
      return Refused(model::PolicyRefusal::kWrongFleet, error.message());
    }
    return Refused(model::PolicyRefusal::kMalformed, error.message());
  }
  if (set->endpoint.has_value() && *set->endpoint != endpoint) {
    return Refused(model::PolicyRefusal::kWrongLine, "the exceptions are for another endpoint");
  }
  std::optional<model::ExceptionSet>& held = set->endpoint.has_value() ? endpoint_ : fleet_;
  if (held.has_value() && held->version >= set->version) return Taken{};
  v1::SignedExceptions proto;
  wire::ToProto(document, proto);
  VaultRecord record = vault_.record();
  WM_ASSIGN_OR_RETURN(const model::Sha256 stored, vault_.Put(proto.SerializeAsString()));
  (set->endpoint.has_value() ? record.endpoint_exceptions : record.fleet_exceptions) = stored;
  WM_RETURN_IF_ERROR(vault_.Commit(record));
  held = *std::move(set);
  Taken taken;
  taken.is_new = true;
  taken.issued = held->issued;
  return taken;
}

std::vector<model::Exception> ExceptionSets::all() const {
  std::vector<model::Exception> all;
  for (const auto* set : {&fleet_, &endpoint_}) {
    if (set->has_value()) {
      all.insert(all.end(), (*set)->exceptions.begin(), (*set)->exceptions.end());
    }
  }
  return all;
}

}  // namespace weighmaster::agent::decide
