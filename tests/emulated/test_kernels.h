// Kernels for the tests of the emulator itself (test_kernels.cu).
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/cuda/stream.h"

namespace cohort::cuda {

// y[i] = x[i] + add, n numbers.
void add_number(float* y, const float* x, float add, int n, Stream stream);
// c (16, 8) f32 = a (16, 16) bf16 b (16, 8) bf16, row-major, by cp.async, ldmatrix and mma of one warp.
void small_product(float* c, const void* a, const void* b, Stream stream);
// Each block writes its number from 1 into of_block (blocks); the last one to end adds them up into *total.
void count_up(int* total, int* of_block, int* blocks_done, int blocks, Stream stream);
// y[lane]: what shuffles and votes give the lanes of a warp; 8 numbers a lane.
void warp_functions(int* y, Stream stream);
// y[i] = 1 for one block of the given size, with shared bytes.
void one_block(float* y, unsigned threads, size_t shared_bytes, Stream stream);

}  // namespace cohort::cuda
