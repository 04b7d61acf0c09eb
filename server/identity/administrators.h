#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "policy/base/loop.h"
#include "policy/base/random.h"
#include "policy/base/result.h"
#include "server/store/store.h"

namespace weighmaster::server::identity {

// What an administrator's token begins with, so that scanners for leaked secrets find it.
inline constexpr std::string_view kAdminTokenPrefix = "wma1.";

// A new administrator's token: the text is shown once, the record is stored.
struct NewAdminToken {
  std::string text;
  store::AdminTokenRecord record;
};
NewAdminToken MakeAdminToken(std::string name, store::AdminRole role, store::Scope scope,
                             base::WallTime now, std::optional<base::WallTime> expires,
                             base::Random& random);

// Who calls the administrative API. Made by Administrators::Authenticate only.
struct Caller {
  store::AdminTokenRecord token;
};

// What a new token is to be.
struct AdminTokenWish {
  std::string name;
  store::AdminRole role = store::AdminRole::kViewer;
  store::Scope scope;
  base::Duration valid_for{0};
};

// The people and programs that administer the fleet, by their tokens. Secrets are stored and
// compared as SHA-256 only, so neither the store nor the time of a comparison tells them. What a
// role may do is permissions.h.
//
// Loop-owned; replies come on the loop, later, and never once it is destroyed. Everything passed in
// must outlive it.
class Administrators {
 public:
  template <typename T>
  using Reply = std::function<void(base::Result<T>)>;

  // `reader` runs `queries`.
  Administrators(base::Loop& loop, const base::Clock& clock, base::Random& random,
                 base::Executor& writer, store::Store& store, base::Executor& reader,
                 store::Queries& queries);
  ~Administrators() = default;
  Administrators(const Administrators&) = delete;
  Administrators& operator=(const Administrators&) = delete;

  // The metadata's value, "Bearer wma1.…". UNAUTHENTICATED: no token, an unknown one, or one that
  // expired or was revoked; the message says which.
  void Authenticate(const std::string& authorization, Reply<Caller> reply);

  // INVALID_ARGUMENT: no name, or a validity that is none or past the limit. PERMISSION_DENIED: it
  // could do more, on other endpoints, or for longer, than the creator's own.
  void Create(const Caller& creator, AdminTokenWish wish, Reply<NewAdminToken> reply);

  // See store::Store::RevokeAdminToken.
  void Revoke(const Caller& revoker, const model::Id& token,
              std::function<void(base::Status)> reply);

 private:
  // Constant after construction.
  base::Loop& loop_;
  const base::Clock& clock_;
  base::Random& random_;
  base::Executor& writer_;
  store::Store& store_;
  base::Executor& reader_;
  store::Queries& queries_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();
};

}  // namespace weighmaster::server::identity
