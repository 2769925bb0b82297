// Adds up the sums of chunks and of parts (row_parts.cuh).
#include "model/cuda/platform/launch.cuh"
#include "model/cuda/row_parts.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads)
    sum_parts(float* __restrict__ sums, const float* __restrict__ chunk_sums, DeviceRowParts parts, int64_t columns) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (column >= columns) return;
  float stack[kMaxOpenSums];
  int open = 0;
  for (int part = 0; part < parts.count; ++part) {
    float sum = 0;
    for (int chunk = parts.first_chunk[part]; chunk < parts.first_chunk[part + 1]; ++chunk)
      sum += chunk_sums[chunk * columns + column];
    stack[open++] = sum;
    for (int merge = 0; merge < parts.merges[part]; ++merge) {
      --open;
      stack[open - 1] += stack[open];
    }
  }
  sums[column] = stack[0];
}

}  // namespace kernels

DeviceRowParts device_row_parts(const char* op, std::span<const RowPart> parts, int64_t rows) {
  check_row_parts(op, parts, rows);
  CHECK(rows <= INT32_MAX - kChunkRows, "{}: {} rows, at most {}", op, rows, INT32_MAX - kChunkRows);
  CHECK(parts.size() <= kMaxRowParts, "{}: {} parts, at most {}", op, parts.size(), kMaxRowParts);
  const RowPart whole{0, rows, 0};
  if (parts.empty()) parts = {&whole, 1};
  DeviceRowParts device{};
  device.count = static_cast<int>(parts.size());
  for (int i = 0; i < device.count; ++i) {
    const RowPart& part = parts[static_cast<size_t>(i)];
    device.begin[i] = static_cast<int>(part.begin);
    device.rows[i] = static_cast<int>(part.count);
    device.merges[i] = part.merges;
    device.first_chunk[i + 1] = device.first_chunk[i] + static_cast<int>((part.count + kChunkRows - 1) / kChunkRows);
  }
  return device;
}

void sum_parts(float* sums, const float* chunk_sums, const DeviceRowParts& parts, int64_t columns, Stream stream) {
  launch(kernels::sum_parts, blocks_for(columns, kernels::kThreads), kernels::kThreads, 0, stream, sums, chunk_sums,
         parts, columns);
}

}  // namespace cohort::cuda
