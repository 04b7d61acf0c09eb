#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/formats/keras/hdf5_bytes.h"
#include "agent/formats/keras/hdf5_type.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {

// Something that an object says of itself; its value stays in the file.
struct Hdf5Attribute {
  std::string name;  // the beginning of it, as of all names here
  Hdf5Type type;
  std::uint64_t elements = 1;
  Hdf5Range value;
};

// A group's entry for another object.
struct Hdf5Link {
  enum class Kind : std::uint8_t { kHard, kSoft, kExternal };
  Kind kind = Kind::kHard;
  std::string name;
  std::uint64_t place = 0;  // of the object: a hard link
  std::string file;         // that holds it: an external one
};

enum class Hdf5Layout : std::uint8_t {
  kUnknown,
  kCompact,
  kContiguous,
  kChunked,
  kVirtual,  // put together from other datasets, perhaps of other files
};

// What is kept of an object: a dataset has a layout, a group may have links.
struct Hdf5Object {
  std::vector<Hdf5Attribute> attributes;
  std::vector<Hdf5Link> links;
  bool is_dataset = false;
  std::optional<Hdf5Type> type;
  std::vector<std::uint64_t> dims;  // outermost first
  bool has_no_elements = false;     // by its dataspace, whatever its extents
  Hdf5Layout layout = Hdf5Layout::kUnknown;
  bool filtered = false;
  // Of compact and contiguous data; nothing where no place was taken yet. How many bytes there are
  // does not stand in the oldest files.
  std::optional<std::uint64_t> data;
  std::optional<std::uint64_t> data_bytes;
  std::vector<std::string> data_files;  // other files that the elements lie in

  const Hdf5Attribute* FindAttribute(std::string_view name) const;
};

// Whether the signature of HDF5 stands at one of the places where the library looks for it, within
// the first bytes, before a superblock that can be one.
bool LooksLikeHdf5(const FileEnds& file);

// An HDF5 file: superblocks 0 to 3, object headers 1 and 2, old groups (symbol tables) and new ones
// (links, also dense ones), attributes 1 to 3, global heaps.
// https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t4.html
// Nothing of it is believed: each object is read once however many links lead to it, and what can
// be followed has limits. Checksums are not compared. Rules that are broken, and parts that were
// not read, are told to `risks`. Cursor and risks must outlive it. Not thread-safe.
class Hdf5File {
 public:
  Hdf5File(Cursor& cursor, RiskList& risks) : cursor_(cursor), bytes_(cursor), risks_(risks) {}

  // Reads the superblock; false where there is none that can be read.
  bool Open();

  // Gives `visit` every object that links lead to, the root ("") first, each by the path of the
  // first link to it ("/layers/dense"). Ends when it returns false.
  void Walk(const std::function<bool(const std::string& path, const Hdf5Object& object)>& visit);

  // Where the text of an attribute lies, its first one when it has several.
  std::optional<Hdf5Range> TextOf(const Hdf5Attribute& attribute);
  // The beginning of it, without the zeros that fill it up.
  std::optional<std::string> ReadText(const Hdf5Attribute& attribute, std::size_t keep);

  // Whether everything was read: objects, links and attributes.
  bool whole() const { return whole_; }

 private:
  // What the messages of one object's header point to, read when they all were.
  struct Pointers {
    struct SymbolTable {
      std::uint64_t tree = 0;
      std::uint64_t heap = 0;
    };
    struct Dense {
      std::uint64_t heap = 0;
      std::uint64_t tree = 0;
    };
    std::vector<SymbolTable> symbols;
    std::vector<Dense> links;
    std::vector<Dense> attributes;
    std::uint64_t files_heap = 0;
    std::vector<std::uint64_t> files;  // offsets of their names there
    std::uint64_t virtual_heap = Hdf5Bytes::kNowhere;
    std::uint32_t virtual_index = 0;
  };
  struct Message {
    std::uint32_t type = 0;
    std::uint8_t flags = 0;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  // A stretch of messages.
  struct Block {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  struct Heap {
    std::uint64_t begin = 0;
    std::uint64_t bytes = 0;
  };

  bool ReadSuperblock(std::uint64_t place);
  std::optional<Hdf5Object> ReadObject(std::uint64_t place);
  bool ReadHeader(std::uint64_t place, Hdf5Object& object, Pointers& pointers);
  bool ReadOldPrefix(Block& block);
  bool ReadNewPrefix(Block& block, bool& has_order);
  bool ReadContinuation(bool newer, std::vector<Block>& blocks);
  bool ReadMessage(const Message& message, Hdf5Object& object, Pointers& pointers);
  bool ReadDataspace(std::vector<std::uint64_t>& dims, bool& has_no_elements);
  bool ReadLayout(const Message& message, Hdf5Object& object, Pointers& pointers);
  bool ReadOldLayout(Hdf5Object& object);
  bool ReadFilters(Hdf5Object& object);
  bool ReadFileList(Pointers& pointers);
  bool ReadDense(bool wide_order, std::vector<Pointers::Dense>& found);
  bool ReadLink(std::uint64_t end, std::vector<Hdf5Link>& links);
  bool ReadAttribute(Hdf5Range message, std::vector<Hdf5Attribute>& attributes);
  void Follow(const Pointers& pointers, Hdf5Object& object);
  bool ReadSymbolTable(const Pointers::SymbolTable& table, std::vector<Hdf5Link>& links);
  bool ReadSymbols(std::uint64_t place, const Heap& heap, std::vector<Hdf5Link>& links);
  bool ReadDenseMessages(const Pointers::Dense& dense, bool links, Hdf5Object& object);
  void ReadVirtualFile(const Pointers& pointers, Hdf5Object& object);
  std::optional<Heap> ReadLocalHeap(std::uint64_t place);
  std::string HeapText(const Heap& heap, std::uint64_t offset, std::size_t keep);
  // Up to a zero.
  std::string TextHere(std::uint64_t end, std::size_t keep);
  std::optional<Hdf5Range> FindInGlobalHeap(std::uint64_t place, std::uint32_t index);

  // That a rule is broken, named with the place the cursor stands at; false.
  bool Broken(std::string_view what);
  // That something was left out, which breaks no rule; true.
  bool Unread(std::string_view what);

  Cursor& cursor_;
  Hdf5Bytes bytes_;
  RiskList& risks_;
  std::uint64_t root_ = 0;
  bool whole_ = true;
};

}  // namespace weighmaster::agent::formats
