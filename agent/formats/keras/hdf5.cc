#include "agent/formats/keras/hdf5.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <iterator>
#include <set>
#include <utility>

#include "agent/formats/keras/hdf5_dense.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kSignature{"\x89HDF\r\n\x1a\n", 8};
constexpr std::uint64_t kSignaturePlaces[] = {0, 512, 1024, 2048};
constexpr std::uint8_t kNewestSuperblock = 3;

// A model of ten thousand layers has some 50,000 objects.
constexpr std::size_t kMaxObjects = 1U << 16;
// Of one object; whatever is longer is cut or, where it leads on, not followed.
constexpr std::size_t kMaxNameBytes = 256;
constexpr std::size_t kMaxPathBytes = 1'024;
// Of all paths that wait to be followed: what they take in memory.
constexpr std::size_t kMaxOpenPathBytes = 16 * base::limits::kMiB;
constexpr std::size_t kMaxHeaderBlocks = 4'096;
constexpr std::size_t kMaxTreeNodes = 1U << 16;
constexpr std::size_t kMaxDataFiles = 16;
constexpr std::uint8_t kMaxRank = 32;  // the library's

namespace message_type {
constexpr std::uint32_t kDataspace = 0x01;
constexpr std::uint32_t kLinkInfo = 0x02;
constexpr std::uint32_t kDatatype = 0x03;
constexpr std::uint32_t kLink = 0x06;
constexpr std::uint32_t kDataFiles = 0x07;
constexpr std::uint32_t kLayout = 0x08;
constexpr std::uint32_t kFilters = 0x0b;
constexpr std::uint32_t kAttribute = 0x0c;
constexpr std::uint32_t kContinuation = 0x10;
constexpr std::uint32_t kSymbolTable = 0x11;
constexpr std::uint32_t kAttributeInfo = 0x15;
}  // namespace message_type
constexpr std::uint8_t kShared = 2;  // a message's flag: it stands elsewhere

// Of a record in the indices of dense links and attributes, where the heap's id begins.
constexpr std::size_t kLinkIdBegin = 4;
constexpr std::size_t kAttributeIdBegin = 0;

bool IsWidth(std::size_t bytes) { return bytes == 2 || bytes == 4 || bytes == 8; }
std::uint64_t Padded(std::uint64_t bytes) { return (bytes + 7) / 8 * 8; }

}  // namespace

const Hdf5Attribute* Hdf5Object::FindAttribute(std::string_view name) const {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const Hdf5Attribute& one) { return one.name == name; });
  return found == attributes.end() ? nullptr : &*found;
}

bool LooksLikeHdf5(const FileEnds& file) {
  const std::string_view head = base::AsText(file.head);
  return std::any_of(std::begin(kSignaturePlaces), std::end(kSignaturePlaces),
                     [&](std::uint64_t at) {
                       const auto place = static_cast<std::size_t>(at);
                       if (head.size() < place + 16 || head.substr(place, 8) != kSignature)
                         return false;
                       const std::uint8_t version = file.head[place + 8];
                       const std::size_t widths = place + (version < 2 ? 13 : 9);
                       return version <= kNewestSuperblock && IsWidth(file.head[widths]) &&
                              IsWidth(file.head[widths + 1]);
                     });
}

bool Hdf5File::Broken(std::string_view what) {
  whole_ = false;
  if (cursor_.budget().spent()) return false;
  cursor_.budget().Take(work::kRisk);
  risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(cursor_.offset()));
  return false;
}

bool Hdf5File::Unread(std::string_view what) {
  whole_ = false;
  if (cursor_.budget().spent()) return true;
  cursor_.budget().Take(work::kRisk);
  risks_.Add(RiskId::kOpaque, std::string(what) + " at " + AtOffset(cursor_.offset()));
  return true;
}

bool Hdf5File::Open() {
  for (const std::uint64_t place : kSignaturePlaces) {
    if (bytes_.TakeSignature(place, kSignature)) return ReadSuperblock(place);
  }
  return false;
}

