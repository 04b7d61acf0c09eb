#pragma once

#include <cstdint>
#include <string_view>

namespace weighmaster::agent::formats {

// Looks, byte by byte, for a Jinja chat template that reaches for Python's internals: two
// underscores, or one spelled as an escape, inside {{ }} or {% %}. A quoted text inside such a
// block is part of it, also when it holds the closing mark. Templates of well-meaning models have
// neither.
class ChatTemplateScan {
 public:
  void Feed(std::string_view text);
  bool reaches_python() const { return reaches_python_; }

 private:
  enum class Place : std::uint8_t { kText, kComment, kBlock, kQuoted };

  void FeedOne(char c);
  bool TailIs(std::string_view lower_case) const;

  Place place_ = Place::kText;
  char quote_ = '"';
  bool escaped_ = false;
  // The last bytes, newest in the lowest byte, in lower case; cleared where a token ends.
  std::uint64_t tail_ = 0;
  bool reaches_python_ = false;
};

}  // namespace weighmaster::agent::formats
