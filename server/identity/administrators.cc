#include "server/identity/administrators.h"

#include <algorithm>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "server/identity/permissions.h"
#include "server/store/ask.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::server::identity {
namespace {

using base::Result;
namespace limits = base::limits;

constexpr std::size_t kSecretBytes = 32;

// RFC 9110, section 11.1: a scheme has no case.
bool HasScheme(std::string_view authorization, std::string_view lower_case) {
  const std::string_view scheme = authorization.substr(0, lower_case.size());
  return std::ranges::equal(scheme, lower_case, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
  });
}

// The secret in "Bearer wma1.…".
Result<base::Bytes> SecretIn(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (!HasScheme(authorization, kScheme)) {
    return base::Unauthenticated("an administrator's token is needed (weighctl login)");
  }
  authorization.remove_prefix(kScheme.size());
  if (!authorization.starts_with(kAdminTokenPrefix)) {
    return base::Unauthenticated("this is no administrator's token (weighctl login)");
  }
  authorization.remove_prefix(kAdminTokenPrefix.size());
  auto secret = base::Base64UrlDecode(authorization);
  if (!secret.has_value() || secret->size() != kSecretBytes) {
    return base::Unauthenticated("the administrator's token is malformed (weighctl login)");
  }
  return *std::move(secret);
}

base::Status CheckGood(const store::AdminTokenRecord& token, base::WallTime now) {
  if (token.revoked.has_value()) {
    return base::Unauthenticated("the administrator's token was revoked at " +
                                 base::FormatWallTime(*token.revoked));
  }
  if (token.expires.has_value() && now >= *token.expires) {
    return base::Unauthenticated("the administrator's token expired at " +
                                 base::FormatWallTime(*token.expires));
  }
  return {};
}

base::Status CheckWish(const Caller& creator, const AdminTokenWish& wish, base::WallTime now) {
  if (wish.name.empty() || wish.name.size() > limits::kMaxAdminTokenNameBytes ||
      !base::IsUtf8(wish.name)) {
    return base::InvalidArgument("name has 1 to " +
                                 std::to_string(limits::kMaxAdminTokenNameBytes) + " bytes");
  }
  if (wish.valid_for <= base::Duration(0) || wish.valid_for > limits::kMaxAdminTokenValidity) {
    return base::InvalidArgument("valid_for_ms is above 0 and at most 366 days");
  }
  if (!MayGrant(creator.token.role, wish.role)) {
    return base::PermissionDenied("a token can't make one that may do more than itself");
  }
  if (!creator.token.scope.Has(wish.scope.labels())) {
    return base::PermissionDenied(
        "a token can't make one that sees more endpoints than itself: give it the scope " +
        creator.token.scope.ToText() + ", and more labels if it is to see fewer");
  }
  if (creator.token.expires.has_value() && now + wish.valid_for > *creator.token.expires) {
    return base::PermissionDenied("a token can't make one that outlives it: it expires at " +
                                  base::FormatWallTime(*creator.token.expires));
  }
  return {};
}

}  // namespace

NewAdminToken MakeAdminToken(std::string name, store::AdminRole role, store::Scope scope,
                             base::WallTime now, std::optional<base::WallTime> expires,
                             base::Random& random) {
  base::Bytes secret(kSecretBytes);
  random.Fill(secret);
  NewAdminToken token;
  token.text = std::string(kAdminTokenPrefix) + base::Base64UrlEncode(secret);
  random.Fill(token.record.id.bytes);
  token.record.secret_sha256 = openssl::Sha256Of(secret);
  token.record.name = std::move(name);
  token.record.role = role;
  token.record.scope = std::move(scope);
  token.record.created = now;
  token.record.expires = expires;
  return token;
}

Administrators::Administrators(base::Loop& loop, const base::Clock& clock, base::Random& random,
                               base::Executor& writer, store::Store& store, base::Executor& reader,
                               store::Queries& queries)
    : loop_(loop),
      clock_(clock),
      random_(random),
      writer_(writer),
      store_(store),
      reader_(reader),
      queries_(queries) {}

void Administrators::Authenticate(const std::string& authorization, Reply<Caller> reply) {
  store::Ask(
      reader_, loop_, alive_,
      [&queries = queries_, authorization, now = clock_.Now()]() -> Result<Caller> {
        WM_ASSIGN_OR_RETURN(const base::Bytes secret, SecretIn(authorization));
        auto found = queries.FindAdminToken(openssl::Sha256Of(secret));
        if (!found.has_value()) {
          if (found.error().code() != base::ErrorCode::kNotFound) return std::move(found).error();
          return base::Unauthenticated(
              "this server does not know the administrator's token (weighctl login)");
        }
        WM_RETURN_IF_ERROR(CheckGood(*found, now));
        return Caller{*std::move(found)};
      },
      std::move(reply));
}

void Administrators::Create(const Caller& creator, AdminTokenWish wish,
                            Reply<NewAdminToken> reply) {
  const base::WallTime now = clock_.Now();
  NewAdminToken token =
      MakeAdminToken(wish.name, wish.role, wish.scope, now, now + wish.valid_for, random_);
  token.record.created_by = creator.token.id;
  store::Ask(
      writer_, loop_, alive_,
      [&store = store_, creator, wish = std::move(wish), now,
       token = std::move(token)]() mutable -> Result<NewAdminToken> {
        WM_RETURN_IF_ERROR(CheckWish(creator, wish, now));
        WM_RETURN_IF_ERROR(store.AddAdminToken(token.record));
        return std::move(token);
      },
      std::move(reply));
}

void Administrators::Revoke(const Caller& revoker, const model::Id& token,
                            std::function<void(base::Status)> reply) {
  store::Ask(
      writer_, loop_, alive_,
      [&store = store_, scope = revoker.token.scope, token, now = clock_.Now()] {
        return store.RevokeAdminToken(scope, token, now);
      },
      std::move(reply));
}

}  // namespace weighmaster::server::identity
