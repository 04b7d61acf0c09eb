// A REST request: a verb, a space, a path and a query up to the line's end, then the body. What a
// method takes is written as JSON and, where it is a body, read again as the same.

#include <google/protobuf/message.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/bytes.h"
#include "policy/base/check.h"
#include "server/rest/transcode.h"

namespace base = weighmaster::base;
namespace api = weighmaster::server::api;
namespace rest = weighmaster::server::rest;

namespace {

void Try(const api::Method& method, std::string_view path, std::string_view query,
         std::string_view body) {
  const auto variables = rest::PathTemplate(method.path).Match(path);
  if (!variables.has_value()) return;
  const auto request = rest::ReadRequest(method, *variables, query, body);
  if (!request.has_value()) {
    WM_CHECK(base::IsUtf8(request.error().message()));
    return;
  }
  const auto json = rest::ToJson(**request);
  WM_CHECK(json.has_value());
  if (!method.has_body || !variables->empty()) return;
  const auto again = rest::ReadRequest(method, {}, "", *json);
  WM_CHECK(again.has_value());
  WM_CHECK(google::protobuf::util::MessageDifferencer::Equals(**request, **again));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<api::Method> kMethods = api::AdminMethods();
  const std::string_view text = base::AsText({data, size});
  const std::size_t line = text.find('\n');
  const std::string_view body = line == std::string_view::npos ? "" : text.substr(line + 1);
  std::string_view target = text.substr(0, line);
  const std::string_view verb = target.substr(0, target.find(' '));
  target.remove_prefix(std::min(target.size(), verb.size() + 1));
  const std::string_view path = target.substr(0, target.find('?'));
  const std::string_view query = path.size() == target.size() ? "" : target.substr(path.size() + 1);
  for (const api::Method& method : kMethods) {
    if (method.http_method == verb) Try(method, path, query, body);
  }
  return 0;
}
