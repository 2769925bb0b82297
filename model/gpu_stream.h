// A GPU's stream, for what has its place among the ops and is none of them: collectives between the GPUs of ranks
// (comm/device_comm.h), which order their own stream with it, and the sums that they need on that other stream.
// Implemented by model/cuda, or by no_cuda.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

struct CUstream_st;

namespace cohort {

class Gpu;

namespace gpu {

// Where the ops go, one after the other: a cudaStream_t, without the toolkit's headers.
CUstream_st* stream(Gpu& gpu);
// Waits until what is on it is done.
void synchronize(Gpu& gpu);

// sum[i] = the terms' i-th elements added up: each goes on a stack, then merges[t] times after term t the two sums on top
// become one. `sum` may be one of the terms. At most kOrderedTerms terms, of the device's memory; on the stream.
void ordered_sum(float* sum, std::span<const float* const> terms, std::span<const int> merges, int64_t count, CUstream_st* stream);
constexpr size_t kOrderedTerms = 16;

}  // namespace gpu
}  // namespace cohort
