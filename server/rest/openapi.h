#pragma once

#include <string>
#include <vector>

#include "server/api/methods.h"

namespace weighmaster::server::rest {

// The OpenAPI 3.0 page of the methods: paths, parameters, bodies, answers and errors from their
// descriptors, texts from the comments of the proto files.
std::string OpenApiJson(const std::vector<api::Method>& methods);

}  // namespace weighmaster::server::rest
