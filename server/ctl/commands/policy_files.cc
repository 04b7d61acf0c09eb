#include "server/ctl/commands/policy_files.h"

#include <filesystem>
#include <utility>

#include "policy/base/limits.h"
#include "policy/lang/compile.h"
#include "policy/model/lists/digest_lists.h"
#include "proto/wire/convert.h"
#include "third_party/openssl/sha256.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

namespace limits = base::limits;

CompiledPart MakePart(wire::PartKind kind, std::string_view feature, std::string content) {
  CompiledPart part;
  part.reference.kind = kind;
  part.reference.sha256 = openssl::Sha256Of(base::AsBytes(content));
  part.reference.size_bytes = content.size();
  part.reference.features = {std::string(feature)};
  part.content = std::move(content);
  return part;
}

}  // namespace

base::Result<DocumentFile> ReadDocumentFile(const std::string& path, base::WallTime now) {
  DocumentFile file;
  WM_ASSIGN_OR_RETURN(file.text, posix::ReadFile(path, limits::kMaxPolicyBytes));
  const std::string folder = std::filesystem::path(path).parent_path().string();
  file.reading = lang::ReadDocument(
      path, file.text,
      [&folder](const std::string& list) {
        return posix::ReadFileBelow(folder, list, limits::kMaxListFileBytes);
      },
      now);
  return file;
}

base::Result<v1::Publication> ReadBundleFile(const std::string& path) {
  WM_ASSIGN_OR_RETURN(const std::string bytes, posix::ReadFile(path, limits::kMaxBundleBytes));
  v1::Publication request;
  if (!request.ParseFromString(bytes) || request.bundle().manifest().empty()) {
    return base::InvalidArgument(path + " is no bundle; \"weighctl policy sign\" makes one");
  }
  return request;
}

base::Result<std::vector<CompiledPart>> CompileParts(const lang::Reading& reading) {
  WM_ASSIGN_OR_RETURN(const lang::CompiledPolicy compiled, lang::Compile(reading));
  const base::Bytes lists = model::EncodeDigestLists(compiled.lists);
  std::vector<CompiledPart> parts;
  parts.push_back(
      MakePart(wire::PartKind::kLists, wire::kFeatureLists, std::string(base::AsText(lists))));
  parts.push_back(
      MakePart(wire::PartKind::kRules, wire::kFeatureRules, wire::SerialiseRules(compiled.rules)));
  return parts;
}

void PutPart(CompiledPart part, v1::Part& out) {
  v1::PartReference& reference = *out.mutable_reference();
  reference.set_kind(static_cast<v1::PartKind>(part.reference.kind));
  reference.set_sha256(std::string(base::AsText(part.reference.sha256.view())));
  reference.set_size_bytes(part.reference.size_bytes);
  for (std::string& feature : part.reference.features) reference.add_features(std::move(feature));
  out.set_content(std::move(part.content));
}

}  // namespace weighmaster::server::ctl
