#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weighmaster::tests {

// Little-endian.
inline std::string Number(std::uint64_t value, std::size_t bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(i < 8 ? value >> (8 * i) : 0);
  return out;
}

inline std::string Padded8(std::string text) {
  text.resize((text.size() + 7) / 8 * 8);
  return text;
}

// Builds HDF5 files from the specification: as the library writes them by default (superblock 0,
// symbol tables), or newer (superblock 2, links as messages). Objects come first, then the root.
class Hdf5Writer {
 public:
  struct Message {
    std::uint32_t type = 0;
    std::string body;
  };
  using Links = std::vector<std::pair<std::string, std::uint64_t>>;

  // `before`: bytes of another kind that the file begins with.
  explicit Hdf5Writer(bool newer = false, std::size_t before = 0) : newer_(newer), before_(before) {
    bytes_.resize(newer ? 48 : 96);
  }

  // Returns the address.
  std::uint64_t Put(const std::string& bytes) {
    bytes_ = Padded8(std::move(bytes_));
    const std::uint64_t address = bytes_.size();
    bytes_ += bytes;
    return address;
  }

  std::uint64_t Object(const std::vector<Message>& messages) {
    std::string body;
    for (const Message& message : messages) {
      if (newer_) {
        body += Number(message.type, 1) + Number(message.body.size(), 2) + Number(0, 1);
        body += message.body;
      } else {
        const std::string padded = Padded8(message.body);
        body += Number(message.type, 2) + Number(padded.size(), 2) + Number(0, 4) + padded;
      }
    }
    if (newer_) return Put("OHDR\x02\x02" + Number(body.size(), 4) + body + Number(0, 4));
    return Put(Number(1, 2) + Number(messages.size(), 2) + Number(1, 4) + Number(body.size(), 4) +
               Number(0, 4) + body);
  }

  static std::string Float32() {
    return Number(0x001f2011, 4) + Number(4, 4) + Number(0, 2) + Number(32, 2) +
           std::string("\x17\x08\x00\x17", 4) + Number(127, 4);
  }
  static std::string Text(std::size_t bytes) { return Number(0x13, 4) + Number(bytes, 4); }
  static std::string VariableText() { return Number(0x0119, 4) + Number(16, 4) + Text(1); }
  static std::string Opaque2() { return Number(0x15, 4) + Number(2, 4); }

  static std::string Space(const std::vector<std::uint64_t>& dims) {
    std::string out = Number(1, 1) + Number(dims.size(), 1) + Number(0, 6);
    for (const std::uint64_t extent : dims) out += Number(extent, 8);
    return out;
  }

  // A contiguous dataset whose data is `data`.
  std::uint64_t Dataset(const std::string& type, const std::vector<std::uint64_t>& dims,
                        const std::string& data, std::vector<Message> more = {}) {
    const std::uint64_t place = Put(data);
    more.push_back({0x01, Space(dims)});
    more.push_back({0x03, type});
    more.push_back({0x08, Number(0x0103, 2) + Number(place, 8) + Number(data.size(), 8)});
    return Object(more);
  }

  static Message Attribute(const std::string& name, const std::string& type,
                           const std::string& value) {
    const std::string name0 = name + std::string(1, '\0');
    const std::string space = Space({});
    return {0x0c, Number(1, 2) + Number(name0.size(), 2) + Number(type.size(), 2) +
                      Number(space.size(), 2) + Padded8(name0) + Padded8(type) + Padded8(space) +
                      value};
  }
  static Message FixedText(const std::string& name, const std::string& text) {
    return Attribute(name, Text(text.size()), text);
  }
  // As h5py writes a text: in the global heap, here as its second object.
  Message VariableTextAttribute(const std::string& name, const std::string& text) {
    const auto object = [](std::uint64_t index, const std::string& value) {
      return Number(index, 2) + Number(1, 2) + Number(0, 4) + Number(value.size(), 8) +
             Padded8(value);
    };
    const std::string objects = object(1, "another") + object(2, text) + object(0, "");
    const std::uint64_t heap =
        Put("GCOL" + Number(1, 4) + Number(16 + objects.size(), 8) + objects);
    return Attribute(name, VariableText(), Number(text.size(), 4) + Number(heap, 8) + Number(2, 4));
  }

  static Message HardLink(const std::string& name, std::uint64_t address) {
    return {0x06, Number(0x0001, 2) + Number(name.size(), 1) + name + Number(address, 8)};
  }
  static Message ExternalLink(const std::string& name, const std::string& file) {
    const std::string value = std::string(1, '\0') + file + std::string("\0/there\0", 8);
    return {0x06, Number(0x0801, 2) + Number(64, 1) + Number(name.size(), 1) + name +
                      Number(value.size(), 2) + value};
  }

  // What makes an object a group of these.
  std::vector<Message> Group(const Links& links) {
    std::vector<Message> messages;
    if (newer_) {
      for (const auto& [name, address] : links) messages.push_back(HardLink(name, address));
      return messages;
    }
    std::string names(8, '\0');
    std::string symbols;
    for (const auto& [name, address] : links) {
      symbols += Number(names.size(), 8) + Number(address, 8) + Number(0, 24);
      names += Padded8(name + std::string(1, '\0'));
    }
    const std::uint64_t data = Put(names);
    const std::uint64_t heap =
        Put("HEAP" + Number(0, 4) + Number(names.size(), 8) + Number(1, 8) + Number(data, 8));
    const std::uint64_t node = Put("SNOD" + Number(1, 2) + Number(links.size(), 2) + symbols);
    const std::uint64_t tree =
        Put("TREE" + Number(0, 2) + Number(1, 2) + Number(~0ULL, 8) + Number(~0ULL, 8) +
            Number(0, 8) + Number(node, 8) + Number(8, 8));
    messages.push_back({0x11, Number(tree, 8) + Number(heap, 8)});
    return messages;
  }

  std::string Build(std::uint64_t root) const {
    const std::string signature("\x89HDF\r\n\x1a\n", 8);
    // The end counts from the beginning of the file.
    const std::uint64_t end = before_ + bytes_.size();
    std::string start;
    if (newer_) {
      start = signature + std::string("\x02\x08\x08\x00", 4) + Number(before_, 8) +
              Number(~0ULL, 8) + Number(end, 8) + Number(root, 8) + Number(0, 4);
    } else {
      start = signature + Number(0, 5) + Number(8, 1) + Number(8, 1) + Number(0, 1) + Number(4, 2) +
              Number(16, 2) + Number(0, 4) + Number(before_, 8) + Number(~0ULL, 8) +
              Number(end, 8) + Number(~0ULL, 8) + Number(0, 8) + Number(root, 8) + Number(0, 24);
    }
    return std::string(before_, '#') + start + bytes_.substr(start.size());
  }

 private:
  bool newer_;
  std::size_t before_;
  std::string bytes_;
};

}  // namespace weighmaster::tests
