// Counter-based random numbers: each is a pure function of its key and counter, so there is no state to save or share.
//
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
#pragma once

#include <array>
#include <cstdint>

namespace cohort {

// Keeps draws for different purposes apart; part of the counter.
enum class Stream : uint32_t { kSample = 1, kInit = 2, kShuffle = 3, kTask = 4, kWarmStart = 5, kTest = 99 };

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// The random bits for (seed, stream, a, b, c). a, b, c: e.g. step, prompt * generations + sample, position.
// Four words a call; `c` may count further blocks of four.
std::array<uint32_t, 4> random_bits(uint64_t seed, Stream stream, uint32_t a, uint32_t b, uint32_t c);

// A float in (0, 1), never 0 or 1, from 23 bits: safe to take logarithms of.
inline float open_uniform(uint32_t bits) { return (static_cast<float>(bits >> 9) + 0.5f) * 0x1p-23f; }

// A stream of draws for code that wants "the next one" (tests, shuffles, task generators). Equal seeds, equal draws.
class Random {
 public:
  Random(uint64_t seed, Stream stream, uint32_t a = 0, uint32_t b = 0)
      : seed_(seed), stream_(stream), a_(a), b_(b) {}
  uint32_t next();
  // Uniform in [0, bound), bound > 0, without modulo bias.
  uint32_t below(uint32_t bound);
  // Uniform in [low, high].
  int64_t between(int64_t low, int64_t high);
  float uniform() { return open_uniform(next()); }
  // Standard normal (Box-Muller).
  float normal();

 private:
  uint64_t seed_;
  Stream stream_;
  uint32_t a_, b_, block_ = 0;
  int used_ = 4;
  std::array<uint32_t, 4> bits_{};
};

}  // namespace cohort
