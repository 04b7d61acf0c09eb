#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <utility>

#include "agent/decide/vault.h"
#include "agent/decide/vault_record.h"
#include "policy/base/check.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::decide {
namespace {

constexpr std::string_view kRecordName = "in_force";
constexpr std::string_view kTemporarySuffix = ".tmp";

// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

class MappedFile final : public engine::ListsStorage {
 public:
  MappedFile(void* address, std::size_t size) : address_(address), size_(size) {}
  ~MappedFile() override { munmap(address_, size_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  base::ByteView bytes() const override {
    return {static_cast<const std::uint8_t*>(address_), size_};
  }

 private:
  void* const address_;
  const std::size_t size_;
};

base::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return base::FromErrno(errno, "write " + path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

// A rename is durable once its folder is.
base::Status SyncFolder(const std::string& folder) {
  const Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return base::FromErrno(errno, "open " + folder);
  if (fsync(fd.get()) != 0) return base::FromErrno(errno, "fsync " + folder);
  return {};
}

int CreateTemporary(const std::string& path) {
  return open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
}

base::Status SyncAndRename(int fd, const std::string& from, const std::string& folder,
                           const std::string& name) {
  if (fsync(fd) != 0) return base::FromErrno(errno, "fsync " + from);
  const std::string to = folder + "/" + name;
  if (rename(from.c_str(), to.c_str()) != 0) return base::FromErrno(errno, "rename " + from);
  return SyncFolder(folder);
}

// Names in the folder; empty when it can't be read, because only cleaning up rests on it.
std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  DIR* const directory = opendir(folder.c_str());
  if (directory == nullptr) return names;
  while (const dirent* const entry = readdir(directory)) names.emplace_back(entry->d_name);
  closedir(directory);
  return names;
}

}  // namespace

PartWriter::PartWriter(std::string folder, model::Sha256 sha256, std::uint64_t size_bytes, int fd)
    : folder_(std::move(folder)), sha256_(sha256), size_bytes_(size_bytes), fd_(fd) {}

std::string PartWriter::temporary() const {
  return folder_ + "/" + sha256_.ToHex() + std::string(kTemporarySuffix);
}

PartWriter::~PartWriter() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary().c_str());
}

base::Status PartWriter::Append(std::string_view bytes) {
  WM_CHECK(fd_ >= 0);
  if (bytes.size() > size_bytes_ - received_) {
    return base::InvalidArgument("more bytes than the part was announced with");
  }
  // A write that fails half-way is written over by the next, so that it can simply be made again.
  if (lseek(fd_, static_cast<off_t>(received_), SEEK_SET) < 0) {
    return base::FromErrno(errno, "seek in " + temporary());
  }
  WM_RETURN_IF_ERROR(WriteAll(fd_, bytes, temporary()));
  hasher_.Update(base::AsBytes(bytes));
  received_ += bytes.size();
  return {};
}

base::Status PartWriter::Commit() {
  WM_CHECK(fd_ >= 0 && complete());
  base::Status status;
  if (hasher_.Finish() == sha256_) {
    status = SyncAndRename(fd_, temporary(), folder_, sha256_.ToHex());
  } else {
    status = base::DataLoss("the part that was sent does not have the digest that was announced");
  }
  if (!status.has_value()) unlink(temporary().c_str());
  close(std::exchange(fd_, -1));
  return status;
}

base::Result<std::unique_ptr<PolicyVault>> PolicyVault::Open(std::string folder) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return base::FromErrno(errno, "mkdir " + folder);
  }
  std::unique_ptr<PolicyVault> vault(new PolicyVault(std::move(folder)));
  vault->RemoveLeftovers();
  WM_RETURN_IF_ERROR(vault->ReadRecord());
  return vault;
}

void PolicyVault::RemoveLeftovers() const {
  for (const std::string& name : NamesIn(folder_)) {
    if (name.ends_with(kTemporarySuffix)) unlink((folder_ + "/" + name).c_str());
  }
}

