// Conversions of stored numbers, bit for bit.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "model/formats/half.h"
#include "model/formats/safetensors.h"
#include "model/tensor.h"
#include "tests/formats/refused.h"

namespace cohort {
namespace {

template <typename Stored>
StoredTensor stored(const char* dtype, const std::vector<Stored>& values) {
  return {dtype, {static_cast<int64_t>(values.size())}, std::as_bytes(std::span(values))};
}
std::vector<uint32_t> to_f32_bits(const StoredTensor& tensor) {
  std::vector<uint32_t> bits(tensor.shape[0]);
  convert_stored(tensor, "w", false, bits.data());
  return bits;
}
std::vector<uint16_t> to_bf16_bits(const StoredTensor& tensor) {
  std::vector<uint16_t> bits(tensor.shape[0]);
  convert_stored(tensor, "w", true, bits.data());
  return bits;
}

TEST(ConvertStored, CopiesWhatIsAlreadyRight) {
  const std::vector<uint32_t> f32{0, 0x80000000, 1, 0x7F800001, 0x3F812345, 0xFF800000};
  EXPECT_EQ(to_f32_bits(stored("F32", f32)), f32);
  const std::vector<uint16_t> bf16{0, 0x8000, 1, 0x7F81, 0x3F81, 0xFF80};
  EXPECT_EQ(to_bf16_bits(stored("BF16", bf16)), bf16);
}

TEST(ConvertStored, F32RoundsToTheNearestBf16TiesToEven) {
  const std::pair<uint32_t, uint16_t> cases[] = {
      {0x00000000, 0x0000}, {0x80000000, 0x8000},  // zeros keep their sign
      {0x3F800000, 0x3F80}, {0x3F807FFF, 0x3F80},  // just below half way
      {0x3F808000, 0x3F80}, {0x3F808001, 0x3F81},  // a tie to even below; above the tie
      {0x3F818000, 0x3F82}, {0xBF818000, 0xBF82},  // ties to even above
      {0x3FFFFFFF, 0x4000},                        // carries into the exponent
      {0x00000001, 0x0000}, {0x00008000, 0x0000},  // subnormals
      {0x00018000, 0x0002}, {0x007FFFFF, 0x0080},  // the latter becomes the smallest normal number
      {0x7F7F7FFF, 0x7F7F}, {0x7F7FFFFF, 0x7F80},  // the largest float32 overflows
      {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80},  // infinities
      {0x7FC00000, 0x7FC0}, {0x7F800001, 0x7FC0}, {0xFFFFFFFF, 0xFFFF},  // NaN stays NaN
  };
  std::vector<uint32_t> in;
  std::vector<uint16_t> expected;
  for (const auto& [from, to] : cases) in.push_back(from), expected.push_back(to);
  EXPECT_EQ(to_bf16_bits(stored("F32", in)), expected);
}

TEST(ConvertStored, Bf16ToF32IsExact) {
  EXPECT_EQ(to_f32_bits(stored("BF16", std::vector<uint16_t>{0x3F81, 0x8001, 0x7F80, 0x7FC1})),
            (std::vector<uint32_t>{0x3F810000, 0x80010000, 0x7F800000, 0x7FC10000}));
}

TEST(ConvertStored, EveryF16IsItsValueInF32) {
  std::vector<uint16_t> halves(65536);
  for (int i = 0; i < 65536; ++i) halves[i] = static_cast<uint16_t>(i);
  const std::vector<uint32_t> bits = to_f32_bits(stored("F16", halves));
  for (int i = 0; i < 65536; ++i) {
    const int exponent = i >> 10 & 31, mantissa = i & 1023;
    const float got = std::bit_cast<float>(bits[i]);
    EXPECT_EQ(std::signbit(got), i >= 0x8000) << i;
    if (exponent == 31 && mantissa != 0) {
      EXPECT_TRUE(std::isnan(got)) << i;
    } else {
      const double magnitude = exponent == 31  ? INFINITY
                               : exponent == 0 ? std::ldexp(mantissa, -24)
                                               : std::ldexp(1024 + mantissa, exponent - 25);
      EXPECT_EQ(std::fabs(got), magnitude) << i;
    }
  }
}

TEST(ConvertStored, F16ToBf16RoundsOnce) {
  // 1 + 2^-8 + 2^-10 lies above the middle of 1 and 1 + 2^-7; 1 + 2^-8 is the tie; 2^-24 is exact;
  // 65504 rounds to 65536.
  EXPECT_EQ(to_bf16_bits(stored(
                "F16", std::vector<uint16_t>{0x3C05, 0x3C04, 0x0001, 0x7BFF, 0xFC00, 0x7E00})),
            (std::vector<uint16_t>{0x3F81, 0x3F80, 0x3380, 0x4780, 0xFF80, 0x7FC0}));
}

TEST(ConvertStored, NeedsNoAlignment) {
  std::vector<std::byte> memory(1 + 3 * 4);
  const float values[] = {1.5f, -2.0f, 0.25f};
  std::memcpy(memory.data() + 1, values, sizeof values);
  std::vector<uint16_t> bits(3);
  convert_stored({"F32", {3}, std::span(memory).subspan(1)}, "w", true, bits.data());
  EXPECT_EQ(bits, (std::vector<uint16_t>{0x3FC0, 0xC000, 0x3E80}));
}

TEST(ConvertStored, EmptyTensorsAreFine) {
  convert_stored({"F32", {0}, {}}, "w", false, nullptr);
  convert_stored({"F16", {0}, {}}, "w", false, nullptr);
}

TEST(ConvertStored, RefusesOtherDTypesByName) {
  for (const char* dtype : {"I32", "F64", "F8_E4M3", "BOOL", ""})
    expect_refused(
        [&] {
          convert_stored({dtype, {0}, {}}, "x: tensor 'w'", false, nullptr);
        },
        {"x: tensor 'w'", "is not supported", "F32, F16, BF16", dtype});
}

}  // namespace
}  // namespace cohort