bool Hdf5File::ReadSuperblock(std::uint64_t place) {
  const auto version = cursor_.U8();
  if (!version.has_value() || *version > kNewestSuperblock) return Broken("a superblock");
  const bool old = *version < 2;
  if (old && !cursor_.Skip(4)) return Broken("a superblock");
  const auto address_bytes = cursor_.U8();
  const auto length_bytes = cursor_.U8();
  if (!AllRead(address_bytes, length_bytes) || !IsWidth(*address_bytes) ||
      !IsWidth(*length_bytes)) {
    return Broken("a superblock of other numbers");
  }
  bytes_.set_widths(*address_bytes, *length_bytes);
  const std::uint64_t before_base = !old ? 1 : *version == 0 ? 9 : 13;
  if (!cursor_.Skip(before_base)) return Broken("a superblock");
  const auto said_base = bytes_.Number(*address_bytes);
  if (!said_base.has_value() || !cursor_.Skip(*address_bytes)) return Broken("a superblock");
  auto end = bytes_.Address();
  if (!end.has_value()) return Broken("a superblock");
  // The library goes by where it found the superblock, also where that says otherwise.
  bytes_.set_base(place);
  if (*end != Hdf5Bytes::kNowhere && *said_base != place) *end = *end - *said_base + place;
  // In the old ones a driver's block, and the root's name in no heap, come first.
  if (old && !cursor_.Skip(std::uint64_t{2} * *address_bytes)) return Broken("a superblock");
  const auto root = bytes_.Address();
  if (!root.has_value() || *root == Hdf5Bytes::kNowhere) return Broken("a superblock without root");
  root_ = *root;
  const std::uint64_t size = cursor_.end();
  // A file that was cut off still has the objects that come before.
  if (*end > size) {
    Broken("an end at " + AtOffset(*end) + " of a file of " + std::to_string(size) + " bytes,");
  } else if (*end < size) {
    risks_.Add(RiskId::kTrailingData,
               std::to_string(size - *end) + " bytes from " + AtOffset(*end));
  }
  return true;
}

void Hdf5File::Walk(
    const std::function<bool(const std::string& path, const Hdf5Object& object)>& visit) {
  struct Waiting {
    std::string path;
    std::uint64_t place = 0;
  };
  std::deque<Waiting> open;
  open.push_back({"", root_});
  std::size_t open_bytes = 0;
  std::set<std::uint64_t> seen = {root_};
  while (!open.empty() && !cursor_.budget().spent()) {
    const Waiting one = std::move(open.front());
    open.pop_front();
    open_bytes -= one.path.size();
    const auto object = ReadObject(one.place);
    if (!object.has_value()) continue;
    if (!visit(one.path, *object)) return;
    for (const Hdf5Link& link : object->links) {
      cursor_.budget().Take(work::kTensor);
      if (link.kind != Hdf5Link::Kind::kHard || seen.count(link.place) != 0) continue;
      std::string path = one.path + "/" + link.name;
      if (seen.size() >= kMaxObjects || path.size() > kMaxPathBytes ||
          open_bytes + path.size() > kMaxOpenPathBytes) {
        Unread("more objects, or deeper ones, than are followed");
        break;
      }
      seen.insert(link.place);
      open_bytes += path.size();
      open.push_back({std::move(path), link.place});
    }
  }
}

std::optional<Hdf5Object> Hdf5File::ReadObject(std::uint64_t place) {
  cursor_.budget().Take(work::kTensor);
  Hdf5Object object;
  Pointers pointers;
  if (!ReadHeader(place, object, pointers)) return std::nullopt;
  Follow(pointers, object);
  return object;
}

