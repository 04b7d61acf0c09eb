#pragma once

#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

#include "policy/base/error.h"

namespace weighmaster::base {

// A value or the Error that stands in its place. The [[nodiscard]] that tl::expected lacks, and an
// implicit way in from both sides:
//
//   Result<int> Parse(std::string_view text) {
//     if (text.empty()) return InvalidArgument("the number is empty");
//     return 7;
//   }
template <typename T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
  using Base = tl::expected<T, Error>;

 public:
  using Base::Base;
  Result(Error error) : Base(tl::make_unexpected(std::move(error))) {}  // NOLINT: meant to convert
};

// Fallible with nothing to return. `return {};` is success.
using Status = Result<void>;

}  // namespace weighmaster::base

#define WM_CONCAT_INNER(a, b) a##b
#define WM_CONCAT(a, b) WM_CONCAT_INNER(a, b)

// WM_ASSIGN_OR_RETURN(const Bytes key, ReadKey(path)); returns the error from the enclosing
// function.
#define WM_ASSIGN_OR_RETURN(declaration, expression)           \
  auto WM_CONCAT(wm_result_, __LINE__) = (expression);         \
  if (!WM_CONCAT(wm_result_, __LINE__).has_value())            \
    return std::move(WM_CONCAT(wm_result_, __LINE__)).error(); \
  declaration = std::move(WM_CONCAT(wm_result_, __LINE__)).value()

#define WM_RETURN_IF_ERROR(expression)                         \
  do {                                                         \
    if (auto wm_status = (expression); !wm_status.has_value()) \
      return std::move(wm_status).error();                     \
  } while (false)
