#include "agent/formats/recognise.h"

#include <algorithm>

#include "agent/formats/readers.h"
#include "agent/formats/reading/cursor.h"

namespace weighmaster::agent::formats {

// Nothing that we know is recognised by its tail yet; callers read it for the formats that will be.
model::Format Sniff(base::ByteView head, base::ByteView /*tail*/, std::uint64_t file_size) {
  for (const Reader& reader : Readers()) {
    if (reader.looks_like(head, file_size)) return reader.format;
  }
  return model::Format::kUnknown;
}

model::Facts Parse(ByteSource& source) {
  WorkBudget budget;
  Cursor cursor(source, budget);
  const base::ByteView head = cursor.Peek(
      static_cast<std::size_t>(std::min<std::uint64_t>(Cursor::kPeekBytes, source.size())));
  for (const Reader& reader : Readers()) {
    if (!reader.looks_like(head, source.size())) continue;
    model::Facts facts = reader.parse(source, budget);
    if (facts.format != model::Format::kUnknown) return facts;
  }
  return {};
}

}  // namespace weighmaster::agent::formats
