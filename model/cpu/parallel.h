// How the ops on rows and columns share out their work, and how they choose a storage type. Private to model/cpu.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/check.h"
#include "model/exec.h"
#include "model/tensor.h"

namespace cohort::simd {

// Elements a task should have, so that handing it out (about a microsecond) costs little.
constexpr int64_t kTaskElements = 16384;
// Columns of one task in sums over rows.
constexpr int64_t kColumns = 64;

template <typename T>
T* row_of(Tensor t, int64_t row) {
  return static_cast<T*>(t.data) + row * t.cols();
}

inline void check_matrix(const char* op, const char* name, Tensor t, int64_t rows, int64_t cols) {
  CHECK(t.size() == rows * cols && (rows == 0 || t.cols() == cols), "{}: {} is {} x {}, wanted {} x {}", op, name,
        t.rows(), t.cols(), rows, cols);
}

// Asks for `bytes` from `data` on. For the next of rows that come from memory in no order, where the processor guesses wrong.
inline void prefetch(const void* data, size_t bytes) {
  constexpr size_t kLine = 64;
  for (size_t at = 0; at < bytes; at += kLine) __builtin_prefetch(static_cast<const std::byte*>(data) + at);
}

// body(begin, end) for chunks of [0, n), `chunk` long but the last, on all threads.
template <typename Body>
void for_chunks(const Exec& ex, int64_t n, int64_t chunk, const Body& body) {
  ex.pool->run((n + chunk - 1) / chunk,
               [&](int64_t task, int) { body(task * chunk, std::min(n, (task + 1) * chunk)); });
}

// body(row) for each of `rows` rows of `width` elements. Each thread has as many tasks, so that none waits for another's.
template <typename Body>
void for_rows(const Exec& ex, int64_t rows, int64_t width, const Body& body) {
  if (rows == 0) return;
  const int64_t most = std::max<int64_t>(1, kTaskElements / std::max<int64_t>(1, width));  // rows of a task
  const int64_t round = ex.pool->size() * most, tasks = (rows + round - 1) / round * ex.pool->size();
  for_chunks(ex, rows, (rows + tasks - 1) / tasks, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

// body(float{}) or body(bf16{}), by dtype.
template <typename Body>
void with_storage(DType dtype, const Body& body) {
  CHECK(dtype == DType::f32 || dtype == DType::bf16, "numbers stored as {}; allowed are float32 and bfloat16",
        dtype_name(dtype));
  if (dtype == DType::bf16) return body(bf16{});
  body(float{});
}

}  // namespace cohort::simd
