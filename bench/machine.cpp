#include "bench/machine.h"

#include <cpuid.h>
#include <immintrin.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
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

// AMX-BF16 and AMX-TILE in CPUID leaf 7, and leave of the system to use them.
bool has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1) != 0 && (d >> 24 & 1) != 0 &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// Six tiles of sums, one of each operand, none of them loaded: the multiplications alone.
__attribute__((target("amx-tile,amx-bf16"))) double bf16_amx() {
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } layout;
  asm volatile("ldtilecfg %0" ::"m"(layout));  // which makes all tiles zero
  constexpr int64_t kTileLoops = kLoops / 2;
  for (int64_t i = 0; i < kTileLoops; ++i)
    asm volatile(
        "tdpbf16ps %tmm7, %tmm6, %tmm0\n\ttdpbf16ps %tmm7, %tmm6, %tmm1\n\ttdpbf16ps %tmm7, %tmm6, %tmm2\n\t"
        "tdpbf16ps %tmm7, %tmm6, %tmm3\n\ttdpbf16ps %tmm7, %tmm6, %tmm4\n\ttdpbf16ps %tmm7, %tmm6, %tmm5");
  asm volatile("tilerelease");
  return 6.0 * 2 * 16 * 16 * 32 * kTileLoops;
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

// In huge pages, as packed weights are.
struct Buffer {
  explicit Buffer(int value) : words(static_cast<uint64_t*>(std::aligned_alloc(2 << 20, kBufferBytes))) {
    madvise(words.get(), kBufferBytes, MADV_HUGEPAGE);
    std::memset(words.get(), value, kBufferBytes);
  }
  struct Free {
    void operator()(uint64_t* p) const { std::free(p); }
  };
  std::unique_ptr<uint64_t[], Free> words;
};

uint64_t sum_words(const uint64_t* words) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i < kBufferBytes / sizeof(uint64_t); i += 8)
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
  if (has_amx()) bf16 = bf16_amx, bound.instructions = "AMX-BF16";
  bound.f32_peak = best_rate(pool, [&](int) { return f32(); });
  bound.bf16_peak = bf16 != nullptr ? best_rate(pool, [&](int) { return bf16(); }) : bound.f32_peak;
  bound.bf16_gemm = onednn_bf16_gflops(threads);

  std::vector<std::unique_ptr<Buffer>> from(static_cast<size_t>(threads)), to(from.size());
  pool.run(threads, [&](int64_t t, int) {  // each thread touches its own memory first
    from[static_cast<size_t>(t)] = std::make_unique<Buffer>(1);
    to[static_cast<size_t>(t)] = std::make_unique<Buffer>(2);
  });
  const auto words = [](const auto& buffers, int t) { return buffers[static_cast<size_t>(t)]->words.get(); };
  bound.copy_gb_s = best_rate(pool, [&](int t) {
    std::memcpy(words(to, t), words(from, t), kBufferBytes);
    return 2.0 * kBufferBytes;
  });
  volatile uint64_t sink = 0;
  std::vector<uint64_t> sums(from.size());
  bound.read_gb_s = best_rate(pool, [&](int t) {
    sums[static_cast<size_t>(t)] = sum_words(words(from, t));
    return 1.0 * kBufferBytes;
  });
  for (uint64_t s : sums) sink = sink + s;
  return bound;
}

}  // namespace cohort
