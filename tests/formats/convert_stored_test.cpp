// Conversions of stored numbers, bit for bit.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "model/formats/convert_numbers.h"
#include "model/formats/half.h"
#include "model/formats/safetensors.h"
#include "model/tensor.h"
#include "tests/formats/plain_formats.h"
#include "tests/formats/refused.h"

namespace cohort {
namespace {

template <typename Stored>
StoredTensor stored(const char* dtype, const std::vector<Stored>& values) {
  return {dtype, {static_cast<int64_t>(values.size())}, std::as_bytes(std::span(values))};
}
// Bit for bit, whatever the numbers are; NaN and infinity too, which convert_stored refuses.
std::vector<uint32_t> to_f32_bits(const StoredTensor& tensor) {
  std::vector<uint32_t> bits(tensor.shape[0]);
  convert_numbers(weight_dtype(tensor, "w"), tensor.data.data(), StoredDType::f32, bits.data(), bits.size());
  return bits;
}
std::vector<uint16_t> to_bf16_bits(const StoredTensor& tensor) {
  std::vector<uint16_t> bits(tensor.shape[0]);
  convert_numbers(weight_dtype(tensor, "w"), tensor.data.data(), StoredDType::bf16, bits.data(), bits.size());
  return bits;
}
uint16_t to_half_bits(float value) {
  uint16_t half;
  convert_numbers(StoredDType::f32, &value, StoredDType::f16, &half, 1);
  return half;
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

TEST(ConvertStored, EveryF16SurvivesTheWayThroughF32) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const uint16_t half = static_cast<uint16_t>(i);
    const bool nan = (half & 0x7C00) == 0x7C00 && (half & 0x3FF) != 0;
    EXPECT_EQ(to_half_bits(half_to_float(half)), nan ? half | 0x200 : half) << i;  // NaN becomes quiet
  }
}

TEST(ConvertStored, F32RoundsToTheNearestF16TiesToEven) {
  for (const float sign : {1.0f, -1.0f}) {
    const uint16_t sign_bit = sign < 0 ? 0x8000 : 0;
    for (uint16_t low = 0; low < 0x7C00; ++low) {  // each half and the one above; above 65504 as if 65536 were one
      const float a = half_to_float(low), b = low == 0x7BFF ? 65536.0f : half_to_float(low + 1);
      const float middle = a + (b - a) / 2;  // exact
      const uint16_t even = low % 2 == 0 ? low : low + 1;
      EXPECT_EQ(to_half_bits(sign * middle), sign_bit | even) << low;
      EXPECT_EQ(to_half_bits(sign * std::nextafter(middle, 0.0f)), sign_bit | low) << low;
      EXPECT_EQ(to_half_bits(sign * std::nextafter(middle, INFINITY)), sign_bit | (low + 1)) << low;
    }
    EXPECT_EQ(to_half_bits(sign * 1e30f), sign_bit | 0x7C00);
    EXPECT_EQ(to_half_bits(sign * INFINITY), sign_bit | 0x7C00);
    EXPECT_EQ(to_half_bits(sign * 1e-30f), sign_bit);
  }
  EXPECT_EQ(to_half_bits(NAN) & 0x7E00, 0x7E00);
}

TEST(ConvertStored, Bf16ToF16RoundsOnce) {
  // 2^-25 is the tie between 0 and 2^-24; 1.5 x 2^-25 rounds up; 1 + 2^-7 is exact.
  const std::vector<uint16_t> in{0x3300, 0x3340, 0x3F81, 0xC000};
  std::vector<uint16_t> out(in.size());
  EXPECT_EQ(convert_numbers(StoredDType::bf16, in.data(), StoredDType::f16, out.data(), in.size()), in.size());
  EXPECT_EQ(out, (std::vector<uint16_t>{0x0000, 0x0001, 0x3C08, 0xC000}));
}

TEST(ConvertStored, RefusesNumbersThatAreNotFinite) {
  for (const float wrong : {NAN, INFINITY, -INFINITY}) {
    for (const size_t at : {size_t{0}, size_t{4095}, size_t{4096}, size_t{9999}}) {
      std::vector<float> values(10000, 1.0f);
      values[at] = values.back() = wrong;  // the first is named
      StoredTensor tensor = stored("F32", values);
      tensor.shape = {100, 100};
      const std::string place = fmt::format("x: tensor 'w': element [{}, {}] is {}", at / 100, at % 100, wrong);
      for (const bool to_bf16 : {false, true})
        expect_refused([&] { convert_stored(tensor, "x: tensor 'w'", to_bf16, std::vector<float>(10000).data()); }, {place});
    }
  }
  float out[2];
  const std::vector<uint16_t> half{0x3C00, 0x7C00}, brain{0x3F80, 0xFF80};
  expect_refused([&] { convert_stored(stored("F16", half), "w", false, out); }, {"element [1] is inf"});
  expect_refused([&] { convert_stored(stored("F16", half), "w", true, out); }, {"element [1] is inf"});
  expect_refused([&] { convert_stored(stored("BF16", brain), "w", false, out); }, {"element [1] is -inf"});
  expect_refused([&] { convert_stored(stored("BF16", brain), "w", true, out); }, {"element [1] is -inf"});
}

TEST(ConvertStored, RefusesNumbersBeyondBf16OnlyForBf16) {
  const std::vector<float> values{1.0f, 3.4028235e38f};
  float out[2];
  EXPECT_NO_THROW(convert_stored(stored("F32", values), "w", false, out));
  expect_refused([&] { convert_stored(stored("F32", values), "w", true, out); },
                 {"element [1] is 3.4028235e+38", "beyond the largest bfloat16", "float32"});
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
