#include "agent/formats/tensors/element_type.h"

namespace weighmaster::agent::formats {
namespace {

// The names are part of the weights digest: a row may be added and none may change.
// Plain types as safetensors names them; blocks from ggml-common.h and ggml.c (type_traits).
constexpr ElementType kElementTypes[] = {
    {"BOOL", 1, 1, 1},        {"U8", 1, 1, 1},         {"I8", 1, 1, 1},
    {"F8_E4M3", 1, 1, 1},     {"F8_E5M2", 1, 1, 1},    {"F8_E4M3FNUZ", 1, 1, 1},
    {"F8_E5M2FNUZ", 1, 1, 1}, {"F8_E8M0", 1, 1, 1},    {"U16", 1, 2, 2},
    {"I16", 1, 2, 2},         {"F16", 1, 2, 2},        {"BF16", 1, 2, 2},
    {"U32", 1, 4, 4},         {"I32", 1, 4, 4},        {"F32", 1, 4, 4},
    {"C32", 1, 4, 2},         {"U64", 1, 8, 8},        {"I64", 1, 8, 8},
    {"F64", 1, 8, 8},         {"C64", 1, 8, 4},        {"C128", 1, 16, 8},
    {"F4", 2, 1, 1},          {"I4", 2, 1, 1},         {"U4", 2, 1, 1},
    {"I2", 4, 1, 1},          {"U2", 4, 1, 1},         {"F6_E2M3", 4, 3, 1},
    {"F6_E3M2", 4, 3, 1},     {"Q4_0", 32, 18, 0},     {"Q4_1", 32, 20, 0},
    {"Q5_0", 32, 22, 0},      {"Q5_1", 32, 24, 0},     {"Q8_0", 32, 34, 0},
    {"Q8_1", 32, 36, 0},      {"Q2_K", 256, 84, 0},    {"Q3_K", 256, 110, 0},
    {"Q4_K", 256, 144, 0},    {"Q5_K", 256, 176, 0},   {"Q6_K", 256, 210, 0},
    {"Q8_K", 256, 292, 0},    {"IQ2_XXS", 256, 66, 0}, {"IQ2_XS", 256, 74, 0},
    {"IQ3_XXS", 256, 98, 0},  {"IQ1_S", 256, 50, 0},   {"IQ4_NL", 32, 18, 0},
    {"IQ3_S", 256, 110, 0},   {"IQ2_S", 256, 82, 0},   {"IQ4_XS", 256, 136, 0},
    {"IQ1_M", 256, 56, 0},    {"TQ1_0", 256, 54, 0},   {"TQ2_0", 256, 66, 0},
    {"MXFP4", 32, 17, 0},     {"NVFP4", 64, 36, 0},    {"Q1_0", 128, 18, 0},
};

}  // namespace

std::span<const ElementType> ElementTypes() { return kElementTypes; }

const ElementType* FindElementType(std::string_view name) {
  for (const ElementType& type : kElementTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

std::optional<std::uint64_t> BytesOf(const ElementType& type, std::span<const std::uint64_t> dims) {
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : dims) {
    if (__builtin_mul_overflow(elements, extent, &elements)) return std::nullopt;
  }
  const std::uint64_t innermost = dims.empty() ? 1 : dims.back();
  const std::uint64_t whole = type.has_blocks_in_rows() ? innermost : elements;
  std::uint64_t bytes = 0;
  if (whole % type.block_elements != 0 ||
      __builtin_mul_overflow(elements / type.block_elements, std::uint64_t{type.block_bytes},
                             &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace weighmaster::agent::formats
