#include "server/ctl/commands/policy_files.h"

#include <google/protobuf/util/json_util.h>

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

base::Result<std::string> FetchPart(AdminClient& client, const wire::PartReference& part) {
  std::string content;
  WM_RETURN_IF_ERROR(VisitPart(client, part, [&content](std::uint64_t, std::string piece) {
    content += piece;
    return base::Status();
  }));
  if (content.size() != part.size_bytes ||
      openssl::Sha256Of(base::AsBytes(content)) != part.sha256) {
    return base::DataLoss("the server's part " + part.sha256.ToHex() +
                          " is not the one that its manifest names");
  }
  return content;
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
  // As JSON it is longer by a third.
  WM_ASSIGN_OR_RETURN(const std::string bytes, posix::ReadFile(path, 2 * limits::kMaxBundleBytes));
  v1::Publication request;
  const bool is_json = bytes.starts_with('{');
  const bool parsed =
      is_json ? google::protobuf::util::JsonStringToMessage(bytes, &request).ok()
              : bytes.size() <= limits::kMaxBundleBytes && request.ParseFromString(bytes);
  if (!parsed || request.bundle().manifest().empty()) {
    return base::InvalidArgument(path + " is no bundle; \"weighctl policy sign\" makes one");
  }
  return request;
}

base::Status WriteBundleFile(const std::string& path, BundleForm form,
                             const v1::Publication& bundle) {
  if (form == BundleForm::kProtobuf) {
    return posix::ReplaceFile(path, bundle.SerializeAsString(), 0644);
  }
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(bundle, &json, options).ok()) {
    return base::Internal("the bundle can't be written as JSON");
  }
  return posix::ReplaceFile(path, json + "\n", 0644);
}

base::Status VisitPart(AdminClient& client, const wire::PartReference& part,
                       const PieceVisitor& visit) {
  v1::GetPolicyPartRequest request;
  request.set_sha256(part.sha256.ToHex());
  std::uint64_t offset = 0;
  do {
    request.set_offset(offset);
    v1::GetPolicyPartResponse response;
    WM_RETURN_IF_ERROR(client.GetPolicyPart(request, response));
    const std::uint64_t bytes = response.content().size();
    if (bytes == 0 && offset < part.size_bytes) {
      return base::DataLoss("the server's part " + part.sha256.ToHex() +
                            " is shorter than its manifest says");
    }
    WM_RETURN_IF_ERROR(visit(offset, std::move(*response.mutable_content())));
    offset += bytes;
  } while (offset < part.size_bytes);
  return {};
}

base::Result<lang::Document> FetchPublished(AdminClient& client, std::uint64_t version) {
  v1::GetPolicyRequest request;
  request.set_version(version);
  v1::GetPolicyResponse response;
  WM_RETURN_IF_ERROR(client.GetPolicy(request, response));
  WM_ASSIGN_OR_RETURN(const wire::BundleManifest manifest,
                      wire::ParseManifest(response.bundle().manifest()));
  model::RuleSet rules;
  std::string lists;
  for (const wire::PartReference& part : manifest.parts) {
    if (part.kind == wire::PartKind::kRules) {
      WM_ASSIGN_OR_RETURN(const std::string content, FetchPart(client, part));
      WM_ASSIGN_OR_RETURN(rules, wire::ParseRules(content));
    } else if (part.kind == wire::PartKind::kLists) {
      WM_ASSIGN_OR_RETURN(lists, FetchPart(client, part));
    }
  }
  if (lists.empty()) return lang::Decompile(rules, {});
  WM_ASSIGN_OR_RETURN(const auto view, model::DigestListsView::Parse(base::AsBytes(lists)));
  return lang::Decompile(rules, view);
}

base::Result<v1::Publication> FetchPublication(AdminClient& client, std::uint64_t version,
                                               const wire::Root& root) {
  v1::GetPolicyRequest request;
  request.set_version(version);
  v1::GetPolicyResponse response;
  WM_RETURN_IF_ERROR(client.GetPolicy(request, response));
  WM_ASSIGN_OR_RETURN(const wire::SignedDocument document, wire::FromProto(response.bundle()));
  if (!root.Trusts(wire::kRolePolicy, wire::kDomainBundle, document.bytes, document.signatures)) {
    return base::Unauthenticated("version " + std::to_string(response.version()) +
                                 " was signed by no key that root " + std::to_string(root.version) +
                                 " trusts; read what it says (\"policy show\") and sign that");
  }
  WM_ASSIGN_OR_RETURN(const wire::BundleManifest manifest, wire::ParseManifest(document.bytes));
  if (openssl::Sha256Of(base::AsBytes(response.document())) != manifest.document) {
    return base::DataLoss("the server's document is not the one that was signed");
  }
  v1::Publication publication;
  publication.mutable_bundle()->set_manifest(document.bytes);
  publication.set_document(response.document());
  for (const wire::PartReference& part : manifest.parts) {
    WM_ASSIGN_OR_RETURN(std::string content, FetchPart(client, part));
    PutPart({.reference = part, .content = std::move(content)}, *publication.add_parts());
  }
  return publication;
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