bool Hdf5File::ReadHeader(std::uint64_t place, Hdf5Object& object, Pointers& pointers) {
  if (!cursor_.Seek(place)) {
    return Broken("an object at " + AtOffset(place) + ", which is past the end, named");
  }
  const bool newer = base::AsText(cursor_.Peek(4)) == "OHDR";
  std::vector<Block> blocks(1);
  bool has_order = false;
  const bool prefix = newer ? ReadNewPrefix(blocks[0], has_order) : ReadOldPrefix(blocks[0]);
  if (!prefix) return Broken("the header of an object");
  const std::uint64_t head_bytes = !newer ? 8 : has_order ? 6 : 4;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    Block block = blocks[i];
    if (block.begin > block.end || !cursor_.Seek(block.begin)) {
      return Broken("messages at " + AtOffset(block.begin) + ", which is past the end, named");
    }
    if (block.end > cursor_.end()) {
      Broken("messages up to " + AtOffset(block.end) + ", which is past the end, named");
      block.end = cursor_.end();
    }
    while (block.end - cursor_.offset() >= head_bytes) {
      cursor_.budget().Take(work::kWireField);
      const auto type = newer ? bytes_.Number(1) : bytes_.Number(2);
      const auto size = cursor_.U16();
      const auto flags = cursor_.U8();
      const std::uint64_t rest = head_bytes - (newer ? 4 : 5);
      if (!AllRead(type, size, flags) || !cursor_.Skip(rest)) {
        return Broken("a message");
      }
      Message message{static_cast<std::uint32_t>(*type), *flags, cursor_.offset(), 0};
      if (*size > block.end - message.begin) {
        Broken("a message that passes its block");
        break;
      }
      message.end = message.begin + *size;
      const bool read = message.type == message_type::kContinuation
                            ? ReadContinuation(newer, blocks)
                            : ReadMessage(message, object, pointers);
      if (!read) Broken("a message of type " + std::to_string(message.type));
      if (cursor_.budget().spent() || !cursor_.Seek(message.end)) return false;
    }
  }
  return true;
}

bool Hdf5File::ReadOldPrefix(Block& block) {
  const auto version = cursor_.U8();
  if (version != 1 || !cursor_.Skip(7)) return false;
  const auto size = cursor_.U32();
  if (!size.has_value() || !cursor_.Skip(4)) return false;
  block = {cursor_.offset(), cursor_.offset() + *size};
  return true;
}

bool Hdf5File::ReadNewPrefix(Block& block, bool& has_order) {
  constexpr std::uint8_t kHasTimes = 0x20;
  constexpr std::uint8_t kHasPhases = 0x10;
  constexpr std::uint8_t kHasOrder = 0x04;
  if (!cursor_.Skip(4)) return false;
  const auto version = cursor_.U8();
  const auto flags = cursor_.U8();
  if (version != 2 || !flags.has_value()) return false;
  has_order = (*flags & kHasOrder) != 0;
  if (!cursor_.Skip(((*flags & kHasTimes) != 0 ? 16U : 0U) +
                    ((*flags & kHasPhases) != 0 ? 4U : 0U))) {
    return false;
  }
  const auto size = bytes_.Number(std::size_t{1} << (*flags & 3U));
  if (!size.has_value() || *size > cursor_.remaining()) return false;
  block = {cursor_.offset(), cursor_.offset() + *size};
  return true;
}

bool Hdf5File::ReadContinuation(bool newer, std::vector<Block>& blocks) {
  constexpr std::uint64_t kFrame = 8;  // of a newer one: its signature and checksum
  const auto place = bytes_.Address();
  const auto size = bytes_.Length();
  if (!place.has_value() || !size.has_value()) return false;
  if (*place > cursor_.end() || *size > cursor_.end() - *place) return false;
  Block block{*place, *place + *size};
  if (newer) {
    if (*size < kFrame || !bytes_.TakeSignature(*place, "OCHK")) return false;
    block = {*place + 4, block.end - 4};
  }
  const bool again = std::any_of(blocks.begin(), blocks.end(),
                                 [&](const Block& other) { return other.begin == block.begin; });
  cursor_.budget().Take(blocks.size());
  if (again || blocks.size() == kMaxHeaderBlocks) return false;
  blocks.push_back(block);
  return true;
}

