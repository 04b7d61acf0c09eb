#include "agent/formats/grammars/protobuf_probe.h"

#include <algorithm>

namespace weighmaster::agent::formats {

bool ProtobufProbe::ReadVarint(std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (head_.empty()) {
      end_ = left_ == 0 ? End::kNumber : End::kHead;
      return false;
    }
    const std::uint8_t byte = head_.front();
    head_ = head_.subspan(1);
    --left_;
    value |= shift < 64 ? std::uint64_t{byte & 0x7fU} << shift : 0;
    if ((byte & 0x80) == 0) return true;
  }
  end_ = End::kNumber;
  return false;
}

std::optional<ProbedField> ProtobufProbe::Next() {
  if (end_ != End::kNone) return std::nullopt;
  if (left_ == 0) {
    end_ = End::kWhole;
    return std::nullopt;
  }
  std::uint64_t tag = 0;
  if (!ReadVarint(tag)) return std::nullopt;
  ProbedField field;
  field.number = static_cast<std::uint32_t>(tag >> 3);
  field.type = static_cast<WireType>(tag & 7);
  const bool known = field.type == WireType::kVarint || field.type == WireType::kBytes ||
                     field.type == WireType::kFixed64 || field.type == WireType::kFixed32;
  if (tag >> 3 == 0 || tag >> 32 != 0 || !known) {
    end_ = End::kNoField;
    return std::nullopt;
  }
  if (field.type == WireType::kVarint) {
    return ReadVarint(field.value) ? std::optional(field) : std::nullopt;
  }
  field.length = field.type == WireType::kFixed64 ? 8 : 4;
  if (field.type == WireType::kBytes && !ReadVarint(field.length)) return std::nullopt;
  const auto inside = static_cast<std::size_t>(std::min<std::uint64_t>(field.length, head_.size()));
  field.content = head_.first(inside);
  field.fits = field.length <= left_;
  if (!field.fits) end_ = End::kCutOff;
  head_ = head_.subspan(inside);
  left_ -= std::min(field.length, left_);
  return field;
}

bool LooksLikeText(const ProbedField& field) {
  if (field.type != WireType::kBytes) return false;
  std::string_view text = base::AsText(field.content);
  const bool control = std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f;
  });
  if (control) return false;
  if (field.is_whole()) return base::IsUtf8(text);
  // At most three bytes of a character can be on this side of the cut.
  for (std::size_t cut = 0; cut < 4 && cut <= text.size(); ++cut) {
    if (base::IsUtf8(text.substr(0, text.size() - cut))) return true;
  }
  return false;
}

}  // namespace weighmaster::agent::formats
