#include "server/ctl/trust/root_commands.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/base/bytes.h"
#include "server/ctl/listing.h"
#include "server/ctl/trust/root_files.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/admin.pb.h"
#include "weighmaster/v1/trust.pb.h"

namespace weighmaster::server::ctl {
namespace {

using report::Cell;
using Align = report::Table::Align;

// As long as that of `weighmaster-server init`.
constexpr std::chrono::hours kRootLifetime{10 * 365 * 24};
constexpr int kPublicMode = 0644;

// The roles of docs/formats/trust.md. A name that is none of them would trust nobody with anything.
constexpr std::string_view kRoles[] = {"root",    "policy", "exceptions", "commands",
                                       "content", "server", "release"};

// "policy=new.pub,root=a.pub": what an option says of roles.
using RoleWords = std::vector<std::pair<std::string, std::string>>;
base::Result<RoleWords> ReadRoleWords(const Arguments& arguments, std::string_view option) {
  RoleWords words;
  const std::string value = arguments.Value(option);
  std::string_view rest = value;
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    const std::size_t equals = item.find('=');
    const std::string_view role = item.substr(0, equals);
    if (equals == std::string_view::npos || equals + 1 == item.size()) {
      return base::InvalidArgument("--" + std::string(option) + " takes ROLE=… and not \"" +
                                   std::string(item) + "\"");
    }
    if (std::ranges::find(kRoles, role) == std::end(kRoles)) {
      return base::InvalidArgument("there is no role \"" + std::string(role) +
                                   "\"; there are root, policy, exceptions, commands, content, "
                                   "server and release");
    }
    words.emplace_back(role, item.substr(equals + 1));
  }
  return words;
}

base::Status AddKeys(const Arguments& arguments, wire::Root& root) {
  WM_ASSIGN_OR_RETURN(const RoleWords words, ReadRoleWords(arguments, "add"));
  for (const auto& [role, path] : words) {
    WM_ASSIGN_OR_RETURN(const openssl::PublicKey key, ReadPublicKey(path));
    std::vector<model::Sha256>& ids = root.roles[role].key_ids;
    if (std::ranges::find(ids, key.id()) != ids.end()) {
      return base::AlreadyExists("the key of " + path + " is of the role \"" + role + "\" already");
    }
    ids.push_back(key.id());
    root.keys.emplace(key.id(), key);
  }
  return {};
}

// A key is named by the beginning of its id, as long as that is one key's alone.
base::Status RemoveKeys(const Arguments& arguments, wire::Root& root) {
  constexpr std::size_t kLeastDigits = 8;
  WM_ASSIGN_OR_RETURN(const RoleWords words, ReadRoleWords(arguments, "remove"));
  for (const auto& [role, id] : words) {
    const auto found = root.roles.find(role);
    const auto is_named = [&id = id](const model::Sha256& key) {
      return key.ToHex().starts_with(id);
    };
    const auto count =
        found == root.roles.end() ? 0 : std::ranges::count_if(found->second.key_ids, is_named);
    if (id.size() < kLeastDigits || count != 1) {
      return base::NotFound("\"" + id + "\" names " + std::to_string(count) +
                            " keys of the role \"" + role + "\"; name one by the first " +
                            std::to_string(kLeastDigits) +
                            " or more digits of its id, as \"root show\" prints it");
    }
    std::erase_if(found->second.key_ids, is_named);
    if (found->second.key_ids.empty()) root.roles.erase(found);
  }
  return {};
}

base::Status SetThresholds(const Arguments& arguments, wire::Root& root) {
  WM_ASSIGN_OR_RETURN(const RoleWords words, ReadRoleWords(arguments, "threshold"));
  for (const auto& [role, text] : words) {
    WM_ASSIGN_OR_RETURN(const std::uint64_t threshold, ParseNumber(text));
    root.roles[role].threshold =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(threshold, UINT32_MAX));
  }
  for (const auto& [name, role] : root.roles) {
    if (role.threshold > 0 && role.threshold <= role.key_ids.size()) continue;
    return base::InvalidArgument(
        "the role \"" + name + "\" would need " + std::to_string(role.threshold) + " of " +
        std::to_string(role.key_ids.size()) + " keys; see --add, --remove and --threshold");
  }
  return {};
}

// A key that no role has is good for nothing.
void DropIdleKeys(wire::Root& root) {
  std::erase_if(root.keys, [&root](const auto& entry) {
    return std::ranges::none_of(root.roles, [&](const auto& role) {
      return std::ranges::find(role.second.key_ids, entry.first) != role.second.key_ids.end();
    });
  });
}

std::string Serialised(const wire::SignedDocument& document) {
  v1::SignedRoot message;
  wire::ToProto(document, message);
  return message.SerializeAsString();
}

