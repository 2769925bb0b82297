// How the kernels of this folder read and write tensors: storage types, vectors of numbers, checks of shapes.
// Private to model/cuda.
#pragma once

#include <cstdint>

#include "core/check.h"
#include "model/cuda/platform/platform.cuh"
#include "model/tensor.h"

namespace cohort::cuda {

using device_bf16 = __nv_bfloat16;

__device__ __forceinline__ float to_f32(float value) { return value; }
__device__ __forceinline__ float to_f32(device_bf16 value) { return __bfloat162float(value); }
__device__ __forceinline__ void store_as(float* to, float value) { *to = value; }
__device__ __forceinline__ void store_as(device_bf16* to, float value) { *to = __float2bfloat16_rn(value); }

__device__ __forceinline__ float minus_infinity() { return __uint_as_float(0xff800000u); }
__device__ __forceinline__ float not_a_number() { return __uint_as_float(0x7fffffffu); }

// A piece of memory that is moved by one instruction.
template <int kBytes>
struct MovedAs;
template <>
struct MovedAs<2> {
  using type = uint16_t;
};
template <>
struct MovedAs<4> {
  using type = uint32_t;
};
template <>
struct MovedAs<8> {
  using type = uint2;
};
template <>
struct MovedAs<16> {
  using type = uint4;
};

// kCount numbers beside each other, aligned to all of them: at most 16 bytes.
template <int kCount, typename T>
__device__ __forceinline__ void load(float (&values)[kCount], const T* from) {
  using Moved = typename MovedAs<kCount * sizeof(T)>::type;
  union {
    Moved moved;
    T numbers[kCount];
  };
  moved = *reinterpret_cast<const Moved*>(from);
#pragma unroll
  for (int i = 0; i < kCount; ++i) values[i] = to_f32(numbers[i]);
}
template <int kCount, typename T>
__device__ __forceinline__ void store(T* to, const float (&values)[kCount]) {
  using Moved = typename MovedAs<kCount * sizeof(T)>::type;
  union {
    Moved moved;
    T numbers[kCount];
  };
#pragma unroll
  for (int i = 0; i < kCount; ++i) store_as(&numbers[i], values[i]);
  *reinterpret_cast<Moved*>(to) = moved;
}

// Whether each row of the matrix (or the whole vector) may be read kCount numbers at a time.
inline bool rows_align(Tensor t, int64_t row, int count) {
  return !t || (row % count == 0 && reinterpret_cast<uintptr_t>(t.data) % (static_cast<size_t>(count) * dtype_size(t.dtype)) == 0);
}

// body(float{}) or body(device_bf16{}), by dtype.
template <typename Body>
void with_storage(DType dtype, const Body& body) {
  CHECK(dtype == DType::f32 || dtype == DType::bf16, "numbers stored as {}; allowed are float32 and bfloat16",
        dtype_name(dtype));
  if (dtype == DType::bf16) return body(device_bf16{});
  body(float{});
}

template <typename T>
T* data_of(Tensor t) {
  return static_cast<T*>(t.data);
}

inline void check_on_device(const char* op, const char* name, Tensor t) {
  CHECK(!t || t.device == Device::cuda, "{}: {} lies in host memory", op, name);
}
inline void check_matrix(const char* op, const char* name, Tensor t, int64_t rows, int64_t cols) {
  CHECK(t.size() == rows * cols && (rows == 0 || t.cols() == cols), "{}: {} is {} x {}, wanted {} x {}", op, name,
        t.rows(), t.cols(), rows, cols);
  check_on_device(op, name, t);
}

inline unsigned blocks_for(int64_t work, int64_t per_block) {
  return static_cast<unsigned>((work + per_block - 1) / per_block);
}

}  // namespace cohort::cuda
