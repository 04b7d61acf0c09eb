#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "policy/base/limits.h"

namespace weighmaster::agent::formats {

// What a pickle remembers, by key. Picklers count their keys, Python 2's from 1 and all others from
// 0, so those are places of an array; any others (a hostile file may choose them) are few and in a
// tree, where no choice of keys makes them slow.
template <typename Value>
class PickleMemo {
 public:
  // Both kinds of keys.
  std::size_t size() const { return dense_.size() + sparse_.size(); }

  // False: there is no room, and the value is lost.
  bool Put(std::uint64_t key, Value value) {
    if (dense_.empty() && key <= 1) first_ = key;
    if (IsDense(key)) {
      dense_[static_cast<std::size_t>(key - first_)] = value;
    } else if (key == next()) {
      if (dense_.size() == base::limits::kMaxPickleMemo) return false;
      dense_.push_back(value);
      sparse_.erase(key);
    } else {
      const bool full = sparse_.size() == base::limits::kMaxPickleSparseMemo;
      if (full && sparse_.count(key) == 0) return false;
      sparse_[key] = value;
    }
    return true;
  }

  // The key that would make the array longer by one.
  std::uint64_t next() const { return first_ + dense_.size(); }
  // Whether the key has a place in the array.
  bool IsDense(std::uint64_t key) const { return key >= first_ && key - first_ < dense_.size(); }

  // Null where nothing is remembered. Valid until the next Put.
  const Value* Find(std::uint64_t key) const {
    if (IsDense(key)) return &dense_[static_cast<std::size_t>(key - first_)];
    const auto found = sparse_.find(key);
    return found == sparse_.end() ? nullptr : &found->second;
  }

 private:
  std::uint64_t first_ = 0;
  std::vector<Value> dense_;
  std::map<std::uint64_t, Value> sparse_;
};

}  // namespace weighmaster::agent::formats
