#include "agent/sensors/artifacts/walker.h"

#include <utility>

#include "agent/os/directory.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::sensors {
namespace {

constexpr std::size_t kEntryBufferBytes = 128 * base::limits::kKiB;

void Join(const std::string& folder, std::string_view name, std::string& out) {
  out.assign(folder);
  if (out.empty() || out.back() != '/') out.push_back('/');
  out.append(name);
}

}  // namespace

Walker::Walker(std::vector<std::string> excluded)
    : excluded_(std::make_move_iterator(excluded.begin()), std::make_move_iterator(excluded.end())),
      buffer_(kEntryBufferBytes) {}

WalkSummary Walker::Walk(const Root& root, const Visit& visit, const Rest& rest,
                         const std::stop_token& stop) {
  summary_ = {};
  frames_.clear();
  path_ = root.folder;
  base::Result<os::FileStatus> status = os::StatusOf(root.fd.get());
  base::Result<os::Fd> fd = os::OpenFolderBeneath(root.fd.get(), ".");
  if (!status.has_value() || !fd.has_value()) {
    Count(status.has_value() ? fd.error() : status.error(), {});
    summary_.finished = true;
    return summary_;
  }
  frames_.push_back({*std::move(fd), path_.size(), status->device, status->inode, {}});
  if (!root.file.empty()) {
    VisitEntry(frames_.back(), root.file, false, visit);
    summary_.finished = true;
    return summary_;
  }
  ReadFolder(visit, rest, stop);
  while (!frames_.empty() && !stop.stop_requested()) {
    Frame& frame = frames_.back();
    path_.resize(frame.path_size);
    if (frame.folders.empty()) {
      frames_.pop_back();
      continue;
    }
    if (!frame.fd.is_open() && !Reopen(root, frame)) {
      // It was moved or taken away while the walk was below it.
      summary_.failed += frame.folders.size();
      NameUnread({});
      frames_.pop_back();
      continue;
    }
    const std::string name = std::move(frame.folders.back());
    frame.folders.pop_back();
    const std::size_t depth = frames_.size();
    Descend(name);
    if (frames_.size() > depth) ReadFolder(visit, rest, stop);
  }
  summary_.finished = !stop.stop_requested();
  frames_.clear();
  return summary_;
}

void Walker::ReadFolder(const Visit& visit, const Rest& rest, const std::stop_token& stop) {
  ++summary_.folders;
  Frame& frame = frames_.back();
  os::FolderReader reader(frame.fd.get(), buffer_.data(), buffer_.size());
  os::FolderReader::Entry entry;
  std::uint64_t entries = 0;
  while (!stop.stop_requested()) {
    const base::Result<bool> more = reader.Next(entry);
    if (!more.has_value()) Count(more.error(), {});
    if (!more.has_value() || !*more) break;
    ++entries;
    if (entry.type == os::FolderReader::Type::kOther) continue;
    if (entry.type == os::FolderReader::Type::kFolder) {
      frame.folders.emplace_back(entry.name);
    } else {
      VisitEntry(frame, entry.name, entry.type == os::FolderReader::Type::kUnknown, visit);
    }
  }
  rest(entries);
}

void Walker::VisitEntry(Frame& frame, std::string_view name, bool may_be_folder,
                        const Visit& visit) {
  name_.assign(name);
  const base::Result<os::FileStatus> status = os::StatusAt(frame.fd.get(), name_);
  if (!status.has_value()) return Count(status.error(), name);
  if (status->type == os::FileStatus::Type::kFolder && may_be_folder) {
    frame.folders.emplace_back(name);
    return;
  }
  if (status->type != os::FileStatus::Type::kRegular) return;
  if (path_.size() + 1 + name.size() > base::limits::kMaxPathBytes) {
    ++summary_.beyond_limit;
    NameUnread(name);
    return;
  }
  if (IsExcluded(name)) return;
  ++summary_.files;
  Join(path_, name, file_path_);
  visit(FoundFile{frame.fd.get(), name_, file_path_, *status});
}

void Walker::Descend(const std::string& name) {
  if (path_.size() + 1 + name.size() > base::limits::kMaxPathBytes) {
    ++summary_.beyond_limit;
    NameUnread(name);
    return;
  }
  if (IsExcluded(name)) return;
  base::Result<os::Fd> fd = os::OpenFolderBeneath(frames_.back().fd.get(), name);
  if (!fd.has_value()) return Count(fd.error(), name);
  const base::Result<os::FileStatus> status = os::StatusOf(fd->get());
  if (!status.has_value()) return Count(status.error(), name);
  Join(std::string(path_), name, path_);
  frames_.push_back({*std::move(fd), path_.size(), status->device, status->inode, {}});
  // A folder that is far above is closed, the root's never.
  if (frames_.size() > base::limits::kMaxOpenFolders) {
    frames_[frames_.size() - base::limits::kMaxOpenFolders].fd.Reset();
  }
}

bool Walker::Reopen(const Root& root, Frame& frame) {
  const std::string below = RelativeTo(root, path_.substr(0, frame.path_size));
  base::Result<os::Fd> fd = os::OpenFolderBeneath(root.fd.get(), below.empty() ? "." : below);
  if (!fd.has_value()) return false;
  const base::Result<os::FileStatus> status = os::StatusOf(fd->get());
  if (!status.has_value() || status->device != frame.device || status->inode != frame.inode) {
    return false;
  }
  frame.fd = *std::move(fd);
  return true;
}

// `name` in the last frame's folder, or, when empty, that folder.
void Walker::Count(const base::Error& error, std::string_view name) {
  switch (error.code()) {
    case base::ErrorCode::kNotFound:            // gone since its name was read
    case base::ErrorCode::kOutOfRange:          // another mount, which has a coverage of its own
    case base::ErrorCode::kFailedPrecondition:  // has become something else
      return;
    case base::ErrorCode::kPermissionDenied:
      ++summary_.unreadable_folders;
      break;
    default:
      ++summary_.failed;
  }
  NameUnread(name);
}

void Walker::NameUnread(std::string_view name) {
  if (summary_.unread.size() >= base::limits::kMaxUnreadPaths) {
    ++summary_.unnamed;
    return;
  }
  std::string path = path_;
  if (!name.empty()) Join(path_, name, path);
  summary_.unread.push_back(std::move(path));
}

bool Walker::IsExcluded(std::string_view name) {
  if (excluded_.empty()) return false;
  Join(path_, name, file_path_);
  if (!excluded_.contains(file_path_)) return false;
  ++summary_.excluded;
  return true;
}

}  // namespace weighmaster::agent::sensors
