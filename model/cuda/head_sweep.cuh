// What head and sampling share: chunks of logits by cuBLASLt, and their statistics. Private to model/cuda.
#pragma once

#include <algorithm>

#include "model/cuda/head_stats.cuh"
#include "model/cuda/matmul.h"
#include "model/cuda/stream.h"
#include "model/cuda/tensors.cuh"

namespace cohort::cuda {

// h (rows, C), w (V, C), one dtype; a positive temperature's inverse and a cap that is not negative.
void check_head(const char* op, Tensor h, Tensor w, float softcap);

// body(begin, count, logits): columns [begin, begin + count) of h w^T, (rows, count) f32 in `room` (rows, kHeadChunk), not
// capped. The same product for every caller, so the same bits.
template <typename Body>
void sweep_head(Tensor h, Tensor w, float* room, Products& products, Stream stream, const Body& body) {
  for (int64_t begin = 0; begin < w.rows(); begin += kHeadChunk) {
    const int64_t count = std::min<int64_t>(kHeadChunk, w.rows() - begin);
    const Tensor logits(room, DType::f32, {h.rows(), count}, Device::cuda);
    matmul(logits, h, w.slice_rows(begin, count), products, stream);
    body(begin, static_cast<int>(count), room);
  }
}

// Carves f32 pieces out of one scratch tensor.
class Pieces {
 public:
  Pieces(const char* op, Tensor scratch, int64_t wanted) : left_(scratch.size()) {
    CHECK(scratch.size() >= wanted && (wanted == 0 || (scratch.dtype == DType::f32 && scratch.device == Device::cuda)),
          "{}: scratch of {} numbers, wanted {} (float32, on the device)", op, scratch.size(), wanted);
    next_ = wanted == 0 ? nullptr : scratch.f32();
  }
  // Room for `count` objects, aligned to 16 bytes where the scratch is.
  template <typename T>
  T* take(int64_t count) {
    const int64_t numbers = numbers_for<T>(count);
    CHECK(numbers <= left_, "a piece of {} numbers of {} that are left", numbers, left_);
    T* piece = reinterpret_cast<T*>(next_);
    next_ += numbers, left_ -= numbers;
    return piece;
  }
  template <typename T>
  static int64_t numbers_for(int64_t count) {
    return (count * static_cast<int64_t>(sizeof(T)) + 15) / 16 * 4;
  }

 private:
  float* next_ = nullptr;
  int64_t left_;
};

}  // namespace cohort::cuda
