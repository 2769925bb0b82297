// Every PTX instruction that cohort uses, each as one function; under emulation its twin of emulator/ptx_twins.h runs.
//
// Sections of NVIDIA's PTX ISA manual are given by title; their numbers change from version to version. Shared memory is
// passed by pointer, never as a 32-bit shared address, so that both sides read alike. All lanes of the warp must call
// mma and ldmatrix together.
#pragma once

#include "model/cuda/platform/platform.cuh"
#ifdef GPU_EMULATED
#include <emulator/ptx_twins.h>
#endif

namespace cohort::cuda::ptx {

#ifndef GPU_EMULATED
__device__ __forceinline__ uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}
#endif

// d (16x8 f32) = a (16x16 bf16, row-major) b (16x8 bf16, column-major) + c.          sm_80 and later
// "Matrix Fragments for mma.m16n8k16 with floating point type", with group = lane / 4 and pair = 2 (lane % 4):
//   a[0]: row group,     columns pair, pair + 1        a[2]: row group,     columns pair + 8, pair + 9
//   a[1]: row group + 8, columns pair, pair + 1        a[3]: row group + 8, columns pair + 8, pair + 9
//   b[0]: rows pair, pair + 1, column group            b[1]: rows pair + 8, pair + 9, column group
//   c, d [0], [1]: row group, columns pair, pair + 1   c, d [2], [3]: row group + 8, the same columns
// The lower half of a register holds the lower index. The order of the 16 products' sum is the hardware's own.
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                             const float (&c)[4]) {
#ifdef GPU_EMULATED
  emulated::mma_m16n8k16(d, a, b, c);
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%10, %11, %12, %13};\n"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
#endif
}

// Four 8x8 matrices of 16-bit numbers from shared memory: lanes 8 i .. 8 i + 7 give the addresses of the rows of matrix
// i, each 16 bytes aligned to 16. r[i] of a lane: row lane / 4, columns 2 (lane % 4) and + 1 of matrix i; kTranspose:
// of its transpose.    "Warp-level matrix load instruction: ldmatrix"                sm_75 and later
template <bool kTranspose>
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
#ifdef GPU_EMULATED
  emulated::ldmatrix_x4(r, row, kTranspose);
#else
  if constexpr (kTranspose) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
  }
#endif
}

// Starts a copy of 16 bytes from global to shared memory, past the L1 cache. Of the source only the first `bytes` are
// read, the rest is zero; with 0 it is not read at all. Both addresses are aligned to 16.
// "Data Movement and Conversion Instructions: cp.async"                              sm_80 and later
__device__ __forceinline__ void copy_async_16(void* shared, const void* global, int bytes = 16) {
#ifdef GPU_EMULATED
  emulated::copy_async(shared, global, 16, bytes);
#else
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(shared)), "l"(global), "r"(bytes)
               : "memory");
#endif
}

// Makes one group of this thread's copies since the last commit.    "cp.async.commit_group"
__device__ __forceinline__ void copy_async_commit() {
#ifdef GPU_EMULATED
  emulated::copy_async_commit();
#else
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#endif
}

// Waits until at most kPending of this thread's latest groups are under way. Other threads see the data after a
// barrier.    "cp.async.wait_group"
template <int kPending>
__device__ __forceinline__ void copy_async_wait() {
#ifdef GPU_EMULATED
  emulated::copy_async_wait(kPending);
#else
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
#endif
}

// Two numbers rounded to bf16 (nearest, ties to even) in one register, `low` in the lower half.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return static_cast<uint32_t>(__bfloat16_as_ushort(pair.x)) |
         static_cast<uint32_t>(__bfloat16_as_ushort(pair.y)) << 16;
}

}  // namespace cohort::cuda::ptx
