// Products with weights: shapes, and sums over rows in parts (matmul.h, part_products.h).
#include "model/cuda/matmul.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "core/rng.h"
#include "model/cuda/part_products.h"
#include "model/cuda/platform/status.h"
#include "model/cuda/products.h"
#include "model/cuda/update.h"

namespace cohort::cuda {
namespace {

void check_device_matrix(const char* op, const char* name, Tensor t, int64_t rows, int64_t cols) {
  CHECK(t.size() == rows * cols && (rows == 0 || t.cols() == cols), "{}: {} is {} x {}, wanted {} x {}", op, name,
        t.rows(), t.cols(), rows, cols);
  CHECK(!t || t.device == Device::cuda, "{}: {} lies in host memory", op, name);
}

// Of a product with rows `in` and `out` and the weight w.
void check_types(const char* op, Tensor out, Tensor in, Tensor w, bool accumulate) {
  CHECK(in.dtype == w.dtype && in.dtype != DType::i32 && (out.dtype == in.dtype || out.dtype == DType::f32),
        "{}: {} times {} to {}", op, dtype_name(in.dtype), dtype_name(w.dtype), dtype_name(out.dtype));
  CHECK(!accumulate || out.dtype == DType::f32, "{}: adds to {}, wanted float32", op, dtype_name(out.dtype));
}

// Sums that wait at one time, the result's own place not counted. A sum that meets another at once takes no place unless
// it is looked at or empty.
int64_t waiting_sums(std::span<const RowPart> parts, bool look) {
  int64_t open = 0, most = 1;
  for (const RowPart& part : parts) {
    const bool takes_place = look || part.merges == 0 || part.count == 0;
    most = std::max(most, open + (takes_place ? 1 : 0));
    open += 1 - part.merges;
  }
  return most - 1;
}

}  // namespace

void matmul(Tensor y, Tensor x, Tensor w, Products& products, Stream stream, bool accumulate) {
  const int64_t T = x.rows(), N = w.rows(), K = w.cols();
  check_device_matrix("matmul", "w", w, N, K);
  check_device_matrix("matmul", "x", x, T, K);
  check_device_matrix("matmul", "y", y, T, N);
  check_types("matmul", y, x, w, accumulate);
  multiply(products, {Direction::forward, x.dtype, y.dtype, N, K, T}, y.data, x.data, w.data, accumulate, stream);
}

void matmul_backward_input(Tensor dx, Tensor dy, Tensor w, Products& products, Stream stream, bool accumulate) {
  const char* op = "matmul_backward_input";
  const int64_t T = dy.rows(), N = w.rows(), K = w.cols();
  check_device_matrix(op, "w", w, N, K);
  check_device_matrix(op, "dy", dy, T, N);
  check_device_matrix(op, "dx", dx, T, K);
  check_types(op, dx, dy, w, accumulate);
  multiply(products, {Direction::input, dy.dtype, dx.dtype, N, K, T}, dx.data, dy.data, w.data, accumulate, stream);
}

int64_t part_products_scratch(int64_t n, int64_t k, std::span<const RowPart> parts, bool look) {
  return waiting_sums(parts, look) * n * k;
}

void part_products(Tensor dw, Tensor dy, Tensor x, Products& products, Tensor scratch, Stream stream,
                   std::span<const RowPart> parts, const PartSum& look) {
  const char* op = "matmul_backward_weight";
  const int64_t T = x.rows(), N = dw.rows(), K = dw.cols();
  check_device_matrix(op, "dw", dw, N, K);
  check_device_matrix(op, "dy", dy, T, N);
  check_device_matrix(op, "x", x, T, K);
  check_types(op, dw, dy, x, /*accumulate=*/true);
  check_row_parts(op, parts, T);
  const RowPart whole{0, T, 0};
  if (parts.empty()) parts = {&whole, 1};
  const int64_t wanted = waiting_sums(parts, look != nullptr) * N * K;
  CHECK(scratch.size() >= wanted && (wanted == 0 || (scratch.device == Device::cuda && scratch.dtype == DType::f32)),
        "{}: scratch of {} numbers, wanted {} (float32, on the device)", op, scratch.size(), wanted);
  if (N * K == 0) return;
  const auto place = [&](int64_t i) -> Tensor {
    float* data = i == 0 ? dw.f32() : scratch.f32() + (i - 1) * N * K;
    return {data, DType::f32, {N, K}, Device::cuda};
  };
  const auto merge = [&](int64_t upper) {
    const Tensor terms[] = {place(upper - 1), place(upper)};
    ordered_sum(terms[0], terms, {}, stream);
  };
  int64_t open = 0;
  for (size_t p = 0; p < parts.size(); ++p) {
    const RowPart& part = parts[p];
    const Product product{Direction::weight, x.dtype, DType::f32, N, K, part.count};
    const Tensor rows_of_dy = dy.slice_rows(part.begin, part.count), rows_of_x = x.slice_rows(part.begin, part.count);
    int merges = part.merges;
    if (part.count > 0 && merges > 0 && look == nullptr) {  // the library adds it to the sum below: lower plus upper
      multiply(products, product, place(open - 1).data, rows_of_dy.data, rows_of_x.data, true, stream);
      --merges;
    } else {
      if (part.count > 0) {
        multiply(products, product, place(open).data, rows_of_dy.data, rows_of_x.data, false, stream);
      } else {
        check_status(cudaMemsetAsync(place(open).data, 0, place(open).bytes(), stream), "clear a sum of no rows");
      }
      if (look != nullptr) look(static_cast<int64_t>(p), place(open).f32());
      ++open;
    }
    for (; merges > 0; --merges) merge(--open);
  }
}

int64_t matmul_backward_weight_scratch(int64_t n, int64_t k, std::span<const RowPart> parts) {
  return part_products_scratch(n, k, parts, false);
}

void matmul_backward_weight(Tensor dw, Tensor dy, Tensor x, Products& products, Tensor scratch, Stream stream,
                            std::span<const RowPart> parts) {
  part_products(dw, dy, x, products, scratch, stream, parts, nullptr);
}

namespace {

// Random numbers in device memory, for check_rows_alike.
struct DeviceNumbers {
  static constexpr const char* kWhat = "compare products of rows together and alone";
  Tensor t;

