#include "policy/model/lists/lists_delta.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "policy/model/lists/encoded_lists.h"
#include "policy/model/lists/little_endian.h"

namespace weighmaster::model {
namespace {

// docs/formats/policy-lists-delta.md.
constexpr std::string_view kMagic = "WMDELTA1";
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kEntryBytes = 24;

// Of one list. All three have the same kind and size of a record.
struct Change {
  EncodedList before;  // empty where the older part has no such list
  EncodedList removed;
  EncodedList added;

  std::size_t count() const { return before.count() - removed.count() + added.count(); }
};

base::Error Malformed(const std::string& what) {
  return base::InvalidArgument("this is no delta of these lists: " + what);
}

int Compare(base::ByteView left, base::ByteView right) {
  return std::memcmp(left.data(), right.data(), left.size());
}

// The list of a kind, or an empty one with records of this size.
EncodedList ListOf(const std::vector<EncodedList>& lists, std::uint32_t kind,
                   std::uint32_t record_bytes) {
  const auto found = std::ranges::lower_bound(lists, kind, {}, &EncodedList::kind);
  if (found != lists.end() && found->kind == kind) return *found;
  return {kind, record_bytes, {}};
}

// Two sorted lists of records, and how many there are of each.
struct Difference {
  std::uint64_t removed_count = 0;
  std::uint64_t added_count = 0;
  base::Bytes removed;
  base::Bytes added;
};

void Append(base::Bytes& out, base::ByteView record) {
  out.insert(out.end(), record.begin(), record.end());
}

std::optional<Difference> DifferenceOf(const EncodedList& before, const EncodedList& after,
                                       std::size_t most_bytes) {
  Difference difference;
  if (before.record_bytes != after.record_bytes) return std::nullopt;
  if (std::ranges::equal(before.records, after.records)) return difference;
  if (!IsStrictlyAscending(before) || !IsStrictlyAscending(after)) return std::nullopt;
  std::size_t old = 0;
  std::size_t now = 0;
  while (old < before.count() || now < after.count()) {
    int order = old == before.count() ? 1 : -1;
    if (old < before.count() && now < after.count()) {
      order = Compare(before.record(old), after.record(now));
    }
    if (order < 0) Append(difference.removed, before.record(old));
    if (order > 0) Append(difference.added, after.record(now));
    if (difference.removed.size() + difference.added.size() > most_bytes) return std::nullopt;
    if (order <= 0) ++old;
    if (order >= 0) ++now;
  }
  difference.removed_count = difference.removed.size() / before.record_bytes;
  difference.added_count = difference.added.size() / before.record_bytes;
  return difference;
}

// Takes `count` records off the front of `rest`.
base::Result<EncodedList> Take(base::ByteView& rest, std::uint32_t kind, std::uint32_t record_bytes,
                               std::uint64_t count) {
  if (count > rest.size() / record_bytes) return Malformed("its records are cut off");
  const std::size_t length = static_cast<std::size_t>(count) * record_bytes;
  const EncodedList list{kind, record_bytes, rest.first(length)};
  rest = rest.subspan(length);
  return list;
}

base::Result<std::vector<Change>> ReadChanges(base::ByteView delta,
                                              const std::vector<EncodedList>& before) {
  if (delta.size() < kHeaderBytes || base::AsText(delta.first(kMagic.size())) != kMagic) {
    return Malformed("the first eight bytes are not " + std::string(kMagic));
  }
  const auto list_count = ReadInteger<std::uint32_t>(delta, 8);
  if (ReadInteger<std::uint32_t>(delta, 12) != 0) return Malformed("a reserved field is in use");
  if (list_count > (delta.size() - kHeaderBytes) / kEntryBytes) {
    return Malformed("the table is cut off");
  }
  std::vector<Change> changes;
  std::uint32_t previous_kind = 0;
  base::ByteView rest = delta.subspan(kHeaderBytes + list_count * kEntryBytes);
  for (std::size_t i = 0; i < list_count; ++i) {
    const std::size_t at = kHeaderBytes + i * kEntryBytes;
    const auto kind = ReadInteger<std::uint32_t>(delta, at);
    const auto record_bytes = ReadInteger<std::uint32_t>(delta, at + 4);
    if (kind <= previous_kind) return Malformed("its lists are out of order");
    previous_kind = kind;
    if (record_bytes == 0) return Malformed("a list has records of no size");
    Change change{ListOf(before, kind, record_bytes), {}, {}};
    if (change.before.record_bytes != record_bytes) {
      return Malformed("a list has records of another size");
    }
    const auto removed = ReadInteger<std::uint64_t>(delta, at + 8);
    const auto added = ReadInteger<std::uint64_t>(delta, at + 16);
    WM_ASSIGN_OR_RETURN(change.removed, Take(rest, kind, record_bytes, removed));
    WM_ASSIGN_OR_RETURN(change.added, Take(rest, kind, record_bytes, added));
    if (change.removed.count() > change.before.count()) {
      return Malformed("it removes more records than there are");
    }
    changes.push_back(change);
  }
  if (!rest.empty()) return Malformed("there are bytes after the last record");
  return changes;
}

// Records of `before` and `added` in their order, without those of `removed`. Where nothing
// changes, the order of the list does not matter.
base::Status AppendChanged(base::Bytes& out, const Change& change) {
  std::size_t old = 0;
  std::size_t gone = 0;
  std::size_t fresh = 0;
  while (old < change.before.count() || fresh < change.added.count()) {
    const bool has_old = old < change.before.count();
    if (has_old && gone < change.removed.count() &&
        Compare(change.before.record(old), change.removed.record(gone)) == 0) {
      ++old;
      ++gone;
      continue;
    }
    const int order = !has_old ? 1
                      : fresh == change.added.count()
                          ? -1
                          : Compare(change.before.record(old), change.added.record(fresh));
    if (order == 0) return Malformed("it adds a record that is there");
    Append(out, order < 0 ? change.before.record(old++) : change.added.record(fresh++));
  }
  if (gone != change.removed.count()) return Malformed("it removes a record that is not there");
  return {};
}

}  // namespace

std::optional<base::Bytes> EncodeListsDelta(base::ByteView from, base::ByteView to,
                                            std::size_t most_bytes) {
  const auto before = ReadEncodedLists(from);
  const auto after = ReadEncodedLists(to);
  if (!before.has_value() || !after.has_value()) return std::nullopt;
  base::Bytes out;
  out.insert(out.end(), kMagic.begin(), kMagic.end());
  AppendInteger(out, static_cast<std::uint32_t>(after->size()));
  AppendInteger(out, std::uint32_t{0});
  base::Bytes records;
  for (const EncodedList& list : *after) {
    const auto difference =
        DifferenceOf(ListOf(*before, list.kind, list.record_bytes), list, most_bytes);
    if (!difference.has_value()) return std::nullopt;
    AppendInteger(out, list.kind);
    AppendInteger(out, list.record_bytes);
    AppendInteger(out, difference->removed_count);
    AppendInteger(out, difference->added_count);
    Append(records, difference->removed);
    Append(records, difference->added);
  }
  if (out.size() + records.size() > most_bytes) return std::nullopt;
  Append(out, records);
  return out;
}

base::Result<base::Bytes> ApplyListsDelta(base::ByteView from, base::ByteView delta,
                                          std::uint64_t size_bytes) {
  WM_ASSIGN_OR_RETURN(const std::vector<EncodedList> before, ReadEncodedLists(from));
  WM_ASSIGN_OR_RETURN(const std::vector<Change> changes, ReadChanges(delta, before));
  std::vector<ListShape> shapes;
  std::size_t size = EncodedListsHeadBytes(changes.size());
  for (const Change& change : changes) {
    shapes.push_back({change.before.kind, change.before.record_bytes, change.count()});
    size += change.count() * change.before.record_bytes;
  }
  if (size != size_bytes) return Malformed("it leads to a part of another size");
  base::Bytes out;
  out.reserve(size);
  AppendEncodedListsHead(out, shapes);
  for (const Change& change : changes) WM_RETURN_IF_ERROR(AppendChanged(out, change));
  return out;
}

}  // namespace weighmaster::model
