// The element types that the safetensors format knows (safetensors 0.8, tensor.rs, enum Dtype).
#pragma once

#include <string_view>

namespace cohort {

struct SafetensorsDType {
  std::string_view name;
  int bits;
};

inline constexpr SafetensorsDType kSafetensorsDTypes[] = {
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64},
};

// Bits of one element, or 0 for a name that the format does not know.
constexpr int safetensors_bits(std::string_view dtype) {
  for (const SafetensorsDType& known : kSafetensorsDTypes)
    if (known.name == dtype) return known.bits;
  return 0;
}

inline constexpr int64_t kMaxSafetensorsHeader = 100'000'000;  // bytes; the format's own limit

}  // namespace cohort