  DeviceNumbers(DType dtype, int64_t rows, int64_t cols) : t(nullptr, dtype, {rows, cols}, Device::cuda) {
    check_status(cudaMalloc(&t.data, std::max<size_t>(1, t.bytes())), kWhat);
  }
  DeviceNumbers(const DeviceNumbers&) = delete;
  DeviceNumbers& operator=(const DeviceNumbers&) = delete;
  ~DeviceNumbers() { (void)cudaFree(t.data); }

  void draw(uint64_t seed, Stream stream) const {
    std::vector<std::byte> bytes(t.bytes());
    Random draws(seed, cohort::Stream::kTest);
    for (int64_t i = 0; i < t.size(); ++i) {
      const float value = draws.normal();
      const bf16 rounded = to_bf16(value);
      if (t.dtype == DType::bf16) std::memcpy(&bytes[static_cast<size_t>(i) * 2], &rounded, 2);
      if (t.dtype == DType::f32) std::memcpy(&bytes[static_cast<size_t>(i) * 4], &value, 4);
    }
    check_status(cudaMemcpyAsync(t.data, bytes.data(), bytes.size(), cudaMemcpyHostToDevice, stream), kWhat);
    check_status(cudaStreamSynchronize(stream), kWhat);
  }
};

// Rows [begin, begin + count) of what is compared.
struct SomeRows {
  int64_t begin, count;
};

}  // namespace

void check_rows_alike(Direction direction, Tensor w, DType out, Products& products, Stream stream) {
  // Together: more rows than any tile has, and no multiple of one. Alone, and in numbers that fall on both sides of the
  // numbers at which libraries change kernels.
  constexpr int64_t kRows = 523;
  constexpr SomeRows kSome[] = {{0, 1}, {1, 1}, {15, 1}, {64, 1}, {127, 1}, {128, 1}, {522, 1}, {3, 2}, {5, 3}, {7, 7}, {1, 8}, {30, 15},
                                {0, 16}, {17, 17}, {2, 33}, {100, 64}, {65, 65}, {11, 128}, {200, 129}, {1, 256}, {260, 263}};
  const bool forward = direction == Direction::forward;
  const int64_t n = w.rows(), k = w.cols(), to = forward ? n : k;
  const DeviceNumbers in(w.dtype, kRows, forward ? k : n), result(out, kRows, to);
  in.draw(1, stream);
  const auto rows = [&](const SomeRows& some) {
    const Tensor y = result.t.slice_rows(some.begin, some.count), x = in.t.slice_rows(some.begin, some.count);
    forward ? matmul(y, x, w, products, stream) : matmul_backward_input(y, x, w, products, stream);
    std::vector<std::byte> bytes(y.bytes());
    check_status(cudaMemcpyAsync(bytes.data(), y.data, bytes.size(), cudaMemcpyDeviceToHost, stream), DeviceNumbers::kWhat);
    check_status(cudaStreamSynchronize(stream), DeviceNumbers::kWhat);
    return bytes;
  };
  const std::vector<std::byte> together = rows({0, kRows});
  const size_t row_bytes = static_cast<size_t>(to) * dtype_size(out);
  for (const SomeRows& some : kSome) {
    const std::vector<std::byte> apart = rows(some);
    if (std::memcmp(apart.data(), together.data() + static_cast<size_t>(some.begin) * row_bytes, apart.size()) == 0) continue;
    fail(ExitCode::kInternal,
         "{} rows of the product {} n={} k={} ({} to {}) have other bits alone than among {}: this version of cuBLASLt does not "
         "keep the sums of a row in one order on this device, which log-probs of samples and trainer, and equal bits, need; use "
         "another version of the library, or run.device: cpu",
         some.count, forward ? "forward" : "input", n, k, dtype_name(w.dtype), dtype_name(out), kRows);
  }
}

}  // namespace cohort::cuda
