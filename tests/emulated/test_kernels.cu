// Kernels for the tests of the emulator itself (test_kernels.h).
#include "tests/emulated/test_kernels.h"

#include "model/cuda/platform/launch.cuh"
#include "model/cuda/platform/ptx.cuh"

namespace cohort::cuda {
namespace kernels {

__global__ void add_number(float* y, const float* x, float add, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) y[i] = x[i] + add;
}

__global__ void small_product(float* c, const __nv_bfloat16* a, const __nv_bfloat16* b) {
  GPU_SHARED(uint4, tile_a, [16 * 2]);
  GPU_SHARED(uint4, tile_b, [16]);
  const int lane = static_cast<int>(threadIdx.x);
  ptx::copy_async_16(&tile_a[lane], a + lane * 8);
  ptx::copy_async_commit();
  if (lane < 16) ptx::copy_async_16(&tile_b[lane], b + lane * 8);
  ptx::copy_async_commit();
  ptx::copy_async_wait<1>();
  ptx::copy_async_wait<0>();
  __syncthreads();
  uint32_t rows[4], columns[4];
  ptx::ldmatrix_x4<false>(rows, &tile_a[lane % 16 * 2 + lane / 16]);
  ptx::ldmatrix_x4<true>(columns, &tile_b[lane % 16]);
  const uint32_t fragment[2] = {columns[0], columns[1]};
  float sums[4] = {};
  ptx::mma_m16n8k16(sums, rows, fragment, sums);
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < 2; ++i) c[(lane / 4 + 8 * half) * 8 + lane % 4 * 2 + i] = sums[2 * half + i];
}

__global__ void count_up(int* total, int* of_block, int* blocks_done) {
  GPU_SHARED(int, is_last, [1]);
  if (threadIdx.x == 0) {
    of_block[blockIdx.x] = static_cast<int>(blockIdx.x) + 1;
    __threadfence();
    *is_last = atomicAdd(blocks_done, 1) == static_cast<int>(gridDim.x) - 1;
    __threadfence();
  }
  __syncthreads();
  if (*is_last && threadIdx.x == 0) {
    int sum = 0;
    for (unsigned b = 0; b < gridDim.x; ++b) sum += of_block[b];
    *total = sum;
  }
}

__global__ void warp_functions(int* y) {
  const int lane = static_cast<int>(threadIdx.x);
  int* mine = y + lane * 8;
  mine[0] = __shfl_sync(kWholeWarp, lane, 3, 8);
  mine[1] = __shfl_xor_sync(kWholeWarp, lane, 5);
  mine[2] = __shfl_down_sync(kWholeWarp, lane, 3, 16);
  mine[3] = __shfl_up_sync(kWholeWarp, lane, 2u, 4);
  mine[4] = static_cast<int>(__ballot_sync(kWholeWarp, lane % 3 == 0));
  mine[5] = __any_sync(kWholeWarp, lane == 7) + 2 * __all_sync(kWholeWarp, lane < 31);
  // Divergent halves meet among themselves.
  if (lane < 16) {
    mine[6] = __shfl_sync(0x0000ffffu, lane, 15);
  } else {
    mine[6] = __shfl_sync(0xffff0000u, lane, 16);
  }
  __syncwarp();
  mine[7] = __popc(0xf0u) + __ffs(8) + __clz(1);
}

__global__ void one_block(float* y) {
  GPU_DYNAMIC_SHARED(shared);
  if (threadIdx.x == 0) shared[0] = 1;
  __syncthreads();
  y[threadIdx.x] = shared[0];
}

}  // namespace kernels

void add_number(float* y, const float* x, float add, int n, Stream stream) {
  launch(kernels::add_number, static_cast<unsigned>((n + 63) / 64), 64, 0, stream, y, x, add, n);
}
void small_product(float* c, const void* a, const void* b, Stream stream) {
  launch(kernels::small_product, 1, 32, 0, stream, c, static_cast<const __nv_bfloat16*>(a),
         static_cast<const __nv_bfloat16*>(b));
}
void count_up(int* total, int* of_block, int* blocks_done, int blocks, Stream stream) {
  launch(kernels::count_up, static_cast<unsigned>(blocks), 64, 0, stream, total, of_block, blocks_done);
}
void warp_functions(int* y, Stream stream) { launch(kernels::warp_functions, 1, 32, 0, stream, y); }
void one_block(float* y, unsigned threads, size_t shared_bytes, Stream stream) {
  launch(kernels::one_block, 1, threads, shared_bytes, stream, y);
}

}  // namespace cohort::cuda
