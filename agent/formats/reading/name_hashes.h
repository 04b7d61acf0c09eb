#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace weighmaster::agent::formats {

// Which names a header has given, eight bytes for each. They are sorted rather than put into a hash
// table, whose buckets a hostile file could fill one after the other.
class NameHashes {
 public:
  void Add(std::uint64_t hash) { hashes_.push_back(hash); }
  void Add(std::string_view name) { Add(std::hash<std::string_view>{}(name)); }

  // Whether some name was added twice. Sorts what was added.
  bool HoldOneTwice();

 private:
  std::vector<std::uint64_t> hashes_;
};

}  // namespace weighmaster::agent::formats
