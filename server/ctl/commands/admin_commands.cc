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

using report::Cell;

constexpr std::string_view kRolePrefix = "ADMIN_ROLE_";
constexpr std::string_view kPermissionPrefix = "PERMISSION_";

base::Result<v1::AdminRole> ParseRole(const std::string& word) {
  std::string name(kRolePrefix);
  for (const char c : word) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  v1::AdminRole role = v1::ADMIN_ROLE_UNSPECIFIED;
  if (v1::AdminRole_Parse(name, &role) && role != v1::ADMIN_ROLE_UNSPECIFIED) return role;
  return base::InvalidArgument("--role is viewer, responder, policy_author or admin");
}

std::string RoleCell(v1::AdminRole role) { return EnumWord(v1::AdminRole_Name(role), kRolePrefix); }

base::Result<ExitCode> Create(Context& context, const Arguments& arguments) {
  v1::CreateAdminTokenRequest request;
  request.set_name(arguments.Value("name"));
  WM_ASSIGN_OR_RETURN(const v1::AdminRole role, ParseRole(arguments.Value("role")));
  request.set_role(role);
  request.set_scope(arguments.Value("scope"));
  WM_ASSIGN_OR_RETURN(const base::Duration valid_for,
                      arguments.Duration("valid-for", std::chrono::hours(24 * 90)));
  request.set_valid_for_ms(
      std::chrono::duration_cast<std::chrono::milliseconds>(valid_for).count());
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::CreateAdminTokenResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).CreateAdminToken(request, response));
  const v1::AdminToken& made = response.admin_token();
  if (arguments.Has("json")) {
    return PrintObject(context, {{"token", Cell::Text(response.token())},
                                 {"token_id", Cell::Text(made.token_id())},
                                 {"role", Cell::Text(RoleCell(made.role()))},
                                 {"scope", Cell::Text(made.scope())},
                                 {"expires_time", TimeOf(made.expires_time_us())}});
  }
  // The token alone goes to standard output, so that it can be piped into a file.
  context.out << response.token() << "\n";
  context.err << "The token " << made.token_id() << " of the role " << RoleCell(made.role())
              << (made.scope().empty() ? "" : ", for " + made.scope()) << ", until "
              << TimeCell(made.expires_time_us())
              << ". It is a secret, and the server does not show it again.\n";
  return ExitCode::kOk;
}

std::string StateCell(const v1::AdminToken& token, base::WallTime now) {
  if (token.revoked_time_us() != 0) return "revoked";
  const bool expired =
      token.expires_time_us() != 0 && token.expires_time_us() <= base::ToMicroseconds(now);
  return expired ? "expired" : "good";
}

Columns<v1::AdminToken> TokenColumns(base::WallTime now) {
  using Token = v1::AdminToken;
  return {
      {{"token_id", "TOKEN"}, [](const Token& token) { return Cell::Text(token.token_id()); }},
      {{"name", "NAME"}, [](const Token& token) { return Cell::Text(token.name()); }},
      {{"role", "ROLE"}, [](const Token& token) { return Cell::Text(RoleCell(token.role())); }},
      {{"scope", "SCOPE"}, [](const Token& token) { return Cell::Text(token.scope()); }},
      {{"state", "STATE"}, [now](const Token& token) { return Cell::Text(StateCell(token, now)); }},
      {{"created_time", "MADE"},
       [](const Token& token) { return TimeOf(token.created_time_us()); }},
      {{"created_by_token_id", ""},
       [](const Token& token) { return Cell::Text(token.created_by_token_id()); }},
      {{"expires_time", "EXPIRES"},
       [](const Token& token) { return TimeOf(token.expires_time_us()); }},
      {{"revoked_time", ""}, [](const Token& token) { return TimeOf(token.revoked_time_us()); }},
  };
}

base::Result<ExitCode> List(Context& context, const Arguments& arguments) {
  return PrintList(
      context, arguments, v1::ListAdminTokensRequest(), &AdminClient::ListAdminTokens,
      [](const auto& page) -> const auto& { return page.admin_tokens(); },
      TokenColumns(context.clock.Now()), "tokens");
}

base::Result<ExitCode> Revoke(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::RevokeAdminTokenRequest request;
  request.set_token_id(arguments.Positional(0));
  v1::RevokeAdminTokenResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).RevokeAdminToken(request, response));
  if (arguments.Has("json")) {
    return PrintObject(context, {{"token_id", Cell::Text(arguments.Positional(0))}});
  }
  context.out << "Revoked the token " << arguments.Positional(0) << ".\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> WhoAmI(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::WhoAmIResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).WhoAmI({}, response));
  std::vector<std::string> permissions;
  std::string may = "May:";
  for (int i = 0; i < response.permissions_size(); ++i) {
    permissions.push_back(
        EnumWord(v1::Permission_Name(response.permissions(i)), kPermissionPrefix));
    may += " " + permissions.back();
  }
  Columns<v1::AdminToken> columns = {
      {{"token_id", "TOKEN"}, [](const auto& token) { return Cell::Text(token.token_id()); }},
      {{"name", "NAME"}, [](const auto& token) { return Cell::Text(token.name()); }},
      {{"role", "ROLE"}, [](const auto& token) { return Cell::Text(RoleCell(token.role())); }},
      {{"scope", "SCOPE"}, [](const auto& token) { return Cell::Text(token.scope()); }},
      {{"expires_time", "EXPIRES"},
       [](const auto& token) { return TimeOf(token.expires_time_us()); }},
      {{"permissions", ""}, [&](const auto&) { return Cell::Words(permissions); }},
  };
  return PrintThing(context, arguments, response.admin_token(), std::move(columns), may);
}

}  // namespace

std::vector<Command> AdminCommands() {
  return {
      {"whoami",
       "says whose token you are logged in with, and what it may do",
       {},
       WithFormOptions({}),
       WhoAmI},
      {"admin-tokens create",
       "makes an administrator's token and prints it once",
       {},
       WithJsonOption({{"name", "NAME", "whose it is, or what for", true},
                       {"role", "ROLE", "viewer, responder, policy_author or admin", true},
                       {"scope", "LABELS", "which endpoints it may see: site=berlin,team=ml (all)"},
                       {"valid-for", "TIME", "how long it is good for: 36h, 90d (90d)"}}),
       Create},
      {"admin-tokens list",
       "lists administrators' tokens",
       {},
       WithListOptions({}),
       List,
       &query::AdminTokens()},
      {"admin-tokens revoke",
       "refuses an administrator's token from now on",
       {"TOKEN"},
       WithJsonOption({}),
       Revoke},
  };
}

}  // namespace weighmaster::server::ctl
