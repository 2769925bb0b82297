// Each block format decodes to values worked out by hand.
#include "model/formats/gguf_quants.h"

#include <gtest/gtest.h>

#include "tests/formats/gguf_builder.h"
#include "tests/formats/refused.h"

namespace cohort {
namespace {

std::vector<float> decode(uint32_t id, const std::string& block) {
  const GgufQuant* quant = find_gguf_quant(id);
  EXPECT_NE(quant, nullptr);
  EXPECT_EQ(static_cast<int64_t>(block.size()), quant->block_bytes);
  // One byte further, as in files: nothing may ask for alignment.
  const std::string shifted = "x" + block;
  std::vector<float> values(quant->block_values, -1000);
  quant->decode(bytes_of(shifted).data() + 1, values.data());
  return values;
}

TEST(GgufQuants, PlainNumbers) {
  EXPECT_EQ(decode(kTF32, raw(1.25f)), std::vector<float>{1.25f});
  EXPECT_EQ(decode(kTF16, raw(uint16_t{0xC100})), std::vector<float>{-2.5f});
  EXPECT_EQ(decode(kTF16, raw(uint16_t{0x0001})), std::vector<float>{0x1p-24f});
  EXPECT_EQ(decode(kTBF16, raw(uint16_t{0x4049})), std::vector<float>{3.140625f});
}

TEST(GgufQuants, Q8_0IsScaleTimesByte) {
  const std::vector<float> values = decode(kTQ8_0, q8_0_block(0x3800, -16));  // 0.5 * {-16 .. 15}
  for (int i = 0; i < 32; ++i) EXPECT_EQ(values[i], 0.5f * (i - 16)) << i;
  EXPECT_EQ(decode(kTQ8_0, raw(uint16_t{0x3C00}) + std::string(32, '\x80'))[31], -128.0f);
}

TEST(GgufQuants, Q4_0HasLowHalvesFirstAndIsCentredAtEight) {
  std::string block = raw(uint16_t{0x3400});  // 0.25
  for (int i = 0; i < 16; ++i)
    block += static_cast<char>(i | (15 - i) << 4);  // low: i, high: 15 - i
  const std::vector<float> values = decode(kTQ4_0, block);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(values[i], 0.25f * (i - 8)) << i;
    EXPECT_EQ(values[16 + i], 0.25f * (7 - i)) << i;
  }
}

TEST(GgufQuants, Q4_1AddsTheMinimum) {
  std::string block = raw(uint16_t{0x3400}) + raw(uint16_t{0xC500});  // 0.25 and -5
  for (int i = 0; i < 16; ++i) block += static_cast<char>(i | (15 - i) << 4);
  const std::vector<float> values = decode(kTQ4_1, block);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(values[i], 0.25f * i - 5) << i;
    EXPECT_EQ(values[16 + i], 0.25f * (15 - i) - 5) << i;
  }
}

// A block whose value i is (i * 37 + 11) mod 64, packed here value by value: the opposite way to
// the decoder.
TEST(GgufQuants, Q6_KPutsTogetherFourAndTwoBits) {
  const auto quant = [](int i) { return (i * 37 + 11) % 64; };
  std::string low(128, '\0'), high(64, '\0'), scales;
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, within = i % 128;
    low[64 * half + within % 64] |= static_cast<char>((quant(i) & 15) << (within < 64 ? 0 : 4));
    high[32 * half + within % 32] |= static_cast<char>((quant(i) >> 4) << (within / 32 * 2));
  }
  for (int i = 0; i < 16; ++i) scales += raw(static_cast<int8_t>(i * 16 - 128));
  const std::vector<float> values =
      decode(kTQ6_K, low + high + scales + raw(uint16_t{0xB800}));  // -0.5
  for (int i = 0; i < 256; ++i)
    EXPECT_EQ(values[i], -0.5f * (i / 16 * 16 - 128) * (quant(i) - 32)) << i;
}

TEST(GgufQuants, OtherTypesAreKnownByNameOnly) {
  const std::pair<uint32_t, const char*> others[] = {
      {6, "Q5_0"},     {7, "Q5_1"}, {10, "Q2_K"}, {11, "Q3_K"},  {12, "Q4_K"},  {13, "Q5_K"},
      {16, "IQ2_XXS"}, {24, "I8"},  {28, "F64"},  {29, "IQ1_M"}, {34, "TQ1_0"}, {39, "MXFP4"}};
  for (const auto& [id, name] : others) {
    EXPECT_EQ(find_gguf_quant(id), nullptr);
    EXPECT_EQ(gguf_quant_name(id), name);
  }
  for (uint32_t id : {4u, 31u, 40u, 1000u, UINT32_MAX}) {
    EXPECT_EQ(find_gguf_quant(id), nullptr);
    EXPECT_EQ(gguf_quant_name(id), "of a kind that ggml does not have");
  }
}

}  // namespace
}  // namespace cohort