bool Hdf5File::ReadMessage(const Message& message, Hdf5Object& object, Pointers& pointers) {
  const bool shared = (message.flags & kShared) != 0;
  switch (message.type) {
    case message_type::kDataspace:
      return shared || ReadDataspace(object.dims, object.has_no_elements);
    case message_type::kDatatype:
      // A type with a name of its own, which stands elsewhere, is of none that is known.
      object.type = shared ? Hdf5Type{} : ReadHdf5Type(cursor_);
      return object.type.has_value();
    case message_type::kLayout:
      object.is_dataset = true;
      return ReadLayout(message, object, pointers);
    case message_type::kFilters:
      return ReadFilters(object);
    case message_type::kDataFiles:
      return ReadFileList(pointers);
    case message_type::kAttribute:
      if (shared) return Unread("an attribute that is kept elsewhere");
      return ReadAttribute({message.begin, message.end}, object.attributes);
    case message_type::kAttributeInfo:
      return ReadDense(false, pointers.attributes);
    case message_type::kLinkInfo:
      return ReadDense(true, pointers.links);
    case message_type::kLink:
      return ReadLink(message.end, object.links);
    case message_type::kSymbolTable: {
      const auto tree = bytes_.Address();
      const auto heap = bytes_.Address();
      if (!tree.has_value() || !heap.has_value()) return false;
      if (pointers.symbols.empty()) pointers.symbols.push_back({*tree, *heap});
      return true;
    }
    default:
      return true;
  }
}

bool Hdf5File::ReadDataspace(std::vector<std::uint64_t>& dims, bool& has_no_elements) {
  constexpr std::uint8_t kNull = 2;
  const auto version = cursor_.U8();
  const auto rank = cursor_.U8();
  const auto flags = cursor_.U8();
  const auto kind = cursor_.U8();
  if (!AllRead(version, rank, flags, kind) || *rank > kMaxRank || *version < 1 || *version > 2)
    return false;
  if (*version == 1 && !cursor_.Skip(4)) return false;
  has_no_elements = *version == 2 && *kind == kNull;
  dims.clear();
  for (std::uint8_t i = 0; i < *rank; ++i) {
    const auto extent = bytes_.Length();
    if (!extent.has_value()) return false;
    dims.push_back(*extent);
  }
  return true;
}

bool Hdf5File::ReadLayout(const Message& message, Hdf5Object& object, Pointers& pointers) {
  enum : std::uint8_t { kCompact = 0, kContiguous = 1, kChunked = 2, kVirtual = 3 };
  constexpr std::uint8_t kOldest = 3;  // of those that are laid out alike
  constexpr std::uint8_t kNewest = 5;
  const auto version = cursor_.U8();
  if (!version.has_value() || *version == 0) return false;
  if (*version < kOldest) return ReadOldLayout(object);
  if (*version > kNewest) return Unread("a layout of a newer version");
  const auto kind = cursor_.U8();
  if (!kind.has_value()) return false;
  if (*kind == kCompact) {
    const auto size = cursor_.U16();
    if (!size.has_value() || *size > message.end - std::min(message.end, cursor_.offset())) {
      return false;
    }
    object.layout = Hdf5Layout::kCompact;
    object.data = cursor_.offset();
    object.data_bytes = *size;
    return true;
  }
  if (*kind == kContiguous) {
    const auto place = bytes_.Address();
    const auto size = bytes_.Length();
    if (!place.has_value() || !size.has_value()) return false;
    object.layout = Hdf5Layout::kContiguous;
    if (*place != Hdf5Bytes::kNowhere) object.data = *place;
    object.data_bytes = *size;
    return true;
  }
  if (*kind == kVirtual) {
    object.layout = Hdf5Layout::kVirtual;
    const auto heap = bytes_.Address();
    const auto index = cursor_.U32();
    if (!heap.has_value() || !index.has_value()) return false;
    pointers.virtual_heap = *heap;
    pointers.virtual_index = *index;
    return true;
  }
  object.layout = Hdf5Layout::kChunked;
  return *kind == kChunked;
}

