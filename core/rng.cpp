#include "core/rng.h"

#include <cmath>

#include "core/check.h"

namespace cohort {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  constexpr uint32_t kM0 = 0xD2511F53, kM1 = 0xCD9E8D57, kW0 = 0x9E3779B9, kW1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{kM0} * c[0], p1 = uint64_t{kM1} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k[0] += kW0;
    k[1] += kW1;
  }
  return c;
}

std::array<uint32_t, 4> random_bits(uint64_t seed, Stream stream, uint32_t a, uint32_t b, uint32_t c) {
  return philox({static_cast<uint32_t>(stream), a, b, c},
                {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}

uint32_t Random::next() {
  if (used_ == 4) {
    bits_ = random_bits(seed_, stream_, a_, b_, block_++);
    used_ = 0;
  }
  return bits_[used_++];
}

uint32_t Random::below(uint32_t bound) {
  CHECK(bound > 0, "Random::below needs a positive bound");
  const uint32_t limit = -bound % bound;  // draws under this would favour small results
  uint32_t bits = next();
  while (bits < limit) bits = next();
  return bits % bound;
}

int64_t Random::between(int64_t low, int64_t high) {
  CHECK(low <= high && high - low < 0xFFFFFFFFll, "Random::between({}, {})", low, high);
  return low + below(static_cast<uint32_t>(high - low + 1));
}

float Random::normal() {
  const float radius = std::sqrt(-2.0f * std::log(uniform()));
  return radius * std::cos(6.2831853f * uniform());
}

}  // namespace cohort
