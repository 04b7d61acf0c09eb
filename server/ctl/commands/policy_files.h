#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/lang/document.h"
#include "proto/wire/trust.h"
#include "server/ctl/admin_client.h"

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

// What `policy sign` has written, in either form.
base::Result<v1::Publication> ReadBundleFile(const std::string& path);
// The form that POST /v1/policies takes, or the shorter one of protobuf.
enum class BundleForm : std::uint8_t { kProtobuf, kJson };
base::Status WriteBundleFile(const std::string& path, BundleForm form,
                             const v1::Publication& bundle);

// A part of a published policy as the server hands it out, piece by piece and at least one, each
// with its place. DATA_LOSS when there is less of it than its reference says; nothing is held
// against its digest.
using PieceVisitor = std::function<base::Status(std::uint64_t offset, std::string piece)>;
base::Status VisitPart(AdminClient& client, const wire::PartReference& part,
                       const PieceVisitor& visit);

// A published policy as a document, from its parts; 0 is the newest. What the server hands out is
// held against the digests of its manifest.
base::Result<lang::Document> FetchPublished(AdminClient& client, std::uint64_t version);

// The same with its parts and text as they were published, for another signature. UNAUTHENTICATED
// when the role `policy` of `root` did not sign it.
base::Result<v1::Publication> FetchPublication(AdminClient& client, std::uint64_t version,
                                               const wire::Root& root);

struct CompiledPart {
  wire::PartReference reference;
  std::string content;
};
// The parts of a bundle from a reading without errors.
base::Result<std::vector<CompiledPart>> CompileParts(const lang::Reading& reading);
void PutPart(CompiledPart part, v1::Part& out);

}  // namespace weighmaster::server::ctl
