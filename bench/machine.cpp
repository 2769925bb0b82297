#include "bench/machine.h"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "bench/onednn.h"
#include "core/threads.h"

namespace cohort {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kRounds = 5;
constexpr int64_t kLoops = 4'000'000;
constexpr size_t kBufferBytes = size_t{128} << 20;  // of each thread: more than any cache

// The compiler must neither drop nor merge the sums.
#define KEEP(x) asm volatile("" : "+v"(x))

// Ten independent sums hide the latency of a multiply-add on every core that is two wide and has a latency of up to five.
__attribute__((target("avx512f,avx512bf16"))) double bf16_avx512() {
  const __m512bh a = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3f803f80)), b = a;
  __m512 s[10];
  for (__m512& x : s) x = _mm512_setzero_ps();
  for (int64_t i = 0; i < kLoops; ++i)
    for (__m512& x : s) {
      x = _mm512_dpbf16_ps(x, a, b);
      KEEP(x);
    }
  return 10.0 * 64.0 * kLoops;
}

__attribute__((target("avx512f"))) double f32_avx512() {
  const __m512 a = _mm512_set1_ps(0.5f);
  __m512 s[10];
  for (__m512& x : s) x = _mm512_setzero_ps();
  for (int64_t i = 0; i < kLoops; ++i)
    for (__m512& x : s) {
      x = _mm512_fmadd_ps(a, a, x);
      KEEP(x);
    }
  return 10.0 * 32.0 * kLoops;
}

__attribute__((target("avx2,fma"))) double f32_avx2() {
  const __m256 a = _mm256_set1_ps(0.5f);
  __m256 s[10];
  for (__m256& x : s) x = _mm256_setzero_ps();
  for (int64_t i = 0; i < kLoops; ++i)
    for (__m256& x : s) {
      x = _mm256_fmadd_ps(a, a, x);
      KEEP(x);
    }
  return 10.0 * 16.0 * kLoops;
}

double f32_sse() {
  const __m128 a = _mm_set1_ps(0.5f);
  __m128 s[10];
  for (__m128& x : s) x = _mm_setzero_ps();
  for (int64_t i = 0; i < kLoops; ++i)
    for (__m128& x : s) {
      x = _mm_add_ps(x, _mm_mul_ps(a, a));
      KEEP(x);
    }
  return 10.0 * 8.0 * kLoops;
}
#undef KEEP

// The best rate of `work`, which returns what one thread did, over a few rounds of all threads.
double best_rate(ThreadPool& pool, const std::function<double(int thread)>& work) {
  std::vector<double> done(static_cast<size_t>(pool.size()));
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Clock::time_point start = Clock::now();
    pool.run(pool.size(), [&](int64_t task, int) { done[static_cast<size_t>(task)] = work(static_cast<int>(task)); });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    double sum = 0;
    for (double d : done) sum += d;
    best = std::max(best, sum / seconds * 1e-9);
  }
  return best;
}

uint64_t sum_words(const std::vector<uint64_t>& words) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i < words.size(); i += 8)
    for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  uint64_t sum = 0;
  for (uint64_t s : sums) sum += s;
  return sum;
}

}  // namespace

MachineBound measure_machine(int threads) {
  MachineBound bound{.threads = threads};
  ThreadPool pool(threads);
  using Loop = double (*)();
  Loop f32 = f32_sse, bf16 = nullptr;
  bound.instructions = "SSE f32";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) f32 = f32_avx2, bound.instructions = "AVX2 f32";
  if (__builtin_cpu_supports("avx512f")) f32 = f32_avx512, bound.instructions = "AVX-512 f32";
  if (__builtin_cpu_supports("avx512bf16")) bf16 = bf16_avx512, bound.instructions = "AVX512-BF16";
  bound.f32_peak = best_rate(pool, [&](int) { return f32(); });
  bound.bf16_peak = bf16 != nullptr ? best_rate(pool, [&](int) { return bf16(); }) : bound.f32_peak;
  bound.bf16_gemm = onednn_bf16_gflops(threads);

  std::vector<std::vector<uint64_t>> from(static_cast<size_t>(threads)), to(from.size());
  pool.run(threads, [&](int64_t t, int) {  // each thread touches its own memory first
    from[static_cast<size_t>(t)].assign(kBufferBytes / sizeof(uint64_t), 1);
    to[static_cast<size_t>(t)].assign(kBufferBytes / sizeof(uint64_t), 2);
  });
  bound.copy_gb_s = best_rate(pool, [&](int t) {
    std::memcpy(to[static_cast<size_t>(t)].data(), from[static_cast<size_t>(t)].data(), kBufferBytes);
    return 2.0 * kBufferBytes;
  });
  volatile uint64_t sink = 0;
  std::vector<uint64_t> sums(from.size());
  bound.read_gb_s = best_rate(pool, [&](int t) {
    sums[static_cast<size_t>(t)] = sum_words(from[static_cast<size_t>(t)]);
    return 1.0 * kBufferBytes;
  });
  for (uint64_t s : sums) sink = sink + s;
  return bound;
}

}  // namespace cohort
