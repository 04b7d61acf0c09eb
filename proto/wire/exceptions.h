#pragma once

#include <string>
#include <string_view>

#include "policy/base/result.h"
#include "policy/model/exception.h"
#include "proto/wire/trust.h"

namespace weighmaster::wire {

// docs/formats/exceptions.md: sets of exceptions, signed by the role "exceptions".
inline constexpr std::string_view kDomainExceptions = "weighmaster exceptions v1";
inline constexpr std::string_view kRoleExceptions = "exceptions";

std::string SerialiseExceptions(const model::ExceptionSet& set);
base::Result<model::ExceptionSet> ParseExceptions(std::string_view bytes);
// It parses, the role signed it, and it is for the root's fleet.
base::Result<model::ExceptionSet> VerifyExceptions(const SignedDocument& document,
                                                   const Root& root);

}  // namespace weighmaster::wire
