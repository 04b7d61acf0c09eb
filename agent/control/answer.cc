#include "agent/control/answer.h"

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::control {
namespace {

using local::v1::ControlAnswer;
using local::v1::ControlRequest;
using local::v1::WhyAnswer;

constexpr std::uint32_t kRoot = 0;

base::Result<model::Path> CheckedPath(const v1::Path& path) {
  const std::string& bytes = path.value();
  if (path.encoding() != v1::PATH_ENCODING_POSIX_BYTES) {
    return base::InvalidArgument("the path has an encoding that this agent does not use");
  }
  if (bytes.empty() || bytes.front() != '/' || bytes.find('\0') != std::string::npos) {
    return base::InvalidArgument("the path is not absolute");
  }
  if (bytes.size() > base::limits::kMaxPathBytes) {
    return base::InvalidArgument("the path is longer than " +
                                 std::to_string(base::limits::kMaxPathBytes) + " bytes");
  }
  return model::Path{bytes, model::PathEncoding::kPosixBytes};
}

base::Status Why(Answerer& answerer, std::uint32_t uid, const v1::Path& asked, WhyAnswer& answer) {
  WM_ASSIGN_OR_RETURN(const model::Path path, CheckedPath(asked));
  WM_RETURN_IF_ERROR(answerer.Why(path, answer));
  if (uid == kRoot) return {};
  if (answer.known() && answer.sighting().owner().id() == std::to_string(uid)) return {};
  return base::PermissionDenied(
      "no model of yours is known at this path, and only root may ask about the models of others");
}

base::Status Fill(Answerer& answerer, std::uint32_t uid, std::string_view bytes,
                  ControlAnswer& answer) {
  ControlRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::InvalidArgument("the request is not one of this protocol");
  }
  switch (request.request_case()) {
    case ControlRequest::kStatus:
      return answerer.Status(*answer.mutable_status());
    case ControlRequest::kWhy:
      return Why(answerer, uid, request.why().path(), *answer.mutable_why());
    case ControlRequest::REQUEST_NOT_SET:
      break;
  }
  return base::InvalidArgument(
      "the agent does not know this request; it may be older than this program");
}

}  // namespace

std::string Answer(Answerer& answerer, std::uint32_t uid, std::string_view request) {
  ControlAnswer answer;
  const base::Status filled = Fill(answerer, uid, request, answer);
  if (!filled.has_value()) return ErrorAnswer(filled.error());
  if (answer.ByteSizeLong() > base::limits::kMaxControlAnswerBytes) {
    return ErrorAnswer(
        base::ResourceExhausted("the answer is longer than the control socket takes"));
  }
  return answer.SerializeAsString();
}

std::string ErrorAnswer(const base::Error& error) {
  ControlAnswer answer;
  // A `string` holds UTF-8 only, and an error may quote what is not.
  answer.set_error(base::IsUtf8(error.message()) ? error.message()
                                                 : base::EscapeForDisplay(error.message()));
  answer.set_error_code(static_cast<std::uint32_t>(error.code()));
  return answer.SerializeAsString();
}

}  // namespace weighmaster::agent::control