// Versions 1 and 2: the class comes third, and no size is said.
bool Hdf5File::ReadOldLayout(Hdf5Object& object) {
  const auto rank = cursor_.U8();
  const auto kind = cursor_.U8();
  if (!AllRead(rank, kind) || !cursor_.Skip(5)) return false;
  if (*kind == 2) {
    object.layout = Hdf5Layout::kChunked;
    return true;
  }
  if (*kind > 2) return false;
  if (*kind == 1) {
    const auto place = bytes_.Address();
    if (!place.has_value()) return false;
    object.layout = Hdf5Layout::kContiguous;
    if (*place != Hdf5Bytes::kNowhere) object.data = *place;
    return true;
  }
  if (!cursor_.Skip(std::uint64_t{4} * *rank)) return false;
  const auto size = cursor_.U32();
  if (!size.has_value()) return false;
  object.layout = Hdf5Layout::kCompact;
  object.data = cursor_.offset();
  object.data_bytes = *size;
  return true;
}

bool Hdf5File::ReadFilters(Hdf5Object& object) {
  const auto version = cursor_.U8();
  const auto count = cursor_.U8();
  object.filtered = count.has_value() && *count > 0;
  return version.has_value() && count.has_value();
}

bool Hdf5File::ReadFileList(Pointers& pointers) {
  if (!cursor_.Skip(6)) return false;  // version, and how many there is room for
  const auto used = cursor_.U16();
  const auto heap = bytes_.Address();
  if (!used.has_value() || !heap.has_value()) return false;
  pointers.files_heap = *heap;
  for (std::uint16_t i = 0; i < *used; ++i) {
    cursor_.budget().Take(work::kWireField);
    const auto name = bytes_.Length();
    if (!name.has_value() || !cursor_.Skip(2 * bytes_.length_bytes())) return false;
    if (pointers.files.size() < kMaxDataFiles) pointers.files.push_back(*name);
  }
  return true;
}

// Link info and attribute info: where the dense ones are, if there are any.
bool Hdf5File::ReadDense(bool wide_order, std::vector<Pointers::Dense>& found) {
  constexpr std::uint8_t kHasOrder = 1;
  const auto version = cursor_.U8();
  const auto flags = cursor_.U8();
  if (version != 0 || !flags.has_value()) return false;
  if ((*flags & kHasOrder) != 0 && !cursor_.Skip(wide_order ? 8 : 2)) return false;
  const auto heap = bytes_.Address();
  const auto tree = bytes_.Address();
  if (!heap.has_value() || !tree.has_value()) return false;
  if (*heap != Hdf5Bytes::kNowhere && found.empty()) found.push_back({*heap, *tree});
  return true;
}

bool Hdf5File::ReadLink(std::uint64_t end, std::vector<Hdf5Link>& links) {
  constexpr std::uint8_t kHasKind = 0x08;
  constexpr std::uint8_t kHasOrder = 0x04;
  constexpr std::uint8_t kHasCharset = 0x10;
  enum : std::uint8_t { kHard = 0, kSoft = 1, kExternal = 64 };
  const auto version = cursor_.U8();
  const auto flags = cursor_.U8();
  if (version != 1 || !flags.has_value()) return false;
  std::optional<std::uint8_t> kind = std::uint8_t{kHard};
  if ((*flags & kHasKind) != 0) kind = cursor_.U8();
  if ((*flags & kHasOrder) != 0 && !cursor_.Skip(8)) return false;
  if ((*flags & kHasCharset) != 0 && !cursor_.Skip(1)) return false;
  const auto length = bytes_.Number(std::size_t{1} << (*flags & 3U));
  if (!kind.has_value() || !length.has_value() || cursor_.offset() > end) return false;
  if (*length > end - cursor_.offset()) return false;
  const auto name = cursor_.Text(*length, kMaxNameBytes);
  if (!name.has_value()) return false;
  Hdf5Link link{Hdf5Link::Kind::kSoft, *name, 0, ""};
  if (*kind == kHard) {
    const auto place = bytes_.Address();
    if (!place.has_value()) return false;
    link.kind = Hdf5Link::Kind::kHard;
    link.place = *place;
  } else if (*kind == kExternal) {
    // Its length, a version and flags, then the file and what it is called there.
    if (!cursor_.Skip(3)) return false;
    link.kind = Hdf5Link::Kind::kExternal;
    link.file = TextHere(end, kMaxPathBytes);
  }
  if (links.size() >= kMaxObjects) return Unread("more links than are followed");
  links.push_back(std::move(link));
  return true;
}

