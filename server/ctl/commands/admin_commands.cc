#include <algorithm>
#include <cctype>
#include <chrono>
#include <string>
#include <utility>

#include "policy/report/table.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/listing.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

constexpr std::string_view kRolePrefix = "ADMIN_ROLE_";
constexpr std::string_view kPermissionPrefix = "PERMISSION_";

// "ADMIN_ROLE_POLICY_AUTHOR" to "policy_author".
std::string Word(const std::string& name, std::string_view prefix) {
  std::string word = name.substr(std::min(prefix.size(), name.size()));
  std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::tolower(c); });
  return word;
}

base::Result<v1::AdminRole> ParseRole(const std::string& word) {
  std::string name(kRolePrefix);
  for (const char c : word) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  v1::AdminRole role = v1::ADMIN_ROLE_UNSPECIFIED;
  if (v1::AdminRole_Parse(name, &role) && role != v1::ADMIN_ROLE_UNSPECIFIED) return role;
  return base::InvalidArgument("--role is viewer, responder, policy_author or admin");
}

std::string RoleCell(v1::AdminRole role) { return Word(v1::AdminRole_Name(role), kRolePrefix); }

base::Result<ExitCode> Create(Context& context, const Arguments& arguments) {
  v1::CreateAdminTokenRequest request;
  if (!arguments.Has("name")) return base::InvalidArgument("--name is missing");
  request.set_name(arguments.Value("name"));
  WM_ASSIGN_OR_RETURN(const v1::AdminRole role, ParseRole(arguments.Value("role")));
  request.set_role(role);
  request.set_scope(arguments.Value("scope"));
  WM_ASSIGN_OR_RETURN(const base::Duration valid_for,
                      arguments.Duration("valid-for", std::chrono::hours(24 * 90)));
  request.set_valid_for_ms(
      std::chrono::duration_cast<std::chrono::milliseconds>(valid_for).count());
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  v1::CreateAdminTokenResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).CreateAdminToken(request, response));
  // The token alone goes to standard output, so that it can be piped into a file.
  context.out << response.token() << "\n";
  context.err << "The token " << response.admin_token().token_id() << " of the role "
              << RoleCell(response.admin_token().role()) << ", until "
              << TimeCell(response.admin_token().expires_time_us())
              << ". It is a secret, and the server does not show it again.\n";
  return ExitCode::kOk;
}

std::string StateCell(const v1::AdminToken& token, base::WallTime now) {
  if (token.revoked_time_us() != 0) return "revoked";
  const bool expired =
      token.expires_time_us() != 0 && token.expires_time_us() <= base::ToMicroseconds(now);
  return expired ? "expired" : "good";
}

base::Result<ExitCode> List(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  AdminClient client(std::move(profile));
  report::Table table({{"TOKEN"}, {"NAME"}, {"ROLE"}, {"STATE"}, {"MADE"}, {"EXPIRES"}});
  std::uint64_t shown = 0;
  const auto tell = [&](const v1::ListAdminTokensResponse& page) -> base::Result<std::uint64_t> {
    for (const v1::AdminToken& token : page.admin_tokens()) {
      table.AddRow({token.token_id(), token.name(), RoleCell(token.role()),
                    StateCell(token, context.clock.Now()), TimeCell(token.created_time_us()),
                    TimeCell(token.expires_time_us())});
    }
    const auto rows = static_cast<std::uint64_t>(page.admin_tokens_size());
    shown += rows;
    return rows;
  };
  WM_ASSIGN_OR_RETURN(const v1::ListAdminTokensResponse last,
                      ForEachPage(client, arguments, v1::ListAdminTokensRequest(),
                                  &AdminClient::ListAdminTokens, tell));
  context.out << table.ToString() << "\n"
              << TotalLine(shown, last.total(), last.total_is_least(), "tokens") << "\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Revoke(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  v1::RevokeAdminTokenRequest request;
  request.set_token_id(arguments.Positional(0));
  v1::RevokeAdminTokenResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).RevokeAdminToken(request, response));
  context.out << "Revoked the token " << arguments.Positional(0) << ".\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> WhoAmI(Context& context, const Arguments&) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  v1::WhoAmIResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).WhoAmI({}, response));
  const v1::AdminToken& token = response.admin_token();
  report::Table table({{"TOKEN"}, {"NAME"}, {"ROLE"}, {"EXPIRES"}});
  table.AddRow(
      {token.token_id(), token.name(), RoleCell(token.role()), TimeCell(token.expires_time_us())});
  context.out << table.ToString() << "\nMay:";
  for (int i = 0; i < response.permissions_size(); ++i) {
    context.out << " " << Word(v1::Permission_Name(response.permissions(i)), kPermissionPrefix);
  }
  context.out << "\n";
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> AdminCommands() {
  return {
      {"whoami", "says whose token you are logged in with, and what it may do", {}, {}, WhoAmI},
      {"admin-tokens create",
       "makes an administrator's token and prints it once",
       {},
       {{"name", "NAME", "whose it is, or what for"},
        {"role", "ROLE", "viewer, responder, policy_author or admin"},
        {"scope", "LABELS", "must be empty today"},
        {"valid-for", "TIME", "how long it is good for: 36h, 90d (90d)"}},
       Create},
      {"admin-tokens list", "lists administrators' tokens", {}, WithListOptions({}), List},
      {"admin-tokens revoke",
       "refuses an administrator's token from now on",
       {"TOKEN"},
       {},
       Revoke},
  };
}

}  // namespace weighmaster::server::ctl
