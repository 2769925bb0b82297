// Kernels with one fault each: emulated_broken NAME [EMULATED_CUDA text] runs one and prints a hash of what it wrote and
// how many NaN are in it. The tests demand that each is noticed (broken_test.cpp).
#include <emulator/settings.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "core/check.h"
#include "model/cuda/platform/launch.cuh"
#include "model/cuda/platform/ptx.cuh"
#include "model/cuda/platform/reduce.cuh"

namespace broken {

constexpr int kThreads = 128;

// Nothing is wrong here: reads the neighbour after a barrier.
__global__ void sound(float* y, const float* x) {
  GPU_SHARED(float, s, [kThreads]);
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = s[(threadIdx.x + 1) % kThreads];
}
__global__ void missing_barrier(float* y, const float* x) {
  GPU_SHARED(float, s, [kThreads]);
  s[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = s[(threadIdx.x + 1) % kThreads];
}
// The second write may overtake a slow reader.
__global__ void write_after_read(float* y, const float* x) {
  GPU_SHARED(float, s, [kThreads]);
  const int t = threadIdx.x;
  s[t] = x[t];
  __syncthreads();
  const float v = s[kThreads - 1 - t];
  s[t] = v * 2;
  __syncthreads();
  y[t] = s[t] + v;
}
__global__ void lost_update(float* y, const float*) {
  int* count = reinterpret_cast<int*>(y);
  *count = *count + 1;
}
// Takes the warp for marching in step.
__global__ void implicit_warp_step(float* y, const float* x) {
  GPU_SHARED(float, s, [32]);
  const int t = threadIdx.x;
  s[t] = x[t];
  for (int apart = 16; apart > 0; apart /= 2)
    if (t < apart) s[t] += s[t + apart];
  if (t == 0) *y = s[0];
}
__global__ void blocks_race(float* y, const float*) { *y = static_cast<float>(blockIdx.x); }
__global__ void global_out_of_bounds(float* y, const float*) {
  if (threadIdx.x <= kThreads) y[threadIdx.x] = 1;
}
__global__ void dynamic_shared_out_of_bounds(float* y, const float*) {
  GPU_DYNAMIC_SHARED(raw);
  float* s = reinterpret_cast<float*>(raw);
  s[threadIdx.x + 1] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void static_shared_out_of_bounds(float* y, const float*) {
  GPU_SHARED(float, s, [64]);
  const int one = static_cast<int>(blockDim.x) - 63;  // which the compiler does not know
  s[threadIdx.x + one] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void uninitialised_shared(float* y, const float*) {
  GPU_SHARED(float, s, [64]);
  if (threadIdx.x < 32) s[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void divergent_barrier(float* y, const float*) {
  if (threadIdx.x < 48) __syncthreads();
  y[threadIdx.x] = 1;
}
__global__ void two_barriers(float* y, const float*) {
  if (threadIdx.x < 48) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = 1;
}
__global__ void divergent_shuffle(float* y, const float*) {
  float v = threadIdx.x;
  if (threadIdx.x < 16) v = __shfl_xor_sync(cohort::cuda::kWholeWarp, v, 1);
  y[threadIdx.x] = v;
}
__global__ void shuffle_outside_mask(float* y, const float*) {
  float v = threadIdx.x;
  if (threadIdx.x < 16) v = __shfl_sync(0xffffu, v, 20);
  y[threadIdx.x] = v;
}
__global__ void missing_copy_wait(float* y, const float* x) {
  GPU_SHARED(float4, s, [32]);
  cohort::cuda::ptx::copy_async_16(&s[threadIdx.x], x + threadIdx.x * 4);
  cohort::cuda::ptx::copy_async_commit();
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x].x;
}
// Reads what other threads copied: waiting is for one's own copies only.
__global__ void missing_barrier_after_copy(float* y, const float* x) {
  GPU_SHARED(float4, s, [32]);
  cohort::cuda::ptx::copy_async_16(&s[threadIdx.x], x + threadIdx.x * 4);
  cohort::cuda::ptx::copy_async_commit();
  cohort::cuda::ptx::copy_async_wait<0>();
  y[threadIdx.x] = s[31 - threadIdx.x].x;
}
__global__ void missing_barrier_before_ldmatrix(float* y, const float* x) {
  GPU_SHARED(float4, s, [32]);
  s[threadIdx.x] = reinterpret_cast<const float4*>(x)[threadIdx.x];
  uint32_t r[4];
  cohort::cuda::ptx::ldmatrix_x4<false>(r, &s[31 - threadIdx.x]);
  y[threadIdx.x] = static_cast<float>(r[0] & 0xffff);
}
__global__ void misaligned_vector(float* y, const float* x) {
  y[threadIdx.x] = reinterpret_cast<const float4*>(x + 1)->x;
}
__global__ void trap(float*, const float*) { __trap(); }

struct Case {
  const char* name;
  void (*kernel)(float*, const float*);
  unsigned blocks, threads;
  size_t shared_bytes;
};
constexpr Case kCases[] = {
    {"sound", sound, 1, kThreads, 0},
    {"missing_barrier", missing_barrier, 1, kThreads, 0},
    {"write_after_read", write_after_read, 1, kThreads, 0},
    {"lost_update", lost_update, 4, 64, 0},
    {"implicit_warp_step", implicit_warp_step, 1, 32, 0},
    {"blocks_race", blocks_race, 4, 1, 0},
    {"global_out_of_bounds", global_out_of_bounds, 1, 160, 0},
    {"dynamic_shared_out_of_bounds", dynamic_shared_out_of_bounds, 1, 64, 64 * sizeof(float)},
    {"static_shared_out_of_bounds", static_shared_out_of_bounds, 1, 64, 0},
    {"uninitialised_shared", uninitialised_shared, 1, 64, 0},
    {"divergent_barrier", divergent_barrier, 1, 64, 0},
    {"two_barriers", two_barriers, 1, 64, 0},
    {"divergent_shuffle", divergent_shuffle, 1, 32, 0},
    {"shuffle_outside_mask", shuffle_outside_mask, 1, 32, 0},
    {"missing_copy_wait", missing_copy_wait, 1, 32, 0},
    {"missing_barrier_after_copy", missing_barrier_after_copy, 1, 32, 0},
    {"missing_barrier_before_ldmatrix", missing_barrier_before_ldmatrix, 1, 32, 0},
    {"misaligned_vector", misaligned_vector, 1, 32, 0},
    {"trap", trap, 1, 32, 0},
    {"too_many_threads", sound, 1, 2048, 0},
    {"too_much_shared", sound, 1, kThreads, 300 * 1024},
};

void run(const Case& c) {
  using cohort::cuda::check_status;
  cudaStream_t stream;
  check_status(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "create a stream");
  std::vector<float> x(160), y(kThreads);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i + 1);
  float *dx, *dy;
  check_status(cudaMalloc(reinterpret_cast<void**>(&dx), x.size() * sizeof(float)), "allocate");
  check_status(cudaMalloc(reinterpret_cast<void**>(&dy), y.size() * sizeof(float)), "allocate");
  check_status(cudaMemcpy(dx, x.data(), x.size() * sizeof(float), cudaMemcpyHostToDevice), "copy");
  check_status(cudaMemset(dy, 0, y.size() * sizeof(float)), "clear");
  cohort::cuda::launch(c.kernel, c.blocks, c.threads, c.shared_bytes, stream, dy, dx);
  check_status(cudaStreamSynchronize(stream), "run the kernel");
  check_status(cudaMemcpy(y.data(), dy, y.size() * sizeof(float), cudaMemcpyDeviceToHost), "copy");
  check_status(cudaFree(dx), "free");
  check_status(cudaFree(dy), "free");
  uint64_t hash = 1469598103934665603ull;
  int nan = 0;
  for (float v : y) {
    uint32_t bits;
    std::memcpy(&bits, &v, sizeof(bits));
    hash = (hash ^ bits) * 1099511628211ull;
    nan += std::isnan(v);
  }
  std::printf("hash %016llx nan %d\n", static_cast<unsigned long long>(hash), nan);
}

}  // namespace broken

int main(int argc, char** argv) {
  if (argc > 2) emulated::set_settings(emulated::parse_settings(argv[2]));
  for (const broken::Case& c : broken::kCases) {
    if (argc < 2 || std::string(c.name) != argv[1]) continue;
    try {
      broken::run(c);
    } catch (const cohort::Error& error) {
      std::fprintf(stderr, "%s\n", error.what());
      return 3;
    }
    return 0;
  }
  std::fprintf(stderr, "usage: emulated_broken NAME [settings]\n");
  return 2;
}