bool Hdf5File::ReadAttribute(Hdf5Range message, std::vector<Hdf5Attribute>& attributes) {
  constexpr std::uint8_t kSharedType = 1;
  constexpr std::uint8_t kSharedSpace = 2;
  if (!cursor_.Seek(message.begin)) return false;
  const auto version = cursor_.U8();
  const auto flags = cursor_.U8();
  const auto name_bytes = cursor_.U16();
  const auto type_bytes = cursor_.U16();
  const auto space_bytes = cursor_.U16();
  if (!AllRead(version, flags, name_bytes, type_bytes, space_bytes) || *version < 1 || *version > 3)
    return false;
  if (*version == 3 && !cursor_.Skip(1)) return false;
  const auto room = [&](std::uint64_t bytes) { return *version == 1 ? Padded(bytes) : bytes; };
  const std::uint64_t name = cursor_.offset();
  const std::uint64_t type = name + room(*name_bytes);
  const std::uint64_t space = type + room(*type_bytes);
  const std::uint64_t value = space + room(*space_bytes);
  if (value > message.end) return false;
  Hdf5Attribute attribute;
  attribute.name = TextHere(type, kMaxNameBytes);
  attribute.value = {value, message.end};
  const std::uint8_t shared = *version == 1 ? std::uint8_t{0} : *flags;
  if ((shared & kSharedType) == 0) {
    if (!cursor_.Seek(type)) return false;
    const auto read = ReadHdf5Type(cursor_);
    if (!read.has_value()) return false;
    attribute.type = *read;
  }
  if ((shared & kSharedSpace) == 0) {
    std::vector<std::uint64_t> dims;
    bool has_no_elements = false;
    if (!cursor_.Seek(space) || !ReadDataspace(dims, has_no_elements)) return false;
    for (const std::uint64_t extent : dims) {
      if (__builtin_mul_overflow(attribute.elements, extent, &attribute.elements)) return false;
    }
    if (has_no_elements) attribute.elements = 0;
  }
  if (attributes.size() >= base::limits::kMaxMetadataEntries) {
    return Unread("more attributes than are read");
  }
  attributes.push_back(std::move(attribute));
  return true;
}

// What stands outside the header: whatever of it can't be read is told, and the rest is kept.
void Hdf5File::Follow(const Pointers& pointers, Hdf5Object& object) {
  for (const Pointers::SymbolTable& table : pointers.symbols) {
    if (!ReadSymbolTable(table, object.links)) Broken("a group's table of symbols");
  }
  for (const Pointers::Dense& dense : pointers.links) {
    if (!ReadDenseMessages(dense, true, object)) Unread("a group's links");
  }
  for (const Pointers::Dense& dense : pointers.attributes) {
    if (!ReadDenseMessages(dense, false, object)) Unread("an object's attributes");
  }
  if (!pointers.files.empty()) {
    const auto heap = ReadLocalHeap(pointers.files_heap);
    if (!heap.has_value()) Broken("a list of files without names");
    for (const std::uint64_t name : pointers.files) {
      object.data_files.push_back(heap.has_value() ? HeapText(*heap, name, kMaxPathBytes) : "");
    }
  }
  if (object.layout == Hdf5Layout::kVirtual) ReadVirtualFile(pointers, object);
}

