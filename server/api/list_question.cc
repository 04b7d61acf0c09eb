#include "server/api/list_question.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <memory>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::server::api {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const FieldDescriptor& FieldOf(const Message& request, const char* name) {
  const FieldDescriptor* const field = request.GetDescriptor()->FindFieldByName(name);
  WM_CHECK(field != nullptr);
  return *field;
}

std::string TextOf(const Message& request, const char* name) {
  if (request.GetDescriptor()->FindFieldByName(name) == nullptr) return {};
  return request.GetReflection()->GetString(request, &FieldOf(request, name));
}

model::Sha256 DigestOf(const Message& request) {
  const std::unique_ptr<Message> question(request.New());
  question->CopyFrom(request);
  for (const char* const name : {"page_size", "page_token"}) {
    question->GetReflection()->ClearField(question.get(), &FieldOf(request, name));
  }
  const std::string bytes = request.GetTypeName() + '\n' + question->SerializeAsString();
  return openssl::Sha256Of(base::AsBytes(bytes));
}

}  // namespace

std::string ListQuestion::TokenFor(const std::optional<query::Position>& next) const {
  return next.has_value() ? query::WriteCursor(*next, digest) : std::string();
}

base::Result<std::size_t> ReadPageSize(std::uint32_t page_size) {
  if (page_size > base::limits::kMaxPageSize) {
    return base::InvalidArgument("a page has at most " +
                                 std::to_string(base::limits::kMaxPageSize) + " rows");
  }
  return page_size == 0 ? base::limits::kDefaultPageSize : std::size_t{page_size};
}

base::Result<std::optional<base::WallTime>> ReadMoment(const Message& request) {
  if (request.GetDescriptor()->FindFieldByName("as_of_time_us") == nullptr) {
    return std::optional<base::WallTime>();
  }
  const std::int64_t moment =
      request.GetReflection()->GetInt64(request, &FieldOf(request, "as_of_time_us"));
  if (moment < 0) return base::InvalidArgument("as_of_time_us is before 1970");
  if (moment == 0) return std::optional<base::WallTime>();
  return std::optional(base::WallTimeFromMicroseconds(moment));
}

base::Result<ListQuestion> ReadQuestion(const query::List& list, const Message& request) {
  ListQuestion question;
  question.digest = DigestOf(request);
  WM_ASSIGN_OR_RETURN(question.page.size, ReadPageSize(request.GetReflection()->GetUInt32(
                                              request, &FieldOf(request, "page_size"))));
  WM_ASSIGN_OR_RETURN(question.page.filter, query::ParseFilter(list, TextOf(request, "filter")));
  WM_ASSIGN_OR_RETURN(question.page.order, query::ParseOrder(list, TextOf(request, "order_by")));
  WM_ASSIGN_OR_RETURN(question.page.as_of, ReadMoment(request));
  const std::string token = TextOf(request, "page_token");
  if (token.empty()) return question;
  WM_ASSIGN_OR_RETURN(question.page.after,
                      query::ReadCursor(token, question.digest, question.page.order));
  return question;
}

}  // namespace weighmaster::server::api
