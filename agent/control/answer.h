#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/control/answerer.h"

namespace weighmaster::agent::control {

// The serialised ControlAnswer to a serialised ControlRequest of a user. Whatever the request's
// bytes are, there is an answer; one past limits::kMaxControlAnswerBytes becomes the error that
// says so.
//
// Root may ask about every path. Others see the models they own, and are told the same of another
// user's model and of none at all, so that nobody can probe another's folders.
std::string Answer(Answerer& answerer, std::uint32_t uid, std::string_view request);

// The serialised ControlAnswer that carries an error.
std::string ErrorAnswer(const base::Error& error);

}  // namespace weighmaster::agent::control
