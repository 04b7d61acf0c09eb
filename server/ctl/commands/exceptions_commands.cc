#include <algorithm>
#include <string>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "policy/lang/document.h"
#include "proto/wire/exceptions.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/listing.h"
#include "server/ctl/trust/root_files.h"
#include "third_party/openssl/key.h"
#include "third_party/openssl/random.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/admin.pb.h"
#include "weighmaster/v1/exceptions.pb.h"

namespace weighmaster::server::ctl {
namespace {

using report::Cell;

constexpr std::string_view kFleetScope = "fleet";
// Of a digest in a table.
constexpr std::size_t kShownDigits = 12;

// The set that is to be published next: what holds now, of the scope that was asked for.
struct NextSet {
  Profile profile;
  model::ExceptionSet set;
};

// Whoever signs answers for all of the set, so nothing is carried over that only the server vouches
// for: it must be signed by this very key, or trusted by a root that the person has.
base::Status CheckCarriedOver(const wire::SignedDocument& document, const openssl::PrivateKey& key,
                              const std::string& root_path) {
  if (!root_path.empty()) {
    WM_ASSIGN_OR_RETURN(const wire::Root root, ReadTrustedRoot(root_path));
    WM_RETURN_IF_ERROR(wire::VerifyExceptions(document, root));
    return {};
  }
  const model::Sha256 digest = wire::DomainDigest(wire::kDomainExceptions, document.bytes);
  const openssl::PublicKey& own = key.public_key();
  const bool is_ours = std::ranges::any_of(document.signatures, [&](const auto& signature) {
    return signature.key_id == own.id() && own.Verify(digest, signature.signature);
  });
  if (is_ours) return {};
  return base::FailedPrecondition(
      "the exceptions that hold now were not signed by this key; look at them with \"exceptions "
      "list\" and give the root document that you trust: --root FILE");
}

base::Result<NextSet> ReadNext(Context& context, const std::string& scope,
                               const openssl::PrivateKey& key, const std::string& root_path) {
  NextSet next;
  if (scope != kFleetScope) {
    WM_ASSIGN_OR_RETURN(next.set.endpoint, model::ParseId(scope));
  }
  WM_ASSIGN_OR_RETURN(next.profile, LoadProfile(context.profile));
  AdminClient client(next.profile);
  v1::GetFleetResponse fleet;
  WM_RETURN_IF_ERROR(client.GetFleet({}, fleet));
  v1::GetExceptionSetRequest request;
  if (next.set.endpoint) request.set_endpoint_id(scope);
  v1::PublishedExceptionSet newest;
  const base::Status got = client.GetExceptionSet(request, newest);
  if (got.has_value()) {
    WM_ASSIGN_OR_RETURN(const wire::SignedDocument document,
                        wire::FromProto(newest.signed_exceptions()));
    WM_RETURN_IF_ERROR(CheckCarriedOver(document, key, root_path));
    const auto endpoint = next.set.endpoint;
    WM_ASSIGN_OR_RETURN(next.set, wire::ParseExceptions(document.bytes));
    if (next.set.endpoint != endpoint) {
      return base::DataLoss("the server answered with the exceptions of another scope");
    }
  } else if (got.error().code() != base::ErrorCode::kNotFound) {
    return got.error();
  }
  next.set.fleet_id = fleet.fleet_id();
  next.set.issued = context.clock.Now();
  ++next.set.version;
  std::erase_if(next.set.exceptions, [&](const model::Exception& exception) {
    return exception.expires <= next.set.issued;
  });
  return next;
}

base::Result<v1::PublishExceptionsResponse> SignAndPublish(NextSet next,
                                                           const openssl::PrivateKey& key) {
  wire::SignedDocument document;
  document.bytes = wire::SerialiseExceptions(next.set);
  WM_RETURN_IF_ERROR(wire::ParseExceptions(document.bytes));
  WM_RETURN_IF_ERROR(wire::Sign(document, wire::kDomainExceptions, key));
  v1::PublishExceptionsRequest request;
  wire::ToProto(document, *request.mutable_signed_exceptions());
  v1::PublishExceptionsResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(next.profile)).PublishExceptions(request, response));
  return response;
}