// A B-tree of version 1 over nodes of symbols.
bool Hdf5File::ReadSymbolTable(const Pointers::SymbolTable& table, std::vector<Hdf5Link>& links) {
  const auto heap = ReadLocalHeap(table.heap);
  if (!heap.has_value()) return false;
  std::vector<std::uint64_t> open = {table.tree};
  std::set<std::uint64_t> seen = {table.tree};
  while (!open.empty()) {
    const std::uint64_t node = open.back();
    open.pop_back();
    cursor_.budget().Take(work::kWireField);
    if (!cursor_.Seek(node)) return false;
    if (base::AsText(cursor_.Peek(4)) == "SNOD") {
      if (!ReadSymbols(node, *heap, links)) return false;
      continue;
    }
    if (!bytes_.TakeSignature(node, "TREE")) return false;
    const auto kind = cursor_.U8();
    const auto level = cursor_.U8();
    const auto used = cursor_.U16();
    if (!AllRead(kind, level, used) || *kind != 0 || !cursor_.Skip(2 * bytes_.address_bytes()))
      return false;
    for (std::uint16_t i = 0; i < *used; ++i) {
      cursor_.budget().Take(work::kWireField);
      if (!cursor_.Skip(bytes_.length_bytes())) return false;
      const auto child = bytes_.Address();
      if (!child.has_value() || !seen.insert(*child).second) return false;
      if (seen.size() > kMaxTreeNodes) return false;
      open.push_back(*child);
    }
  }
  return true;
}

bool Hdf5File::ReadSymbols(std::uint64_t place, const Heap& heap, std::vector<Hdf5Link>& links) {
  constexpr std::uint32_t kSymbolicLink = 2;
  struct Symbol {
    std::uint64_t name = 0;
    std::uint64_t object = 0;
    std::uint32_t kind = 0;
  };
  if (!bytes_.TakeSignature(place, "SNOD") || !cursor_.Skip(2)) return false;
  const auto count = cursor_.U16();
  if (!count.has_value()) return false;
  // All of them before their names, so that the cursor jumps once.
  std::vector<Symbol> symbols;
  for (std::uint16_t i = 0; i < *count; ++i) {
    const auto name = bytes_.Number(bytes_.address_bytes());
    const auto object = bytes_.Address();
    const auto kind = cursor_.U32();
    if (!AllRead(name, object, kind) || !cursor_.Skip(20)) return false;
    symbols.push_back({*name, *object, *kind});
  }
  for (const Symbol& symbol : symbols) {
    cursor_.budget().Take(work::kWireField);
    const bool soft = symbol.kind == kSymbolicLink;
    if (links.size() >= kMaxObjects) return Unread("more links than are followed");
    links.push_back({soft ? Hdf5Link::Kind::kSoft : Hdf5Link::Kind::kHard,
                     HeapText(heap, symbol.name, kMaxNameBytes), symbol.object, ""});
    if (cursor_.budget().spent()) return false;
  }
  return true;
}

bool Hdf5File::ReadDenseMessages(const Pointers::Dense& dense, bool links, Hdf5Object& object) {
  auto heap = FractalHeap::Open(bytes_, dense.heap);
  if (!heap.has_value()) return false;
  // The tree is read first: its ids are short, and the cursor jumps less.
  std::vector<std::string> ids;
  const std::size_t begin = links ? kLinkIdBegin : kAttributeIdBegin;
  const bool read =
      ReadHeapIds(bytes_, dense.tree, begin, heap->id_bytes(), [&](const std::string& id) {
        ids.push_back(id);
        return ids.size() < kMaxObjects;
      });
  bool all = read && ids.size() < kMaxObjects;
  for (const std::string& id : ids) {
    if (cursor_.budget().spent()) return false;
    const auto place = heap->Find(id);
    if (!place.has_value() || !cursor_.Seek(place->begin)) {
      all = false;
    } else if (links) {
      all = ReadLink(place->end, object.links) && all;
    } else {
      all = ReadAttribute(*place, object.attributes) && all;
    }
  }
  return all;
}

// Section III.F: a list of pieces, each with the file it comes from. The first says enough, since
// the dataset is read from elsewhere; "." is this file.
void Hdf5File::ReadVirtualFile(const Pointers& pointers, Hdf5Object& object) {
  if (pointers.virtual_heap == Hdf5Bytes::kNowhere) return;
  const auto block = FindInGlobalHeap(pointers.virtual_heap, pointers.virtual_index);
  if (!block.has_value() || !cursor_.Seek(block->begin) ||
      !cursor_.Skip(1 + bytes_.length_bytes())) {
    Broken("a dataset of parts that are not there");
    return;
  }
  std::string file = TextHere(block->end, kMaxPathBytes);
  if (file != ".") object.data_files.push_back(std::move(file));
}

