#include "agent/formats/reading/chat_template.h"

namespace weighmaster::agent::formats {
namespace {

// The ways in which a Python text can spell an underscore with an escape.
constexpr std::string_view kEscapedUnderscores[] = {"\\x5f", "\\u005f", "0000005f", "\\137",
                                                    "\\n{low "};

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

void ChatTemplateScan::Feed(std::string_view text) {
  for (const char c : text) FeedOne(c);
}

bool ChatTemplateScan::TailIs(std::string_view lower_case) const {
  std::uint64_t tail = tail_;
  for (std::size_t i = lower_case.size(); i > 0; --i) {
    if (static_cast<char>(tail & 0xff) != lower_case[i - 1]) return false;
    tail >>= 8;
  }
  return true;
}

void ChatTemplateScan::FeedOne(char c) {
  tail_ = (tail_ << 8) | static_cast<unsigned char>(ToLower(c));
  if (place_ == Place::kText) {
    if (TailIs("{{") || TailIs("{%")) place_ = Place::kBlock, tail_ = 0;
    if (TailIs("{#")) place_ = Place::kComment, tail_ = 0;
    return;
  }
  if (place_ == Place::kComment) {
    if (TailIs("#}")) place_ = Place::kText, tail_ = 0;
    return;
  }
  if (TailIs("__")) reaches_python_ = true;
  for (const std::string_view escape : kEscapedUnderscores) {
    if (TailIs(escape)) reaches_python_ = true;
  }
  if (place_ == Place::kQuoted) {
    if (!escaped_ && c == quote_) place_ = Place::kBlock;
    escaped_ = !escaped_ && c == '\\';
    return;
  }
  if (c == '\'' || c == '"') {
    place_ = Place::kQuoted, quote_ = c, escaped_ = false;
  } else if (TailIs("}}") || TailIs("%}")) {
    place_ = Place::kText, tail_ = 0;
  }
}

}  // namespace weighmaster::agent::formats