base::Result<model::Exception> ReadException(const Arguments& arguments, base::WallTime now) {
  model::Exception exception;
  exception.of_weights = arguments.Has("weights");
  if (arguments.Has("sha256") == exception.of_weights) {
    return base::InvalidArgument("name one file by --sha256, or its weights by --weights");
  }
  WM_ASSIGN_OR_RETURN(
      exception.digest,
      model::ParseSha256(arguments.Value(exception.of_weights ? "weights" : "sha256")));
  exception.user = arguments.Value("user");
  exception.overrides = arguments.Value("overrides");
  exception.reason = arguments.Value("reason");
  if (exception.overrides.empty() || exception.reason.empty()) {
    return base::InvalidArgument(
        "say with --overrides what is overridden (the rule that \"why\" or the inventory names, "
        "denied or default), and with --reason why");
  }
  if (exception.overrides == "blocked") {
    return base::InvalidArgument("nothing overrides the blocked list; publish a policy without it");
  }
  WM_ASSIGN_OR_RETURN(const base::Duration valid_for,
                      arguments.Duration("for", std::chrono::hours(24)));
  exception.expires = now + valid_for;
  openssl::SystemRandom random;
  random.Fill(exception.id.bytes);
  return exception;
}

// Whose exceptions: an endpoint's, or the fleet's, which are for one user.
base::Result<std::string> ReadScope(const Arguments& arguments) {
  if (arguments.Has("endpoint")) return arguments.Value("endpoint");
  if (arguments.Has("user")) return std::string(kFleetScope);
  return base::InvalidArgument("say who may: --endpoint ID, or --user NAME on every endpoint");
}

// FAILED_PRECONDITION where the newest policy has nothing that the exception could override: it
// would change nothing, and look as if it did. Rules are read without the document's list files,
// which they don't need. What the server says is enough for a warning; endpoints judge by what was
// signed.
base::Status CheckOverrides(AdminClient& client, const std::string& overrides, base::WallTime now) {
  if (overrides == "denied" || overrides == "default") return {};
  v1::GetPolicyResponse policy;
  const base::Status got = client.GetPolicy({}, policy);
  if (!got.has_value() && got.error().code() == base::ErrorCode::kNotFound) {
    return base::FailedPrecondition("no policy is published, so no rule \"" + overrides +
                                    "\" can be overridden");
  }
  WM_RETURN_IF_ERROR(got);
  const lang::Reading reading = lang::ReadDocument(
      "policy", policy.document(),
      [](const std::string&) -> base::Result<std::string> { return std::string(); }, now);
  const auto& rules = reading.document.rules;
  if (std::ranges::any_of(rules, [&](const auto& rule) { return rule.rule.id == overrides; })) {
    return {};
  }
  std::string ids;
  for (const lang::DocumentRule& rule : rules) ids += (ids.empty() ? "" : ", ") + rule.rule.id;
  return base::FailedPrecondition("version " + std::to_string(policy.version()) +
                                  ", the newest policy, has no rule \"" + overrides +
                                  "\"; it has " + (ids.empty() ? "none" : ids));
}

// Whose they are; nothing is the fleet's.
Cell ScopeCell(const Arguments& arguments) {
  const std::string scope = arguments.Value("endpoint", kFleetScope);
  return scope == kFleetScope ? Cell::Nothing() : Cell::Text(scope);
}

