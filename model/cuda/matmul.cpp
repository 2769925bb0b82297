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

void check_rows_alike(int64_t n, int64_t k, DType in, DType out, Products& products, Stream stream) {
  constexpr int64_t kRows = 67;  // more than a tile's half, and no multiple of one
  const auto random = [&](int64_t count, uint64_t seed) {
    std::vector<std::byte> bytes(static_cast<size_t>(count) * dtype_size(in));
    Random draws(seed, cohort::Stream::kTest);
    for (int64_t i = 0; i < count; ++i) {
      const float value = draws.normal();
      const bf16 rounded = to_bf16(value);
      if (in == DType::bf16) std::memcpy(&bytes[static_cast<size_t>(i) * 2], &rounded, 2);
      if (in == DType::f32) std::memcpy(&bytes[static_cast<size_t>(i) * 4], &value, 4);
    }
    return bytes;
  };
  const std::vector<std::byte> x = random(kRows * k, 1), w = random(n * k, 2);
  const size_t row_bytes = static_cast<size_t>(n) * dtype_size(out), y_bytes = kRows * row_bytes;
  struct DeviceMemory {
    void* data = nullptr;
    ~DeviceMemory() { (void)cudaFree(data); }
  } device_x, device_w, device_y;
  const char* what = "compare products of rows together and alone";
  check_status(cudaMalloc(&device_x.data, x.size()), what);
  check_status(cudaMalloc(&device_w.data, w.size()), what);
  check_status(cudaMalloc(&device_y.data, y_bytes), what);
  check_status(cudaMemcpyAsync(device_x.data, x.data(), x.size(), cudaMemcpyHostToDevice, stream), what);
  check_status(cudaMemcpyAsync(device_w.data, w.data(), w.size(), cudaMemcpyHostToDevice, stream), what);
  // Rows [begin, begin + count) of y, computed together.
  const auto rows = [&](int64_t begin, int64_t count) {
    const Tensor all_x(device_x.data, in, {kRows, k}, Device::cuda), all_y(device_y.data, out, {kRows, n}, Device::cuda),
        weight(device_w.data, in, {n, k}, Device::cuda);
    const Tensor y = all_y.slice_rows(begin, count);
    matmul(y, all_x.slice_rows(begin, count), weight, products, stream);
    std::vector<std::byte> bytes(y.bytes());
    check_status(cudaMemcpyAsync(bytes.data(), y.data, bytes.size(), cudaMemcpyDeviceToHost, stream), what);
    check_status(cudaStreamSynchronize(stream), what);
    return bytes;
  };
  const std::vector<std::byte> together = rows(0, kRows);
  const auto compare = [&](int64_t begin, int64_t count) {
    const std::vector<std::byte> some = rows(begin, count);
    if (std::memcmp(some.data(), together.data() + static_cast<size_t>(begin) * row_bytes, some.size()) == 0) return;
    fail(ExitCode::kInternal,
         "rows of the product n={} k={} ({} to {}) have other bits alone than together: this version of cuBLASLt cannot "
         "serve numerics: strict on this device; allowed is numerics: fast",
         n, k, dtype_name(in), dtype_name(out));
  };
  for (int64_t begin = 0; begin < kRows; ++begin) compare(begin, 1);
  compare(2, 33);
}

}  // namespace cohort::cuda
