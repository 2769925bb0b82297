// Decoders of the block formats.
#include "model/formats/gguf_quants.h"

#include <cstring>

#include "model/formats/half.h"
#include "model/tensor.h"

namespace cohort {
namespace {

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

float load_half(const std::byte* at) { return half_to_float(load<uint16_t>(at)); }

void decode_f32(const std::byte* block, float* out) { *out = load<float>(block); }
void decode_f16(const std::byte* block, float* out) { *out = load_half(block); }
void decode_bf16(const std::byte* block, float* out) {
  *out = to_float(bf16{load<uint16_t>(block)});
}

// {half scale; int8 quants[32]}
void decode_q8_0(const std::byte* block, float* out) {
  const float scale = load_half(block);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(load<int8_t>(block + 2 + i));
}

// Half a byte each: the low halves are the first 16 values, the high halves the last 16.
int low(std::byte b) { return std::to_integer<int>(b) & 15; }
int high(std::byte b) { return std::to_integer<int>(b) >> 4; }

// {half scale; uint8 quants[16]}
void decode_q4_0(const std::byte* block, float* out) {
  const float scale = load_half(block);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(low(block[2 + i]) - 8);
    out[i + 16] = scale * static_cast<float>(high(block[2 + i]) - 8);
  }
}

// {half scale, minimum; uint8 quants[16]}
void decode_q4_1(const std::byte* block, float* out) {
  const float scale = load_half(block), minimum = load_half(block + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(low(block[4 + i])) + minimum;
    out[i + 16] = scale * static_cast<float>(high(block[4 + i])) + minimum;
  }
}

// {uint8 low[128], high[64]; int8 scales[16]; half scale}: 256 values of 6 bits in two halves of
// 128. In a half, byte i of 32 of `high` holds the upper two bits of values i, i + 32, i + 64 and i
// + 96; a scale serves 16 values.
void decode_q6_k(const std::byte* block, float* out) {
  const float scale = load_half(block + 208);
  for (int half = 0; half < 2; ++half, out += 128) {
    const std::byte *lows = block + 64 * half, *highs = block + 128 + 32 * half,
                    *scales = block + 192 + 8 * half;
    for (int i = 0; i < 128; ++i) {
      const std::byte pair = lows[i % 64];
      const int four = i < 64 ? low(pair) : high(pair);
      const int two = std::to_integer<int>(highs[i % 32]) >> (2 * (i / 32)) & 3;
      out[i] = scale * static_cast<float>(load<int8_t>(scales + i / 16)) *
               static_cast<float>((two << 4 | four) - 32);
    }
  }
}

constexpr GgufQuant kQuants[] = {
    {0, "F32", 1, 4, decode_f32},        {1, "F16", 1, 2, decode_f16},
    {30, "BF16", 1, 2, decode_bf16},     {8, "Q8_0", 32, 34, decode_q8_0},
    {2, "Q4_0", 32, 18, decode_q4_0},    {3, "Q4_1", 32, 20, decode_q4_1},
    {14, "Q6_K", 256, 210, decode_q6_k},
};

// By number; "" where ggml has none or has removed it.
constexpr std::string_view kNames[] = {
    "F32",    "F16",   "Q4_0",  "Q4_1",   "",      "",      "Q5_0",    "Q5_1",   "Q8_0",    "Q8_1",
    "Q2_K",   "Q3_K",  "Q4_K",  "Q5_K",   "Q6_K",  "Q8_K",  "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",
    "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8",    "I16",   "I32",     "I64",    "F64",     "IQ1_M",
    "BF16",   "",      "",      "",       "TQ1_0", "TQ2_0", "",        "",       "",        "MXFP4",
};

}  // namespace

const GgufQuant* find_gguf_quant(uint32_t id) {
  for (const GgufQuant& quant : kQuants)
    if (quant.id == id) return &quant;
  return nullptr;
}

std::string_view gguf_quant_name(uint32_t id) {
  return id < std::size(kNames) && !kNames[id].empty() ? kNames[id]
                                                       : "of a kind that ggml does not have";
}

}  // namespace cohort
