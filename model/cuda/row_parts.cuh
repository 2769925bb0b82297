// Sums over rows in parts (ops/row_parts.h) on the GPU. Private to model/cuda.
//
// A part's rows are cut into chunks of kChunkRows, counted from the part's start. A block sums one chunk; the chunks of a
// part are added in order, and the parts as their tree says: bits depend on the part's own rows only.
#pragma once

#include <span>

#include "model/cuda/stream.h"
#include "model/cuda/tensors.cuh"
#include "model/ops/row_parts.h"

namespace cohort::cuda {

constexpr int kChunkRows = 16;
constexpr int kMaxRowParts = 64;  // they travel as a kernel's argument

struct DeviceRowParts {
  int count;
  int begin[kMaxRowParts], rows[kMaxRowParts], merges[kMaxRowParts];
  int first_chunk[kMaxRowParts + 1];  // the last is their number

  int chunks() const { return first_chunk[count]; }
};

// Rows of chunk `chunk`.
struct ChunkRows {
  int begin, end;
};
__device__ __forceinline__ ChunkRows rows_of_chunk(const DeviceRowParts& parts, int chunk) {
  int part = 0;
  while (chunk >= parts.first_chunk[part + 1]) ++part;
  const int begin = parts.begin[part] + (chunk - parts.first_chunk[part]) * kChunkRows;
  return {begin, min(begin + kChunkRows, parts.begin[part] + parts.rows[part])};
}

// Checks as check_row_parts does; no parts: one of all rows.
DeviceRowParts device_row_parts(const char* op, std::span<const RowPart> parts, int64_t rows);

// sums[c] = the parts' tree over chunk_sums (chunks, columns).
void sum_parts(float* sums, const float* chunk_sums, const DeviceRowParts& parts, int64_t columns, Stream stream);

}  // namespace cohort::cuda
