// Tensor: a non-owning view of numbers, passed by value. The last dimension is contiguous, rows follow each other.
//
// Letters for shapes, everywhere: B sequences, T tokens, C hidden, H heads, K kv heads, D head size, F ffn,
// V vocabulary, L layers.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/check.h"

namespace cohort {

enum class DType : uint8_t { f32, bf16, i32 };
enum class Device : uint8_t { cpu, cuda };

constexpr size_t dtype_size(DType dtype) { return dtype == DType::bf16 ? 2 : 4; }
constexpr const char* dtype_name(DType dtype) {
  return dtype == DType::f32 ? "float32" : dtype == DType::bf16 ? "bfloat16" : "int32";
}

// bfloat16 storage: the upper half of a float32.
struct bf16 {
  uint16_t bits;
};
inline float to_float(bf16 value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }
inline float to_float(float value) { return value; }
// Round to nearest, ties to even; NaN stays NaN.
inline bf16 to_bf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return {static_cast<uint16_t>((bits >> 16) | 0x40)};
  bits += 0x7FFF + ((bits >> 16) & 1);
  return {static_cast<uint16_t>(bits >> 16)};
}

struct Tensor {
  void* data = nullptr;
  DType dtype = DType::f32;
  Device device = Device::cpu;
  int rank = 0;
  std::array<int64_t, 4> shape{};

  Tensor() = default;
  Tensor(void* data, DType dtype, std::initializer_list<int64_t> dims, Device device = Device::cpu)
      : data(data), dtype(dtype), device(device), rank(static_cast<int>(dims.size())) {
    CHECK(dims.size() <= 4, "a tensor has at most 4 dimensions, got {}", dims.size());
    int i = 0;
    for (int64_t dim : dims) shape[i++] = dim;
  }

  explicit operator bool() const { return data != nullptr; }
  int64_t size() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
  size_t bytes() const { return static_cast<size_t>(size()) * dtype_size(dtype); }
  // A matrix view: all leading dimensions folded into rows.
  int64_t cols() const { return rank == 0 ? 0 : shape[rank - 1]; }
  int64_t rows() const { return rank == 0 || cols() == 0 ? 0 : size() / cols(); }

  float* f32() const { return as<float>(DType::f32); }
  bf16* b16() const { return as<bf16>(DType::bf16); }
  int32_t* i32() const { return as<int32_t>(DType::i32); }

  // Rows [begin, begin + count) as a (count, cols) matrix.
  Tensor slice_rows(int64_t begin, int64_t count) const {
    CHECK(begin >= 0 && count >= 0 && begin + count <= rows(), "rows [{}, {}) of {}", begin, begin + count, rows());
    return {static_cast<char*>(data) + static_cast<size_t>(begin * cols()) * dtype_size(dtype), dtype, {count, cols()},
            device};
  }
  std::string to_string() const;  // "bfloat16 (33, 576)"

 private:
  template <typename T>
  T* as(DType wanted) const {
    CHECK(dtype == wanted, "tensor is {}, read as {}", dtype_name(dtype), dtype_name(wanted));
    return static_cast<T*>(data);
  }
};

}  // namespace cohort
