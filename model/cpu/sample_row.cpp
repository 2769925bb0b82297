#include "model/cpu/sample_row.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "model/cpu/sample_noise.h"
#include "model/cpu/vector_math.h"

namespace cohort::sampling {
namespace {

using namespace simd;

// Tokens are ordered by logit, the lower id first among equals.
bool ahead(const Row::Candidate& a, const Row::Candidate& b) {
  return a.scaled > b.scaled || (a.scaled == b.scaled && a.token < b.token);
}

// What lies above a limit, added up in double in a fixed order.
struct Above {
  double weight = 0;
  int64_t count = 0;
};
Above above(const Row& row, float limit) {
  double weight[kLanes] = {};
  Above sum;
  for (int64_t b = 0; b < row.blocks; ++b) {
    if (!(row.block_max[b] > limit)) continue;
    const float *z = row.scaled + b * kBlock, *w = row.weight + b * kBlock;
    int32_t count = 0;
    for (int64_t i = 0; i < kBlock; ++i) count += z[i] > limit;
    for (int64_t i = 0; i < kBlock; i += kLanes)
      for (int64_t l = 0; l < kLanes; ++l) weight[l] += static_cast<float>(z[i + l] > limit) * w[i + l];
    sum.count += count;
  }
  for (double part : weight) sum.weight += part;
  return sum;
}

// The last token of the smallest leading part, in the order of `ahead`, whose amount reaches `target`. amount(above)
// and amount_of(candidate) say what is added up. Bisects the logits until few candidates are left to sort.
template <typename Amount, typename AmountOf>
Row::Candidate last_kept(const Row& row, double target, const Amount& amount, const AmountOf& amount_of) {
  constexpr int64_t kFew = 512;
  // Always: amount above `high` < target, and (but for rounding) amount above `low` >= target.
  const float largest = row.largest();
  float high = largest, low = -kInfinity;
  Above over_high, over_low = {};
  for (float width : {1.0f, 4.0f, 16.0f, 64.0f}) {
    const Above over = above(row, largest - width);
    if (amount(over) < target) {
      high = largest - width, over_high = over;
    } else {
      low = largest - width, over_low = over;
      break;
    }
  }
  int idle = 0;  // halvings that left the bracket as it was: many equal logits
  while (low > -kInfinity && over_low.count - over_high.count > kFew && idle < 6) {
    const float middle = low + (high - low) / 2;
    if (!(middle > low && middle < high)) break;
    const Above over = above(row, middle);
    idle = over.count == over_low.count || over.count == over_high.count ? idle + 1 : 0;
    if (amount(over) < target) {
      high = middle, over_high = over;
    } else {
      low = middle, over_low = over;
    }
  }

  Row::Candidate* const begin = row.candidates;
  Row::Candidate* end = begin;
  for (int64_t b = 0; b < row.blocks; ++b) {
    if (!(row.block_max[b] > low)) continue;
    for (int64_t i = b * kBlock; i < (b + 1) * kBlock; ++i)
      if (row.scaled[i] > low && row.scaled[i] <= high) *end++ = {row.scaled[i], static_cast<int32_t>(i)};
  }
  if (!std::is_sorted(begin, end, ahead)) std::sort(begin, end, ahead);  // sorted: many equal logits
  double sum = amount(over_high);
  for (const Row::Candidate* c = begin; c < end; ++c) {
    sum += amount_of(*c);
    if (sum >= target) return *c;
  }
  if (begin == end) return {-kInfinity, std::numeric_limits<int32_t>::max()};  // fewer tokens than the target: all stay
  return end[-1];
}

// Takes out what `keep` (z, w, token) refuses.
template <typename Keep>
void take_out(const Row& row, float below, const Keep& keep) {
  for (int64_t b = 0; b < row.blocks; ++b) {
    float most = -kInfinity;
    if (row.block_max[b] > -kInfinity && row.block_max[b] >= below) {
      for (int64_t i = b * kBlock; i < (b + 1) * kBlock; ++i) {
        if (!keep(row.scaled[i], row.weight[i], static_cast<int32_t>(i))) row.scaled[i] = -kInfinity;
        most = std::max(most, row.scaled[i]);
      }
    }
    row.block_max[b] = most;
  }
}

void keep_up_to(const Row& row, Row::Candidate last) {
  take_out(row, last.scaled, [last](float z, float, int32_t token) { return !ahead(last, {z, token}); });
}

// weight = e^(scaled - shift) in live blocks, 0 for tokens that are out.
void exponentiate(const Row& row, float shift) {
  for (int64_t b = 0; b < row.blocks; ++b) {
    if (row.block_max[b] == -kInfinity) continue;
    for (int64_t i = b * kBlock; i < (b + 1) * kBlock; i += kLanes)
      store(row.weight + i, exp(load(row.scaled + i) - splat(shift)));
  }
}

}  // namespace

int64_t Row::richest_block() const { return std::max_element(block_max, block_max + blocks) - block_max; }

int32_t Row::first_largest() const {
  const int64_t block = richest_block();
  const float* z = scaled + block * kBlock;
  return static_cast<int32_t>(block * kBlock + (std::find(z, z + kBlock, block_max[block]) - z));
}

size_t row_bytes(int64_t vocab, bool filters) {
  const size_t tokens = static_cast<size_t>(round_up(vocab, kBlock)), blocks = tokens / kBlock;
  const size_t filter_bytes = tokens * (sizeof(float) + sizeof(Row::Candidate));
  return sizeof(float) * (tokens + blocks + kLanes) + (filters ? filter_bytes : 0);
}

Row carve_row(void* block, int64_t vocab, bool filters) {
  const int64_t tokens = round_up(vocab, kBlock), blocks = tokens / kBlock;
  Row row{blocks, static_cast<float*>(block), nullptr, nullptr, nullptr};
  row.block_max = row.scaled + tokens;
  if (filters) {
    row.weight = row.block_max + blocks + kLanes;
    row.candidates = reinterpret_cast<Row::Candidate*>(row.weight + tokens);
  }
  return row;
}

void load_row(const Row& row, const float* logits, int64_t begin, int64_t count, float inverse_temperature,
              std::span<const int32_t> banned) {
  const F16 scale = splat(inverse_temperature), zero = splat(-0.0f), out = splat(-kInfinity);
  for (int64_t i = 0; i < row.blocks * kBlock; i += kLanes) {  // as scaled_logit
    const int64_t lanes = std::clamp<int64_t>(count - i, 0, kLanes);
    store(row.scaled + i, select(first_lanes(lanes), fma(load_first(logits + i, lanes), scale, zero), out));
  }
  for (int32_t id : banned)
    if (id >= begin && id < begin + count) row.scaled[id - begin] = -kInfinity;
  for (int64_t b = 0; b < row.blocks; ++b) {
    const float* z = row.scaled + b * kBlock;
    row.block_max[b] = max_lanes(max(max(load(z), load(z + 16)), max(load(z + 32), load(z + 48))));
  }
  store(row.block_max + row.blocks, out);
}

float filter_row(const Row& row, const SamplingParams& params, float lse) {
  const float largest = row.largest();  // is never taken out
  if (params.top_k > 0) {
    const auto count = [](const Above& a) { return static_cast<double>(a.count); };
    std::memset(row.weight, 0, sizeof(float) * static_cast<size_t>(row.blocks * kBlock));
    keep_up_to(row, last_kept(row, params.top_k, count, [](const Row::Candidate&) { return 1.0; }));
  }
  if (params.top_p < 1) {
    exponentiate(row, largest);
    const double target = above(row, -kInfinity).weight * static_cast<double>(params.top_p);
    const auto mass = [](const Above& a) { return a.weight; };
    const auto mass_of = [&](const Row::Candidate& c) { return static_cast<double>(row.weight[c.token]); };
    keep_up_to(row, last_kept(row, target, mass, mass_of));
  }
  if (params.min_p > 0) {
    exponentiate(row, largest);
    take_out(row, -kInfinity, [&](float, float weight, int32_t) { return weight >= params.min_p; });
  }
  exponentiate(row, lse);
  return static_cast<float>(std::min(1.0, above(row, -kInfinity).weight));
}

}  // namespace cohort::sampling
