#include "model/formats/convert_numbers.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "core/check.h"
#include "model/formats/half.h"
#include "model/tensor.h"

namespace cohort {
namespace {

struct F32 {
  using Bits = uint32_t;
  static constexpr Bits kExponent = 0x7F800000;
  static float to_f32(Bits bits) { return std::bit_cast<float>(bits); }
  static Bits from_f32(float value) { return std::bit_cast<Bits>(value); }
};
struct Bf16 {
  using Bits = uint16_t;
  static constexpr Bits kExponent = 0x7F80;
  static float to_f32(Bits bits) { return to_float(bf16{bits}); }
  static Bits from_f32(float value) { return to_bf16(value).bits; }
};
struct F16 {
  using Bits = uint16_t;
  static constexpr Bits kExponent = 0x7C00;
  static float to_f32(Bits bits) { return half_to_float(bits); }
  static Bits from_f32(float value) { return to_half(value); }
};

template <typename T>
typename T::Bits load(const std::byte* numbers, size_t index) {
  typename T::Bits bits;
  std::memcpy(&bits, numbers + index * sizeof bits, sizeof bits);
  return bits;
}

template <typename T>
bool all_finite(const std::byte* numbers, size_t count) {
  typename T::Bits found = 0;  // no early exit, so that the loop runs in vectors
  for (size_t i = 0; i < count; ++i) found |= (load<T>(numbers, i) & T::kExponent) == T::kExponent;
  return found == 0;
}

template <typename From, typename To>
void convert(const std::byte* in, std::byte* out, size_t count) {
  if constexpr (std::is_same_v<From, To>) {
    std::memcpy(out, in, count * sizeof(typename From::Bits));
  } else {
    for (size_t i = 0; i < count; ++i) {
      const typename To::Bits bits = To::from_f32(From::to_f32(load<From>(in, i)));
      std::memcpy(out + i * sizeof bits, &bits, sizeof bits);
    }
  }
}

template <typename From, typename To>
size_t convert_all(const std::byte* in, std::byte* out, size_t count) {
  constexpr size_t kBlock = 4096;  // stays in the first-level cache between the two passes
  size_t first = count;
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t block = std::min(kBlock, count - begin);
    std::byte* to = out + begin * sizeof(typename To::Bits);
    convert<From, To>(in + begin * sizeof(typename From::Bits), to, block);
    if (first < count || all_finite<To>(to, block)) continue;
    for (first = begin; all_finite<To>(out + first * sizeof(typename To::Bits), 1);) ++first;
  }
  return first;
}

template <typename From>
size_t convert_from(const void* in, StoredDType to, void* out, size_t count) {
  const auto* source = static_cast<const std::byte*>(in);
  auto* target = static_cast<std::byte*>(out);
  switch (to) {
    case StoredDType::f32:
      return convert_all<From, F32>(source, target, count);
    case StoredDType::bf16:
      return convert_all<From, Bf16>(source, target, count);
    case StoredDType::f16:
      return convert_all<From, F16>(source, target, count);
  }
  fail(ExitCode::kInternal, "stored type {}", static_cast<int>(to));
}

}  // namespace

size_t convert_numbers(StoredDType from, const void* in, StoredDType to, void* out, size_t count) {
  switch (from) {
    case StoredDType::f32:
      return convert_from<F32>(in, to, out, count);
    case StoredDType::bf16:
      return convert_from<Bf16>(in, to, out, count);
    case StoredDType::f16:
      return convert_from<F16>(in, to, out, count);
  }
  fail(ExitCode::kInternal, "stored type {}", static_cast<int>(from));
}

float stored_number(StoredDType dtype, const void* numbers, size_t index) {
  float value;
  const size_t size = stored_size(dtype);
  convert_numbers(dtype, static_cast<const std::byte*>(numbers) + index * size, StoredDType::f32, &value, 1);
  return value;
}

}  // namespace cohort
