// The block formats of GGUF tensors, and how they become numbers. Formulas: ggml, ggml-quants.c,
// dequantize_row_*.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cohort {

struct GgufQuant {
  uint32_t id;            // the file's number
  std::string_view name;  // ggml's
  int64_t block_values, block_bytes;
  // One block to floats. The products are exact in float32 (scale 11 bits, sub-scale 7, quant 6),
  // so no machine rounds them differently.
  void (*decode)(const std::byte* block, float* out);
};

// F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q6_K; null for all others.
const GgufQuant* find_gguf_quant(uint32_t id);
// ggml's name of any type, or words that say that it has none.
std::string_view gguf_quant_name(uint32_t id);
inline constexpr std::string_view kSupportedGgufQuants = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q6_K";

}  // namespace cohort
