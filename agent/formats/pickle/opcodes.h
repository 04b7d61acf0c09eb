#pragma once

#include <cstdint>
#include <string_view>

#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {

// What follows an opcode in the stream.
enum class PickleArgument : std::uint8_t {
  kNone,
  kFixed1,
  kFixed2,
  kFixed4,
  kFixed8,
  kLine,      // a text up to '\n'
  kTwoLines,  // a module and a name, each up to '\n'
  kLength1,   // that many bytes after a length of 1, 4 or 8 bytes, little-endian
  kLength4,
  kLength8,
};

// One opcode and what it does to the stack: takes everything above the topmost mark and the mark
// (to_mark), then `pops` items, then leaves `pushes`. Source: Lib/pickletools.py of CPython.
struct PickleOpcode {
  std::uint8_t code = 0;
  std::string_view name;
  PickleArgument argument = PickleArgument::kNone;
  std::uint8_t pops = 0;
  std::uint8_t pushes = 0;
  bool to_mark = false;
};

enum PickleCode : std::uint8_t {
  kMark = 0x28,
  kEmptyTuple = 0x29,
  kStop = 0x2e,
  kPop = 0x30,
  kPopMark = 0x31,
  kDup = 0x32,
  kBinbytes = 0x42,
  kShortBinbytes = 0x43,
  kInt = 0x49,
  kBinint = 0x4a,
  kBinint1 = 0x4b,
  kLong = 0x4c,
  kBinint2 = 0x4d,
  kPersid = 0x50,
  kBinpersid = 0x51,
  kReduce = 0x52,
  kString = 0x53,
  kBinstring = 0x54,
  kShortBinstring = 0x55,
  kUnicode = 0x56,
  kBinunicode = 0x58,
  kBuild = 0x62,
  kGlobal = 0x63,
  kGet = 0x67,
  kBinget = 0x68,
  kInst = 0x69,
  kLongBinget = 0x6a,
  kObj = 0x6f,
  kPut = 0x70,
  kBinput = 0x71,
  kLongBinput = 0x72,
  kSetitems = 0x75,
  kTuple = 0x74,
  kProto = 0x80,
  kNewobj = 0x81,
  kExt1 = 0x82,
  kExt2 = 0x83,
  kExt4 = 0x84,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kLong1 = 0x8a,
  kShortBinunicode = 0x8c,
  kBinunicode8 = 0x8d,
  kBinbytes8 = 0x8e,
  kNewobjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kBytearray8 = 0x96,
};

// Nothing where the byte is no opcode.
const PickleOpcode* FindPickleOpcode(std::uint8_t code);

// Whether a stream that begins with `head`, of `size` bytes in all, is a pickle: either a loader
// reaches the end of it, or it goes far enough to import and call something before it breaks, or it
// is one for as far as `head` shows. Walks over `head` only, within its bounds, and allocates
// nothing.
bool LooksLikePickle(base::ByteView head, std::uint64_t size);

}  // namespace weighmaster::agent::formats
