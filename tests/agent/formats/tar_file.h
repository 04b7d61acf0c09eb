#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {

// Builds tar archives header by header, as POSIX and GNU define them, and the ways in which hostile
// ones lie.
class TarFile {
 public:
  struct Header {
    std::string name;
    std::string content;
    char type = '0';
    std::string link;
    std::string prefix;
    std::string size_field;                    // when it is not the content's own
    std::string_view magic{"ustar\00000", 8};  // of 8 bytes; "" in the oldest archives
    int checksum_off_by = 0;
  };

  TarFile& Add(const Header& header) {
    std::array<char, 512> block{};
    const auto put = [&](std::size_t at, std::string_view text) {
      std::copy(text.begin(), text.end(), block.begin() + static_cast<std::ptrdiff_t>(at));
    };
    put(0, header.name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, header.size_field.empty() ? Octal(header.content.size(), 11) : header.size_field);
    put(136, "00000000000");
    put(148, "        ");
    block[156] = header.type;
    put(157, header.link);
    put(257, header.magic);
    put(345, header.prefix);
    std::uint64_t sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    put(148,
        Octal(sum + static_cast<std::uint64_t>(header.checksum_off_by), 6) + std::string(1, '\0'));
    bytes_.insert(bytes_.end(), block.begin(), block.end());
    bytes_.insert(bytes_.end(), header.content.begin(), header.content.end());
    bytes_.resize((bytes_.size() + 511) / 512 * 512);
    return *this;
  }
  TarFile& Add(std::string name, std::string content) {
    Header header;
    header.name = std::move(name);
    header.content = std::move(content);
    return Add(header);
  }
  TarFile& Add(std::string name, std::string content, char type, std::string link = {}) {
    Header header;
    header.name = std::move(name);
    header.content = std::move(content);
    header.type = type;
    header.link = std::move(link);
    return Add(header);
  }

  // One record of an extended header, with its own length before it.
  static std::string Record(const std::string& key, const std::string& value) {
    const std::string rest = " " + key + "=" + value + "\n";
    std::size_t length = rest.size() + 1;
    while (std::to_string(length).size() + rest.size() != length) ++length;
    return std::to_string(length) + rest;
  }

  std::size_t size() const { return bytes_.size(); }
  base::Bytes WithoutEnd() const { return bytes_; }
  base::Bytes Take() {
    bytes_.resize(bytes_.size() + 1'024);
    return std::move(bytes_);
  }

 private:
  static std::string Octal(std::uint64_t value, std::size_t digits) {
    std::string text(digits, '0');
    for (std::size_t i = digits; i-- > 0; value /= 8) text[i] = static_cast<char>('0' + value % 8);
    return text;
  }

  base::Bytes bytes_;
};

}  // namespace weighmaster::agent::formats
