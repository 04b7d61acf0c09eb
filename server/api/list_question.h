#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "server/query/lists.h"
#include "server/store/values.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weighmaster::server::api {

// What a request for a list asks of the store, by its fields `page_size`, `page_token`, `filter`,
// `order_by` and `as_of_time_us` (the last three where it has them). Page tokens are bound to all
// of its other fields.
struct ListQuestion {
  store::PageQuery page;
  model::Sha256 digest;  // of everything but the page

  std::string TokenFor(const std::optional<query::Position>& next) const;
};

// INVALID_ARGUMENT for a page that is too large, a token that this server did not make for this
// question, and what query::ParseFilter and ParseOrder refuse.
base::Result<ListQuestion> ReadQuestion(const query::List& list,
                                        const google::protobuf::Message& request);

// The moment that a request speaks of by its field `as_of_time_us`; none: now. INVALID_ARGUMENT
// before 1970.
base::Result<std::optional<base::WallTime>> ReadMoment(const google::protobuf::Message& request);

// What `page_size` asks for. INVALID_ARGUMENT past limits::kMaxPageSize.
base::Result<std::size_t> ReadPageSize(std::uint32_t page_size);

// What all pages say beside their rows.
template <typename Row, typename Response>
void PutPage(const ListQuestion& question, const store::Page<Row>& page, Response& response) {
  response.set_next_page_token(question.TokenFor(page.next));
  response.set_total(page.total);
  if constexpr (requires { response.set_total_is_least(true); }) {
    response.set_total_is_least(page.total_is_least);
  }
}

}  // namespace weighmaster::server::api
