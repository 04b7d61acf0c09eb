#include "policy/engine/glob.h"

#include <algorithm>
#include <utility>

#include "policy/engine/text.h"

namespace weighmaster::engine {
namespace {

// The length of the UTF-8 sequence that begins here, judged by its lead byte and the number of
// continuation bytes; 1 for anything else. Pattern and text are cut by the same rule.
std::size_t SymbolLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  std::size_t length = 1;
  if ((lead & 0xe0) == 0xc0) length = 2;
  if ((lead & 0xf0) == 0xe0) length = 3;
  if ((lead & 0xf8) == 0xf0) length = 4;
  if (length > text.size()) return 1;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 1;
  }
  return length;
}

// Takes the first symbol off the text: its bytes in one number, case folded.
std::uint32_t TakeSymbol(std::string_view& text) {
  const std::size_t length = SymbolLength(text);
  std::uint32_t symbol = 0;
  for (const char c : text.substr(0, length)) {
    symbol = (symbol << 8) | static_cast<unsigned char>(FoldCase(c));
  }
  text.remove_prefix(length);
  return symbol;
}

}  // namespace

// A set of tokens that the match has reached, in no order.
class Glob::States {
 public:
  explicit States(std::size_t tokens) : is_member_(tokens + 1) {}

  bool Add(std::size_t token) {
    if (is_member_[token]) return false;
    is_member_[token] = true;
    members_.push_back(token);
    return true;
  }
  void Clear() {
    for (const std::size_t token : members_) is_member_[token] = false;
    members_.clear();
  }
  bool Has(std::size_t token) const { return is_member_[token]; }
  const std::vector<std::size_t>& members() const { return members_; }

 private:
  std::vector<bool> is_member_;
  std::vector<std::size_t> members_;
};

Glob::Glob(std::string_view pattern) {
  bool at_folder_start = true;
  while (!pattern.empty()) {
    if (at_folder_start && pattern.starts_with("**/")) {
      tokens_.push_back({Kind::kFoldersOrNone});
      tokens_.push_back({Kind::kInFolders});
      pattern.remove_prefix(3);
      continue;
    }
    if (pattern.starts_with("**")) {
      tokens_.push_back({Kind::kAnywhere});
      pattern.remove_prefix(2);
      at_folder_start = false;
      continue;
    }
    const bool escaped = pattern.size() > 1 && pattern[0] == '\\';
    if (escaped) pattern.remove_prefix(1);
    const std::uint32_t symbol = TakeSymbol(pattern);
    if (!escaped && symbol == '*') {
      tokens_.push_back({Kind::kInName});
    } else if (!escaped && symbol == '?') {
      tokens_.push_back({Kind::kAnySymbol});
    } else {
      tokens_.push_back({Kind::kSymbol, symbol});
    }
    at_folder_start = symbol == '/';
  }
}

// Adds a token and everything that is reached from it without consuming a symbol.
void Glob::Enter(States& states, std::size_t token) const {
  while (states.Add(token) && token < tokens_.size()) {
    const Kind kind = tokens_[token].kind;
    if (kind == Kind::kFoldersOrNone) {
      states.Add(token + 1);
      token += 2;
    } else if (kind == Kind::kInName || kind == Kind::kAnywhere) {
      ++token;
    } else {
      return;
    }
  }
}

void Glob::Step(const States& from, std::uint32_t symbol, States& to) const {
  for (const std::size_t token : from.members()) {
    if (token == tokens_.size()) continue;
    switch (tokens_[token].kind) {
      case Kind::kSymbol:
        if (tokens_[token].symbol == symbol) Enter(to, token + 1);
        break;
      case Kind::kAnySymbol:
        if (symbol != '/') Enter(to, token + 1);
        break;
      case Kind::kInName:
        if (symbol != '/') Enter(to, token);
        break;
      case Kind::kAnywhere:
        Enter(to, token);
        break;
      case Kind::kFoldersOrNone:
        break;
      case Kind::kInFolders:
        to.Add(token);
        if (symbol == '/') Enter(to, token + 1);
        break;
    }
  }
}

bool Glob::Follow(std::string_view text, States& now) const {
  States next(tokens_.size());
  Enter(now, 0);
  while (!text.empty() && !now.members().empty()) {
    next.Clear();
    Step(now, TakeSymbol(text), next);
    std::swap(now, next);
  }
  return text.empty();
}

bool Glob::Matches(std::string_view text) const {
  States reached(tokens_.size());
  return Follow(text, reached) && reached.Has(tokens_.size());
}

// From every token there is a text that leads to the end.
bool Glob::MatchesSomeAfter(std::string_view start) const {
  States reached(tokens_.size());
  return Follow(start, reached) && !reached.members().empty();
}

// Every other kind of token takes something else than a '/', or nothing.
bool Glob::MatchesSomeName() const {
  return std::ranges::none_of(tokens_, [](const Token& token) {
    return token.kind == Kind::kSymbol && token.symbol == '/';
  });
}

}  // namespace weighmaster::engine