// The keys are those of the list, and then what became of the set.
Members GrantedMembers(Cell scope, const model::Exception& exception,
                       const v1::PublishExceptionsResponse& published) {
  const Cell digest = Cell::Text(exception.digest.ToHex());
  return {{"endpoint_id", std::move(scope)},
          {"exception_id", Cell::Text(exception.id.ToHex())},
          {"sha256", exception.of_weights ? Cell::Nothing() : digest},
          {"weights_digest", exception.of_weights ? digest : Cell::Nothing()},
          {"user", Cell::Text(exception.user)},
          {"overrides", Cell::Text(exception.overrides)},
          {"expires_time", TimeOf(base::ToMicroseconds(exception.expires))},
          {"reason", Cell::Text(exception.reason)},
          {"version", Cell::Number(published.version())},
          {"endpoints_offered", Cell::Number(published.endpoints_offered())}};
}

base::Result<ExitCode> Grant(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const std::string scope, ReadScope(arguments));
  WM_ASSIGN_OR_RETURN(model::Exception exception, ReadException(arguments, context.clock.Now()));
  WM_ASSIGN_OR_RETURN(const openssl::PrivateKey key,
                      openssl::PrivateKey::FromFile(arguments.Value("key")));
  WM_ASSIGN_OR_RETURN(NextSet next, ReadNext(context, scope, key, arguments.Value("root")));
  AdminClient client(next.profile);
  const base::Status known = CheckOverrides(client, exception.overrides, context.clock.Now());
  if (!known.has_value()) {
    const base::Error& error = known.error();
    if (error.code() != base::ErrorCode::kFailedPrecondition) return error;
    if (!arguments.Has("force")) {
      return base::FailedPrecondition(error.message() + "; --force grants it all the same");
    }
    context.err << "weighctl: warning: " << base::EscapeForDisplay(error.message()) << "\n";
  }
  next.set.exceptions.push_back(exception);
  WM_ASSIGN_OR_RETURN(const v1::PublishExceptionsResponse published,
                      SignAndPublish(std::move(next), key));
  if (arguments.Has("json")) {
    return PrintObject(context, GrantedMembers(ScopeCell(arguments), exception, published));
  }
  context.out << exception.id.ToHex() << "\n";
  context.err << "Granted until " << TimeCell(base::ToMicroseconds(exception.expires))
              << "; sent to " << published.endpoints_offered() << " connected endpoints.\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Revoke(Context& context, const Arguments& arguments) {
  const std::string scope = arguments.Value("endpoint", kFleetScope);
  WM_ASSIGN_OR_RETURN(const model::Id id, model::ParseId(arguments.Positional(0)));
  WM_ASSIGN_OR_RETURN(const openssl::PrivateKey key,
                      openssl::PrivateKey::FromFile(arguments.Value("key")));
  WM_ASSIGN_OR_RETURN(NextSet next, ReadNext(context, scope, key, arguments.Value("root")));
  const auto taken = std::erase_if(
      next.set.exceptions, [&](const model::Exception& exception) { return exception.id == id; });
  if (taken == 0) {
    return base::NotFound(
        "there is no such exception, or it has ended; an endpoint's are asked "
        "for with --endpoint");
  }
  WM_ASSIGN_OR_RETURN(const v1::PublishExceptionsResponse published,
                      SignAndPublish(std::move(next), key));
  if (arguments.Has("json")) {
    return PrintObject(context,
                       {{"endpoint_id", ScopeCell(arguments)},
                        {"exception_id", Cell::Text(id.ToHex())},
                        {"version", Cell::Number(published.version())},
                        {"endpoints_offered", Cell::Number(published.endpoints_offered())}});
  }
  context.out << "Withdrawn; sent to " << published.endpoints_offered()
              << " connected endpoints.\n";
  return ExitCode::kOk;
}

std::string DigestCell(const v1::GrantedException& exception) {
  if (exception.weights_digest().empty()) return exception.sha256().substr(0, kShownDigits);
  return "weights:" + exception.weights_digest().substr(0, kShownDigits);
}

