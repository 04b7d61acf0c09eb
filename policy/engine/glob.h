#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace weighmaster::engine {

// A compiled glob over a whole text, the case of ASCII letters ignored:
//
//   *     any characters but '/', also none
//   ?     one character but '/' (one UTF-8 sequence; a byte where the text is not UTF-8)
//   **    any characters, '/' too, also none
//   **/   at the start or after a '/': any number of whole folders, also none
//   \c    the character c itself
//
// Matching follows all states at once instead of backtracking, so it takes at most
// (length of the text) × (length of the pattern) steps, whatever either holds. A value.
class Glob {
 public:
  explicit Glob(std::string_view pattern);
  bool Matches(std::string_view text) const;
  // Whether it matches any text at all that begins with `start`, which ends in a whole character.
  bool MatchesSomeAfter(std::string_view start) const;
  // Whether it matches any text at all that has no '/' in it.
  bool MatchesSomeName() const;

 private:
  enum class Kind : std::uint8_t {
    kSymbol,
    kAnySymbol,      // ?
    kInName,         // *: loops
    kAnywhere,       // **: loops
    kFoldersOrNone,  // the start of **/: consumes nothing
    kInFolders,      // the rest of **/: loops, leaves at a '/'
  };
  struct Token {
    Kind kind = Kind::kSymbol;
    std::uint32_t symbol = 0;
  };
  class States;

  void Enter(States& states, std::size_t token) const;
  void Step(const States& from, std::uint32_t symbol, States& to) const;
  // Follows the text until it ends or no state is left; returns whether it came to the end.
  bool Follow(std::string_view text, States& now) const;

  std::vector<Token> tokens_;
};

}  // namespace weighmaster::engine
