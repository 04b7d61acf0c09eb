#include "proto/wire/exceptions.h"

#include <set>
#include <utility>

#include "policy/base/limits.h"
#include "proto/wire/fields.h"
#include "weighmaster/v1/exceptions.pb.h"

namespace weighmaster::wire {
namespace {

namespace limits = base::limits;

base::Result<model::Exception> ReadException(const v1::Exception& in) {
  model::Exception exception;
  WM_ASSIGN_OR_RETURN(exception.id, ReadId(in.exception_id(), "exceptions.exception_id"));
  switch (in.subject_case()) {
    case v1::Exception::kSha256: {
      WM_ASSIGN_OR_RETURN(exception.digest, ReadSha256(in.sha256(), "exceptions.sha256"));
      break;
    }
    case v1::Exception::kWeightsDigest: {
      exception.of_weights = true;
      WM_ASSIGN_OR_RETURN(exception.digest,
                          ReadSha256(in.weights_digest(), "exceptions.weights_digest"));
      break;
    }
    case v1::Exception::SUBJECT_NOT_SET:
      return FieldError("exceptions", "names neither a file nor weights");
  }
  WM_ASSIGN_OR_RETURN(exception.user,
                      ReadText(in.user(), limits::kMaxFactBytes, "exceptions.user"));
  WM_ASSIGN_OR_RETURN(exception.overrides,
                      ReadText(in.overrides(), limits::kMaxRuleIdBytes, "exceptions.overrides"));
  if (exception.overrides.empty()) return FieldError("exceptions.overrides", "is empty");
  WM_ASSIGN_OR_RETURN(exception.reason,
                      ReadText(in.reason(), limits::kMaxRuleMessageBytes, "exceptions.reason"));
  if (exception.reason.empty()) return FieldError("exceptions.reason", "is empty");
  WM_ASSIGN_OR_RETURN(exception.expires,
                      ReadTime(in.expires_time_us(), "exceptions.expires_time_us"));
  return exception;
}

}  // namespace

std::string SerialiseExceptions(const model::ExceptionSet& set) {
  v1::ExceptionSet proto;
  proto.set_fleet_id(set.fleet_id);
  if (set.endpoint) proto.set_endpoint_id(WireBytes(set.endpoint->view()));
  proto.set_version(set.version);
  proto.set_issued_time_us(WireTime(set.issued));
  for (const model::Exception& exception : set.exceptions) {
    v1::Exception& out = *proto.add_exceptions();
    out.set_exception_id(WireBytes(exception.id.view()));
    if (exception.of_weights) {
      out.set_weights_digest(WireBytes(exception.digest.view()));
    } else {
      out.set_sha256(WireBytes(exception.digest.view()));
    }
    out.set_user(exception.user);
    out.set_overrides(exception.overrides);
    out.set_reason(exception.reason);
    out.set_expires_time_us(WireTime(exception.expires));
  }
  return proto.SerializeAsString();
}

base::Result<model::ExceptionSet> ParseExceptions(std::string_view bytes) {
  v1::ExceptionSet proto;
  if (bytes.size() > limits::kMaxExceptionsBytes ||
      !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::InvalidArgument("the exceptions can't be read");
  }
  model::ExceptionSet set;
  WM_ASSIGN_OR_RETURN(set.fleet_id, ReadText(proto.fleet_id(), limits::kMaxNameBytes, "fleet_id"));
  if (!proto.endpoint_id().empty()) {
    WM_ASSIGN_OR_RETURN(set.endpoint, ReadId(proto.endpoint_id(), "endpoint_id"));
  }
  WM_ASSIGN_OR_RETURN(set.version, ReadCount(proto.version(), "version"));
  if (set.version == 0) return FieldError("version", "is 0");
  WM_ASSIGN_OR_RETURN(set.issued, ReadTime(proto.issued_time_us(), "issued_time_us"));
  if (std::size_t(proto.exceptions_size()) > limits::kMaxExceptions) {
    return FieldError("exceptions", "holds more than " + std::to_string(limits::kMaxExceptions));
  }
  std::set<model::Id> ids;
  for (const v1::Exception& in : proto.exceptions()) {
    WM_ASSIGN_OR_RETURN(model::Exception exception, ReadException(in));
    if (!ids.insert(exception.id).second) return FieldError("exceptions", "holds one twice");
    if (exception.expires > set.issued + limits::kMaxExceptionValidity) {
      return FieldError("exceptions.expires_time_us", "is more than 30 days after the set's issue");
    }
    set.exceptions.push_back(std::move(exception));
  }
  return set;
}

base::Result<model::ExceptionSet> VerifyExceptions(const SignedDocument& document,
                                                   const Root& root) {
  WM_ASSIGN_OR_RETURN(model::ExceptionSet set, ParseExceptions(document.bytes));
  if (!root.Trusts(kRoleExceptions, kDomainExceptions, document.bytes, document.signatures)) {
    return base::Unauthenticated("the exceptions are not signed by enough keys of their role");
  }
  if (set.fleet_id != root.fleet_id) {
    return base::FailedPrecondition("the exceptions are for another fleet");
  }
  return set;
}

}  // namespace weighmaster::wire
