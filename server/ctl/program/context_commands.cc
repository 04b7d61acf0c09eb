#include "server/ctl/program/context_commands.h"

#include <string>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "server/ctl/listing.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

using report::Cell;

constexpr std::size_t kMaxSecretFileBytes = 64 * 1024;

std::string WithoutBlanks(std::string text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// What the options say, once the server has said that it is so.
base::Result<Profile> ReadLogin(const Arguments& arguments) {
  Profile profile;
  profile.address = arguments.Value("server");
  WM_ASSIGN_OR_RETURN(profile.ca_pem,
                      posix::ReadFile(arguments.Value("ca-file"), base::limits::kMaxCaFileBytes));
  WM_ASSIGN_OR_RETURN(std::string token,
                      posix::ReadFile(arguments.Value("token-file"), kMaxSecretFileBytes));
  profile.token = WithoutBlanks(std::move(token));
  v1::GetFleetResponse fleet;
  WM_RETURN_IF_ERROR(AdminClient(profile).GetFleet({}, fleet));
  profile.fleet_id = fleet.fleet_id();
  return profile;
}

Members LoginMembers(const std::string& name, const Profile& profile) {
  return {{"context", Cell::Text(name)},
          {"server", Cell::Text(profile.address)},
          {"fleet_id", Cell::Text(profile.fleet_id)}};
}

base::Result<ExitCode> Login(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const Profile profile, ReadLogin(arguments));
  WM_ASSIGN_OR_RETURN(const std::string name, SaveProfile(context.profile, profile));
  if (arguments.Has("json")) return PrintObject(context, LoginMembers(name, profile));
  context.out << "Logged in to " << profile.address << ", fleet "
              << base::EscapeForDisplay(profile.fleet_id) << ". Kept in " << context.profile.path
              << " as the context " << name << ".\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Add(Context& context, const Arguments& arguments) {
  const std::string& name = arguments.Positional(0);
  WM_RETURN_IF_ERROR(CheckContextName(name));
  WM_ASSIGN_OR_RETURN(const Contexts contexts, LoadContexts(context.profile.path));
  if (contexts.profiles.contains(name)) {
    return base::AlreadyExists("there is a context \"" + name + "\" already; \"weighctl login " +
                               "--context " + name + " …\" replaces it");
  }
  WM_ASSIGN_OR_RETURN(const Profile profile, ReadLogin(arguments));
  WM_RETURN_IF_ERROR(SaveProfile({context.profile.path, name}, profile));
  if (arguments.Has("json")) return PrintObject(context, LoginMembers(name, profile));
  context.out << "Added " << name << ": " << profile.address << ", fleet "
              << base::EscapeForDisplay(profile.fleet_id) << ".\n";
  return ExitCode::kOk;
}

struct NamedProfile {
  std::string name;
  Profile profile;
};

base::Result<ExitCode> List(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  WM_ASSIGN_OR_RETURN(const Contexts contexts, LoadContexts(context.profile.path));
  const std::string& chosen =
      context.profile.context.empty() ? contexts.in_use : context.profile.context;
  Sheet<NamedProfile> sheet(
      context.out, form,
      {
          {{"context", "CONTEXT"}, [](const auto& row) { return Cell::Text(row.name); }},
          {{"in_use", "IN USE"},
           [&](const auto& row) {
             const bool in_use = row.name == chosen;
             return Cell::Flag(in_use).ShownAs(in_use ? "yes" : "");
           }},
          {{"server", "SERVER"}, [](const auto& row) { return Cell::Text(row.profile.address); }},
          {{"fleet_id", "FLEET"}, [](const auto& row) { return Cell::Text(row.profile.fleet_id); }},
      });
  for (const auto& [name, profile] : contexts.profiles) sheet.Add({name, profile});
  sheet.End(std::to_string(sheet.added()) + " contexts.");
  return ExitCode::kOk;
}

base::Result<ExitCode> Use(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Contexts contexts, LoadContexts(context.profile.path));
  contexts.in_use = arguments.Positional(0);
  WM_ASSIGN_OR_RETURN(const Profile profile, FindProfile(contexts, contexts.in_use));
  WM_RETURN_IF_ERROR(SaveContexts(context.profile.path, contexts));
  if (arguments.Has("json")) return PrintObject(context, LoginMembers(contexts.in_use, profile));
  context.out << "Using " << contexts.in_use << ": " << profile.address << ".\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Remove(Context& context, const Arguments& arguments) {
  const std::string& name = arguments.Positional(0);
  WM_ASSIGN_OR_RETURN(Contexts contexts, LoadContexts(context.profile.path));
  WM_ASSIGN_OR_RETURN(const Profile profile, FindProfile(contexts, name));
  contexts.profiles.erase(name);
  const bool was_in_use = contexts.in_use == name;
  if (was_in_use) contexts.in_use.clear();
  WM_RETURN_IF_ERROR(SaveContexts(context.profile.path, contexts));
  if (arguments.Has("json")) {
    Members members = LoginMembers(name, profile);
    const Member more{"was_in_use", Cell::Flag(was_in_use)};
    members.push_back(more);
    return PrintObject(context, members);
  }
  context.out << "Removed " << name << (was_in_use ? "; no context is in use now" : "")
              << ". The server still takes its token, until that expires or is revoked.\n";
  return ExitCode::kOk;
}

std::vector<Arguments::Option> LoginOptions() {
  return WithJsonOption(
      {{"server", "HOST:PORT", "the server's address, as in its certificate", true},
       {"ca-file", "FILE", "the CA that \"weighmaster-server init\" wrote (ca.pem)", true},
       {"token-file", "FILE", "the administrator's token; - is standard input", true}});
}

}  // namespace

std::vector<Command> ContextCommands() {
  return {
      {"login",
       "keeps the server's address, its CA and an administrator's token",
       {},
       LoginOptions(),
       Login},
      {"context add", "keeps a login under a name of its own", {"NAME"}, LoginOptions(), Add},
      {"context list", "lists the logins that are kept", {}, WithFormOptions({}), List},
      {"context use", "makes another login the one in use", {"CONTEXT"}, WithJsonOption({}), Use},
      {"context remove", "forgets a login", {"CONTEXT"}, WithJsonOption({}), Remove},
  };
}

}  // namespace weighmaster::server::ctl
