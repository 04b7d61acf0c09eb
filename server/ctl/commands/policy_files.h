#pragma once

#include <string>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/lang/document.h"
#include "proto/wire/trust.h"

namespace weighmaster::v1 {
class Part;
class Publication;
}  // namespace weighmaster::v1

namespace weighmaster::server::ctl {

// The files that commands about policies read, and what goes from them to the server.

struct DocumentFile {
  std::string text;
  lang::Reading reading;
};
// A document and its list files. What is wrong in them is in the reading.
base::Result<DocumentFile> ReadDocumentFile(const std::string& path, base::WallTime now);

// What `policy sign` has written.
base::Result<v1::Publication> ReadBundleFile(const std::string& path);

struct CompiledPart {
  wire::PartReference reference;
  std::string content;
};
// The parts of a bundle from a reading without errors.
base::Result<std::vector<CompiledPart>> CompileParts(const lang::Reading& reading);
void PutPart(CompiledPart part, v1::Part& out);

}  // namespace weighmaster::server::ctl
