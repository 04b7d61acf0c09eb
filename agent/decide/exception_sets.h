#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/decide/vault.h"
#include "policy/base/result.h"
#include "policy/model/event.h"
#include "policy/model/exception.h"
#include "proto/wire/trust.h"

namespace weighmaster::agent::decide {

// The newest sets of exceptions that this endpoint has: the fleet's and its own. Loop-owned; the
// vault must outlive it.
class ExceptionSets {
 public:
  explicit ExceptionSets(PolicyVault& vault) : vault_(vault) {}

  // What the vault holds, as far as `root` trusts it: a key that a root takes away takes its
  // exceptions along.
  void Load(const wire::Root& root);

  // Takes a set that is newer than the one of its scope; durable when it returns. An older one, or
  // the same, is no news.
  struct Taken {
    bool is_new = false;
    base::WallTime issued;                                       // when it is new
    model::PolicyRefusal refusal = model::PolicyRefusal::kNone;  // else why it was refused
    std::string detail;
  };
  base::Result<Taken> Take(const wire::SignedDocument& document, const wire::Root& root,
                           const model::Id& endpoint);

  std::uint64_t fleet_version() const { return fleet_ ? fleet_->version : 0; }
  std::uint64_t endpoint_version() const { return endpoint_ ? endpoint_->version : 0; }
  // Also of sets that the root does not trust any more.
  bool any_stored() const {
    return vault_.record().fleet_exceptions || vault_.record().endpoint_exceptions;
  }
  // Of both sets.
  std::vector<model::Exception> all() const;

 private:
  std::optional<model::ExceptionSet> Read(const std::optional<model::Sha256>& document,
                                          const wire::Root& root) const;

  PolicyVault& vault_;
  std::optional<model::ExceptionSet> fleet_;
  std::optional<model::ExceptionSet> endpoint_;
};

}  // namespace weighmaster::agent::decide