Columns<v1::GrantedException> GrantedColumns() {
  using Granted = v1::GrantedException;
  return {
      {{"endpoint_id", "ENDPOINT"},
       [](const Granted& row) {
         if (!row.endpoint_id().empty()) return Cell::Text(row.endpoint_id());
         return Cell::Nothing().ShownAs(std::string(kFleetScope));
       }},
      {{"exception_id", "EXCEPTION"},
       [](const Granted& row) { return Cell::Text(row.exception_id()); }},
      {{"sha256", "DIGEST"},
       [](const Granted& row) { return Cell::Text(row.sha256()).ShownAs(DigestCell(row)); }},
      {{"weights_digest", ""}, [](const Granted& row) { return Cell::Text(row.weights_digest()); }},
      {{"user", "USER"}, [](const Granted& row) { return Cell::Text(row.user()); }},
      {{"overrides", "OVERRIDES"}, [](const Granted& row) { return Cell::Text(row.overrides()); }},
      {{"expires_time", "UNTIL"}, [](const Granted& row) { return TimeOf(row.expires_time_us()); }},
      {{"reason", "REASON"}, [](const Granted& row) { return Cell::Text(row.reason()); }},
      {{"version", ""}, [](const Granted& row) { return Cell::Number(row.version()); }},
      {{"granted_time", "GRANTED"},
       [](const Granted& row) { return TimeOf(row.granted_time_us()); }},
      {{"granted_by", "GRANTED BY"},
       [](const Granted& row) { return Cell::Text(row.granted_by()); }},
      {{"withdrawn_time", "WITHDRAWN"},
       [](const Granted& row) { return TimeOf(row.withdrawn_time_us()); }},
  };
}

base::Result<ExitCode> List(Context& context, const Arguments& arguments) {
  v1::ListExceptionsRequest request;
  if (const std::string scope = arguments.Value("endpoint"); !scope.empty()) {
    if (scope != kFleetScope) WM_RETURN_IF_ERROR(model::ParseId(scope));
    request.set_filter(scope == kFleetScope ? "NOT endpoint_id:*" : "endpoint_id = " + scope);
  }
  request.set_include_ended(arguments.Has("all"));
  return PrintList<v1::GrantedException>(
      context, arguments, std::move(request), &AdminClient::ListExceptions,
      [](const v1::ListExceptionsResponse& page) -> auto& { return page.exceptions(); },
      GrantedColumns(), "exceptions");
}

}  // namespace

std::vector<Command> ExceptionsCommands() {
  return {
      {"exceptions grant",
       "takes one file out of the reach of what it names, on an endpoint or for a user",
       {},
       WithJsonOption(
           {{"endpoint", "ID", "on this endpoint"},
            {"user", "NAME", "only files of this user; without --endpoint, on every endpoint"},
            {"sha256", "DIGEST", "the file"},
            {"weights", "DIGEST", "every packing of these weights, instead of --sha256"},
            {"overrides", "RULE", "the rule, denied or default", true},
            {"force", "", "also when the newest policy has no such rule"},
            {"for", "TIME", "how long, at most 30d (24h)"},
            {"reason", "TEXT", "why; the person at the endpoint reads it", true},
            {"key", "FILE", "a private key of the role \"exceptions\", PEM", true},
            {"root", "FILE", "the root that vouches for exceptions which another key signed"}}),
       Grant},
      {"exceptions list",
       "prints the exceptions that hold",
       {},
       WithListOptions(
           {{"endpoint", "ID", "only this endpoint's; \"fleet\" for those of the fleet"},
            {"all", "", "also those that have expired or were withdrawn"},
            AsOfOption("what held then: 2026-03-01T12:00:00Z or a date")}),
       List,
       &query::Exceptions()},
      {"exceptions revoke",
       "takes an exception back",
       {"EXCEPTION"},
       WithJsonOption(
           {{"endpoint", "ID", "whose it is (the fleet's)"},
            {"key", "FILE", "a private key of the role \"exceptions\", PEM", true},
            {"root", "FILE", "the root that vouches for exceptions which another key signed"}}),
       Revoke},
  };
}

}  // namespace weighmaster::server::ctl