base::Result<ExitCode> Next(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(wire::Root root, ReadTrustedRoot(arguments.Positional(0)));
  WM_ASSIGN_OR_RETURN(const base::Duration valid_for,
                      arguments.Duration("valid-for", kRootLifetime));
  ++root.version;
  root.issued = context.clock.Now();
  root.expires = root.issued + valid_for;
  WM_RETURN_IF_ERROR(AddKeys(arguments, root));
  WM_RETURN_IF_ERROR(RemoveKeys(arguments, root));
  WM_RETURN_IF_ERROR(SetThresholds(arguments, root));
  DropIdleKeys(root);
  const wire::SignedDocument document{.bytes = wire::SerialiseRoot(root), .signatures = {}};
  WM_RETURN_IF_ERROR(wire::ParseRoot(document.bytes));
  const std::string out = arguments.Value("out");
  WM_RETURN_IF_ERROR(posix::WriteNewFile(out, Serialised(document), kPublicMode));
  if (arguments.Has("json")) {
    return PrintObject(context, {{"version", Cell::Number(root.version)},
                                 {"fleet_id", Cell::Text(root.fleet_id)},
                                 {"expires_time", TimeOf(base::ToMicroseconds(root.expires))},
                                 {"file", Cell::Text(out)}});
  }
  const std::string shown = base::EscapeForDisplay(out);
  context.out << "Wrote root " << root.version << " to " << shown
              << ", which nobody has signed. Root keys of it and of the root before it sign it: "
                 "weighctl root sign "
              << shown << " --root " << base::EscapeForDisplay(arguments.Positional(0))
              << " --key FILE\n";
  return ExitCode::kOk;
}

// How many root keys of `root` have signed the document.
std::size_t SignersOf(const wire::Root& root, const wire::SignedDocument& document) {
  const model::Sha256 digest = wire::DomainDigest(wire::kDomainRoot, document.bytes);
  const auto& ids = root.roles.at(std::string(wire::kRoleRoot)).key_ids;
  return static_cast<std::size_t>(std::ranges::count_if(ids, [&](const model::Sha256& id) {
    return std::ranges::any_of(document.signatures, [&](const wire::KeySignature& signature) {
      return signature.key_id == id && root.keys.at(id).Verify(digest, signature.signature);
    });
  }));
}

std::uint32_t SignersNeeded(const wire::Root& root) {
  return root.roles.at(std::string(wire::kRoleRoot)).threshold;
}

std::string SignersLine(const wire::Root& root, const wire::SignedDocument& document) {
  return std::to_string(SignersOf(root, document)) + " of the " +
         std::to_string(SignersNeeded(root)) + " root keys that root " +
         std::to_string(root.version) + " asks for";
}

base::Result<ExitCode> Sign(Context& context, const Arguments& arguments) {
  const std::string& path = arguments.Positional(0);
  WM_ASSIGN_OR_RETURN(const wire::Root before, ReadTrustedRoot(arguments.Value("root")));
  WM_ASSIGN_OR_RETURN(wire::SignedDocument document, ReadRootFile(path));
  WM_ASSIGN_OR_RETURN(const wire::Root root, wire::ParseRoot(document.bytes));
  if (root.fleet_id != before.fleet_id || root.version != before.version + 1) {
    return base::FailedPrecondition(path + " is root " + std::to_string(root.version) +
                                    " of the fleet " + root.fleet_id + ", which does not follow " +
                                    arguments.Value("root"));
  }
  WM_ASSIGN_OR_RETURN(const openssl::PrivateKey key,
                      openssl::PrivateKey::FromFile(arguments.Value("key")));
  if (base::Status of_new = CheckRole(root, wire::kRoleRoot, key.public_key());
      !of_new.has_value() && !CheckRole(before, wire::kRoleRoot, key.public_key()).has_value()) {
    return std::move(of_new).error();
  }
  WM_RETURN_IF_ERROR(wire::Sign(document, wire::kDomainRoot, key));
  WM_RETURN_IF_ERROR(posix::ReplaceFile(path, Serialised(document), kPublicMode));
  const bool whole = wire::VerifyNextRoot(before, document).has_value();
  if (arguments.Has("json")) {
    return PrintObject(context, {{"version", Cell::Number(root.version)},
                                 {"fleet_id", Cell::Text(root.fleet_id)},
                                 {"signers_before", Cell::Number(SignersOf(before, document))},
                                 {"needed_before", Cell::Number(SignersNeeded(before))},
                                 {"signers", Cell::Number(SignersOf(root, document))},
                                 {"needed", Cell::Number(SignersNeeded(root))},
                                 {"whole", Cell::Flag(whole)},
                                 {"file", Cell::Text(path)}});
  }
  context.out << "Signed root " << root.version << ": " << SignersLine(before, document) << ", "
              << SignersLine(root, document) << ".\n"
              << (whole ? "It is whole: weighmaster-server adopt-root --data FOLDER --root " +
                              base::EscapeForDisplay(path)
                        : std::string("It is not whole yet; another key is to sign it"))
              << "\n";
  return ExitCode::kOk;
}