base::Status PolicyVault::ReadRecord() {
  const std::string path = folder_ + "/" + std::string(kRecordName);
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.get() < 0 && errno == ENOENT) return {};
  if (fd.get() < 0) return base::FromErrno(errno, "open " + path);
  std::array<char, 4096> buffer;
  const ssize_t size = read(fd.get(), buffer.data(), buffer.size());
  if (size < 0) return base::FromErrno(errno, "read " + path);
  auto record = ParseVaultRecord({buffer.data(), static_cast<std::size_t>(size)});
  if (!record.has_value()) {
    return base::DataLoss(path + " is damaged (" + record.error().message() +
                          "); enrol this endpoint again to get its root and policy anew");
  }
  record_ = *record;
  return {};
}

base::Status PolicyVault::Write(const std::string& name, std::string_view bytes) const {
  const std::string temporary = folder_ + "/" + name + std::string(kTemporarySuffix);
  const Descriptor fd(CreateTemporary(temporary));
  if (fd.get() < 0) return base::FromErrno(errno, "open " + temporary);
  base::Status status = WriteAll(fd.get(), bytes, temporary);
  if (status.has_value()) status = SyncAndRename(fd.get(), temporary, folder_, name);
  if (!status.has_value()) unlink(temporary.c_str());
  return status;
}

base::Status PolicyVault::Commit(const VaultRecord& record) {
  WM_RETURN_IF_ERROR(Write(std::string(kRecordName), FormatVaultRecord(record)));
  record_ = record;
  return {};
}

void PolicyVault::Sweep() const {
  const std::array kept = {
      record_.root,  record_.bundle,           record_.bundle_root,        record_.lists,
      record_.rules, record_.fleet_exceptions, record_.endpoint_exceptions};
  for (const std::string& name : NamesIn(folder_)) {
    const auto digest = model::ParseSha256(name);
    if (!digest.has_value()) continue;
    if (std::find(kept.begin(), kept.end(), *digest) != kept.end()) continue;
    unlink((folder_ + "/" + name).c_str());
  }
}

base::Result<model::Sha256> PolicyVault::Put(std::string_view bytes) {
  const model::Sha256 sha256 = openssl::Sha256Of(base::AsBytes(bytes));
  if (Has(sha256)) return sha256;
  WM_RETURN_IF_ERROR(Write(sha256.ToHex(), bytes));
  return sha256;
}

base::Result<std::unique_ptr<PartWriter>> PolicyVault::Begin(const model::Sha256& sha256,
                                                             std::uint64_t size_bytes) {
  if (size_bytes > base::limits::kMaxPartBytes) {
    return base::InvalidArgument("the part is longer than a part may be");
  }
  const std::string temporary = folder_ + "/" + sha256.ToHex() + std::string(kTemporarySuffix);
  const int fd = CreateTemporary(temporary);
  if (fd < 0) return base::FromErrno(errno, "open " + temporary);
  return std::unique_ptr<PartWriter>(new PartWriter(folder_, sha256, size_bytes, fd));
}

bool PolicyVault::Has(const model::Sha256& sha256) const {
  // Names are given only to whole files; Read and Map find out whether one has changed since.
  return access((folder_ + "/" + sha256.ToHex()).c_str(), R_OK) == 0;
}

base::Result<std::string> PolicyVault::Read(const model::Sha256& sha256) const {
  WM_ASSIGN_OR_RETURN(const std::shared_ptr<const engine::ListsStorage> mapped, Map(sha256));
  return std::string(base::AsText(mapped->bytes()));
}

base::Result<std::shared_ptr<const engine::ListsStorage>> PolicyVault::Map(
    const model::Sha256& sha256) const {
  const std::string path = folder_ + "/" + sha256.ToHex();
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.get() < 0) return base::FromErrno(errno, "open " + path);
  struct stat facts = {};
  if (fstat(fd.get(), &facts) != 0) return base::FromErrno(errno, "stat " + path);
  const auto size = static_cast<std::size_t>(facts.st_size);
  if (size == 0 || size > base::limits::kMaxPartBytes) {
    return base::DataLoss(path + " has a length that no file of the policy has");
  }
  void* const address = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return base::FromErrno(errno, "mmap " + path);
  std::shared_ptr<const engine::ListsStorage> mapped = std::make_shared<MappedFile>(address, size);
  if (openssl::Sha256Of(mapped->bytes()) != sha256) {
    unlink(path.c_str());  // so that it is fetched again
    return base::DataLoss(path + " does not hold what its name says");
  }
  return mapped;
}

}  // namespace weighmaster::agent::decide
