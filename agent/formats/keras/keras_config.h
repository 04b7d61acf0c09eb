#pragma once

#include <string>
#include <string_view>

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"
#include "agent/formats/reading/work_budget.h"

namespace weighmaster::agent::formats {

// What a model's configuration says of it, as the file writes it; empty where it does not.
struct KerasConfig {
  std::string class_name;  // "Sequential", "Functional", or a class of the model's own
  std::string name;
};

// The configuration of a Keras model: JSON in which every object may name what Python is to import
// and call (`class_name`, `module`, `registered_name`, `config`). Adds what loading it does:
// `keras_lambda` and `keras_foreign_module`, by what Keras's own loaders do, keras/src/saving/
// serialization_lib.py, and keras/src/legacy/saving for HDF5 (https://github.com/keras-team/keras):
//
// - A Lambda that carries code, and code (`__lambda__`) anywhere: Python's bytecode, which runs.
//   A Lambda that names a function calls something that the configuration chooses: medium.
// - A `module` that is none of Keras's is imported, and the name is looked up in it; older
//   versions do so for every module of Python. Graded as what a pickle imports: critical where it
//   executes, high where it reaches out, medium where it is on no list.
// - Of a custom object ("package>Name") the loader takes what its user has registered under that
//   name, and no code of the file runs; only where nobody registered it is the module imported.
//   Such an object of an unlisted module is told as `info`. A module that executes or reaches is
//   told as ever, since the file chooses both names.
// - Functions within Keras that reach further than a layer has to, which is how loaders that allow
//   Keras's own modules only were passed.
//
// What Python's own JSON writer adds to JSON (NaN, Infinity) is read as a number. `place` begins
// each evidence. A text that is no JSON is `malformed`; one that is longer than can be held is read
// as far as it is held, and `opaque`.
KerasConfig ScanKerasConfig(std::string json, WorkBudget& budget, RiskList& risks,
                            const std::string& place);
// Of a file's bytes, from the cursor's place to its end.
KerasConfig ScanKerasConfig(Cursor& cursor, RiskList& risks, const std::string& place);

// Whether a file that is named there lies outside the folder of the model: an absolute path, one
// with "..", or an address on the network.
bool LeavesFolderOfModel(std::string_view path);

}  // namespace weighmaster::agent::formats
