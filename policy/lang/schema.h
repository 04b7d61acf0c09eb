#pragma once

#include <string>

namespace weighmaster::lang {

// What is made of the tables of fields (policy/engine/fields.h, policy/model/settings.h) for those
// who write documents. The tree holds all of it as files, and a test compares them.

// The JSON Schema of a policy document (draft 2020-12), for editors: policy/starter/
// policy.schema.json.
std::string PolicySchema();

// The fields that a condition may test, as a Markdown page: docs/policy-fields.md.
std::string FieldsPage();

// What an endpoint tells of a model file, as a Markdown page: docs/collected.md.
std::string CollectedPage();

}  // namespace weighmaster::lang
