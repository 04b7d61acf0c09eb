#include "agent/formats/grammars/text_line.h"

#include <cstdint>

namespace weighmaster::agent::formats {

std::optional<std::string> TextLine(Cursor& cursor, std::size_t keep) {
  if (cursor.remaining() == 0) return std::nullopt;
  cursor.budget().Take(work::kOpcodeLine);
  const std::uint64_t begin = cursor.offset();
  std::optional<std::string> line = cursor.Line(keep);
  if (!line.has_value()) {
    if (cursor.failure() != ReadFailure::kEnd || !cursor.Seek(begin)) return std::nullopt;
    line = cursor.Text(cursor.remaining(), keep);
  }
  if (line.has_value() && !line->empty() && line->back() == '\r') line->pop_back();
  return line;
}

}  // namespace weighmaster::agent::formats