std::optional<Hdf5File::Heap> Hdf5File::ReadLocalHeap(std::uint64_t place) {
  if (!bytes_.TakeSignature(place, "HEAP") || !cursor_.Skip(4)) return std::nullopt;
  const auto size = bytes_.Length();
  if (!size.has_value() || !cursor_.Skip(bytes_.length_bytes())) return std::nullopt;
  const auto begin = bytes_.Address();
  if (!begin.has_value() || *begin > cursor_.end()) return std::nullopt;
  return Heap{*begin, std::min(*size, cursor_.end() - *begin)};
}

std::string Hdf5File::HeapText(const Heap& heap, std::uint64_t offset, std::size_t keep) {
  if (offset >= heap.bytes || !cursor_.Seek(heap.begin + offset)) {
    Broken("a name outside its heap");
    return {};
  }
  return TextHere(heap.begin + heap.bytes, keep);
}

std::string Hdf5File::TextHere(std::uint64_t end, std::size_t keep) {
  const std::uint64_t room = end - std::min(end, cursor_.offset());
  const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(room, keep));
  const std::string_view text = base::AsText(cursor_.Peek(most));
  return std::string(text.substr(0, text.find('\0')));
}

std::optional<Hdf5Range> Hdf5File::FindInGlobalHeap(std::uint64_t place, std::uint32_t index) {
  if (!bytes_.TakeSignature(place, "GCOL") || !cursor_.Skip(4)) return std::nullopt;
  const auto size = bytes_.Length();
  if (!size.has_value() || *size > cursor_.end() - place) return std::nullopt;
  const std::uint64_t end = place + *size;
  const std::uint64_t head_bytes = 8 + bytes_.length_bytes();
  while (cursor_.offset() < end && end - cursor_.offset() >= head_bytes) {
    cursor_.budget().Take(work::kWireField);
    const auto found = cursor_.U16();
    if (!found.has_value() || *found == 0 || !cursor_.Skip(6)) return std::nullopt;
    const auto bytes = bytes_.Length();
    if (!bytes.has_value() || *bytes > end - cursor_.offset()) return std::nullopt;
    if (*found == index) return Hdf5Range{cursor_.offset(), cursor_.offset() + *bytes};
    if (!cursor_.Skip(Padded(*bytes))) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Hdf5Range> Hdf5File::TextOf(const Hdf5Attribute& attribute) {
  if (attribute.elements == 0) return std::nullopt;
  const std::uint64_t room = attribute.value.end - attribute.value.begin;
  if (attribute.type.kind == Hdf5Type::Kind::kText) {
    if (attribute.type.bytes > room) {
      Broken("a text that is longer than its attribute");
      return std::nullopt;
    }
    return Hdf5Range{attribute.value.begin, attribute.value.begin + attribute.type.bytes};
  }
  if (attribute.type.kind != Hdf5Type::Kind::kVariableText) return std::nullopt;
  if (!cursor_.Seek(attribute.value.begin)) return std::nullopt;
  const auto length = cursor_.U32();
  const auto heap = bytes_.Address();
  const auto index = cursor_.U32();
  if (!length.has_value() || !heap.has_value() || !index.has_value()) {
    Broken("a text that ends before it begins");
    return std::nullopt;
  }
  if (*length == 0) return Hdf5Range{attribute.value.begin, attribute.value.begin};
  const auto text = FindInGlobalHeap(*heap, *index);
  if (!text.has_value() || *length > text->end - text->begin) {
    Broken("a text that is not in its heap");
    return std::nullopt;
  }
  return Hdf5Range{text->begin, text->begin + *length};
}

std::optional<std::string> Hdf5File::ReadText(const Hdf5Attribute& attribute, std::size_t keep) {
  const auto place = TextOf(attribute);
  if (!place.has_value() || !cursor_.Seek(place->begin)) return std::nullopt;
  auto text = cursor_.Text(place->end - place->begin, keep);
  if (text.has_value()) text->resize(std::min(text->size(), text->find('\0')));
  return text;
}

}  // namespace weighmaster::agent::formats
