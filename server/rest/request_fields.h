#pragma once

#include <set>
#include <string>
#include <string_view>

#include "policy/base/result.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weighmaster::server::rest {

// Sets the fields of a request by names and texts, as they stand in a path and a query. A name may
// lead into a message ("page.page_size"); a repeated field is given several times; an enum by the
// name of its value; a bool as "true" or "false"; bytes not at all. Strict: INVALID_ARGUMENT names
// a field that is not there, is given twice, or has a text that is no value of it.
class RequestFields {
 public:
  // The message must outlive it.
  explicit RequestFields(google::protobuf::Message& message) : message_(message) {}

  base::Status Set(const std::string& name, const std::string& value);
  // "a=1&b=%20", still encoded, without "?". "" has no parameters. At most
  // limits::kMaxQueryParameters.
  base::Status SetQuery(std::string_view query);

 private:
  google::protobuf::Message& message_;
  std::set<std::string> given_;
};

}  // namespace weighmaster::server::rest