// One key of one role.
struct RoleKey {
  std::string role;
  std::uint32_t threshold = 1;
  std::size_t keys = 1;
  std::string key_id;
};

Columns<RoleKey> RoleColumns() {
  return {
      {{"role", "ROLE"}, [](const RoleKey& row) { return Cell::Text(row.role); }},
      {{"threshold", "NEEDED", Align::kRight},
       [](const RoleKey& row) { return Cell::Number(row.threshold); }},
      {{"keys", "OF", Align::kRight}, [](const RoleKey& row) { return Cell::Number(row.keys); }},
      {{"key_id", "KEY"}, [](const RoleKey& row) { return Cell::Text(row.key_id); }},
  };
}

// The server's newest, or that of a file, signed or not.
base::Result<wire::SignedDocument> FindRoot(const Context& context, const Arguments& arguments) {
  if (!arguments.Positional(0).empty()) return ReadRootFile(arguments.Positional(0));
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::GetFleetResponse fleet;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).GetFleet({}, fleet));
  return wire::FromProto(fleet.root());
}

base::Result<ExitCode> Show(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  WM_ASSIGN_OR_RETURN(const wire::SignedDocument document, FindRoot(context, arguments));
  WM_ASSIGN_OR_RETURN(const wire::Root root, wire::ParseRoot(document.bytes));
  if (arguments.Has("out")) {
    WM_RETURN_IF_ERROR(
        posix::WriteNewFile(arguments.Value("out"), Serialised(document), kPublicMode));
  }
  Sheet<RoleKey> sheet(context.out, form, RoleColumns());
  for (const auto& [name, role] : root.roles) {
    for (const model::Sha256& id : role.key_ids) {
      sheet.Add({name, role.threshold, role.key_ids.size(), id.ToHex()});
    }
  }
  sheet.End("Root " + std::to_string(root.version) + " of the fleet " + root.fleet_id +
            ", good until " + base::FormatWallTime(root.expires) + ", signed by " +
            SignersLine(root, document) + ".");
  return ExitCode::kOk;
}

base::Result<ExitCode> NewKey(Context& context, const Arguments& arguments) {
  const std::string& path = arguments.Positional(0);
  WM_ASSIGN_OR_RETURN(const openssl::PrivateKey key, openssl::PrivateKey::Generate());
  WM_RETURN_IF_ERROR(key.WriteNewFile(path));
  WM_RETURN_IF_ERROR(posix::WriteNewFile(path + ".pub", key.public_key().ToPem(), kPublicMode));
  if (arguments.Has("json")) {
    return PrintObject(context, {{"key_id", Cell::Text(key.public_key().id().ToHex())},
                                 {"file", Cell::Text(path)},
                                 {"public_file", Cell::Text(path + ".pub")}});
  }
  const std::string shown = base::EscapeForDisplay(path);
  context.out << "Wrote the private key to " << shown << " and its public part, which others may "
              << "have, to " << shown << ".pub.\nIts id: " << key.public_key().id().ToHex() << "\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> ShowKey(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const openssl::PublicKey key, ReadPublicKey(arguments.Positional(0)));
  if (arguments.Has("json")) {
    return PrintObject(context, {{"key_id", Cell::Text(key.id().ToHex())}});
  }
  context.out << key.id().ToHex() << "\n";
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> RootCommands() {
  return {
      {"root show",
       "prints whom the fleet's root of trust trusts with what",
       {"[FILE]"},
       WithFormOptions({{"out", "FILE", "also writes the root document there"}}),
       Show},
      {"root next",
       "writes the root document that is to follow one, for root keys to sign",
       {"ROOT"},
       WithJsonOption({{"out", "FILE", "where it goes", true},
                       {"add", "ROLE=FILE,…", "the public key of a file gets a role"},
                       {"remove", "ROLE=ID,…", "a key loses a role"},
                       {"threshold", "ROLE=N,…", "so many keys of a role have to sign"},
                       {"valid-for", "TIME", "when it expires: 365d (3650d)"}}),
       Next},
      {"root sign",
       "signs the next root document with a root key of it or of the one before",
       {"FILE"},
       WithJsonOption({{"root", "FILE", "the root document before it", true},
                       {"key", "FILE", "a private key of the role \"root\", PEM", true}}),
       Sign},
      {"key new",
       "makes a key pair: FILE, which is a secret, and FILE.pub",
       {"FILE"},
       WithJsonOption({}),
       NewKey},
      {"key show", "prints the id of a key", {"FILE"}, WithJsonOption({}), ShowKey},
  };
}

}  // namespace weighmaster::server::ctl
