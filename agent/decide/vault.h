#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/engine/policy.h"
#include "policy/model/digest.h"
#include "policy/model/settings.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::agent::decide {

// What the vault holds to be true, as one record that is replaced whole: documents and parts by the
// SHA-256 of their files, and the two marks that only rise.
struct VaultRecord {
  std::optional<model::Sha256> root;         // the newest SignedRoot
  std::optional<model::Sha256> bundle;       // the SignedBundle in force
  std::optional<model::Sha256> bundle_root;  // the SignedRoot that it was verified against
  std::optional<model::Sha256> lists;        // the parts in force, which need not both be of this
  std::optional<model::Sha256> rules;        //   bundle when it is only partly applied
  std::optional<model::Sha256> fleet_exceptions = {};     // the newest SignedExceptions of each
  std::optional<model::Sha256> endpoint_exceptions = {};  //   scope
  // What the rules in force withhold, so that it stays withheld also when they can't be read.
  model::WithheldFields withheld = {};
  std::uint64_t floor = 0;       // the highest that was ever verified
  base::WallTime verified_time;  // the latest time that was ever verified
  friend bool operator==(const VaultRecord&, const VaultRecord&) = default;
};

// A part on its way in: a temporary file that becomes the part only when all of it is there and has
// its digest. Going out of scope before that removes it. Loop-owned; outlived by its vault.
class PartWriter {
 public:
  ~PartWriter();
  PartWriter(const PartWriter&) = delete;
  PartWriter& operator=(const PartWriter&) = delete;

  const model::Sha256& sha256() const { return sha256_; }
  std::uint64_t received() const { return received_; }
  std::uint64_t size_bytes() const { return size_bytes_; }
  bool complete() const { return received_ == size_bytes_; }

  // INVALID_ARGUMENT when the part would become longer than it was announced.
  base::Status Append(std::string_view bytes);
  // Durable afterwards. DATA_LOSS when the digest is another; the file is gone then.
  base::Status Commit();

 private:
  friend class PolicyVault;
  PartWriter(std::string folder, model::Sha256 sha256, std::uint64_t size_bytes, int fd);
  std::string temporary() const;

  const std::string folder_;
  const model::Sha256 sha256_;
  const std::uint64_t size_bytes_;
  int fd_;
  std::uint64_t received_ = 0;
  openssl::Sha256Hasher hasher_;
};

// The folder `policy/` under the agent's state folder: files named by the SHA-256 of what is in
// them (docs/formats/policy-vault.md), and the file `in_force`, whose replacement is the one moment
// in which anything comes into force. A crash at any point leaves the old record and whole files,
// or the new one. What a crash left behind half-written is removed at Open.
//
// Loop-owned. A failed call (a full disk) changes nothing that the record names.
class PolicyVault {
 public:
  // Makes the folder (mode 0700) when it is not there. DATA_LOSS: `in_force` can't be read; the
  // message says what to do.
  static base::Result<std::unique_ptr<PolicyVault>> Open(std::string folder);

  const VaultRecord& record() const { return record_; }
  // Durable when it returns success.
  base::Status Commit(const VaultRecord& record);
  // Removes every file that the record does not name.
  void Sweep() const;

  // Stores bytes under their digest, durably. Storing what is there already costs nothing.
  base::Result<model::Sha256> Put(std::string_view bytes);
  base::Result<std::unique_ptr<PartWriter>> Begin(const model::Sha256& sha256,
                                                  std::uint64_t size_bytes);
  bool Has(const model::Sha256& sha256) const;

  // Both check the digest: DATA_LOSS when the file is not what its name says.
  base::Result<std::string> Read(const model::Sha256& sha256) const;
  // The file's pages, mapped; they stay valid as long as the storage lives, also past a Sweep().
  base::Result<std::shared_ptr<const engine::ListsStorage>> Map(const model::Sha256& sha256) const;

 private:
  explicit PolicyVault(std::string folder) : folder_(std::move(folder)) {}
  base::Status ReadRecord();
  base::Status Write(const std::string& name, std::string_view bytes) const;
  void RemoveLeftovers() const;

  const std::string folder_;
  VaultRecord record_;
};

}  // namespace weighmaster::agent::decide
