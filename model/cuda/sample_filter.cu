// Finds the cut of top_k, top_p and min_p (sample_cut.cuh): a block a row. No sort and no list of candidates: the edge is
// found bit by bit, each bit by one pass over the row, whose counts are integers and whose masses are doubles added up in
// one order.
#include "model/cuda/platform/launch.cuh"
#include "model/cuda/sample_cut.cuh"
#include "model/cuda/tensors.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 512;  // and one block a multiprocessor: ptxas then spills nothing

struct FilteredRow {
  const float* logits;
  int64_t vocab;
  LogitScale scale;
  const DeviceBan& ban;
  uint32_t position;

  // Sum of amount(scaled logit, order key, id) over tokens that can be drawn and that the cut keeps.
  template <typename T, typename Amount>
  __device__ __forceinline__ T sum(const Cut& cut, const Amount& amount) const {
    T total = 0;
    for (int64_t i = threadIdx.x; i < vocab; i += kThreads) {
      const float z = scaled(logits[i], scale);
      const int32_t token = static_cast<int32_t>(i);
      if (z == minus_infinity() || ban.holds(position, token) || !cut.keeps(z, token)) continue;
      total += amount(z, order_key(z), token);
    }
    return block_sum<kThreads>(total);
  }
};

// The smallest leading part of what `cut` keeps whose amount reaches `target`: T is int (top_k) or double (top_p).
template <typename T, typename Amount>
__device__ __forceinline__ Cut leading_part(const FilteredRow& row, const Cut& cut, T target, const Amount& amount) {
  // The largest key at or above which the amount reaches the target; 0 where nothing does: all stay.
  uint32_t key = 0;
  for (int bit = 31; bit >= 0; --bit) {
    const uint32_t higher = key | 1u << bit;
    const T reached = row.sum<T>(cut, [&](float z, uint32_t k, int32_t) { return k >= higher ? amount(z) : T{0}; });
    if (reached >= target) key = higher;
  }
  if (key == 0) return cut;
  const T above = row.sum<T>(cut, [&](float z, uint32_t k, int32_t) { return k > key ? amount(z) : T{0}; });
  const T at_key = row.sum<T>(cut, [&](float z, uint32_t k, int32_t) { return k == key ? amount(z) : T{0}; });
  const int equals = row.sum<int>(cut, [&](float, uint32_t k, int32_t) { return k == key ? 1 : 0; });
  // Equal tokens that are needed; each has the same amount.
  int needed = 1;
  const double each = static_cast<double>(at_key) / equals;
  while (needed < equals && static_cast<double>(above) + each * needed < static_cast<double>(target)) ++needed;
  int32_t last = INT32_MAX;
  if (needed < equals) {
    // The largest bound below which fewer than that lie is the id of the last one.
    last = 0;
    for (int bit = 26; bit >= 0; --bit) {
      const int32_t bound = last | 1 << bit;
      const int below = row.sum<int>(cut, [&](float, uint32_t k, int32_t id) { return k == key && id < bound ? 1 : 0; });
      if (below < needed) last = bound;
    }
  }
  return {key, last, cut.largest, cut.least_weight};
}

__global__ void __launch_bounds__(kThreads, 1)
    filter_rows(Cut* __restrict__ cuts, float* __restrict__ kept_mass, const float* __restrict__ logits,
                const float* __restrict__ lse, const DrawKey* __restrict__ keys, int64_t vocab, FilterSettings settings,
                DeviceBan ban) {
  const int64_t r = blockIdx.x;
  const FilteredRow row{logits + r * vocab, vocab, settings.scale, ban, keys[r].position};
  float largest = minus_infinity();
  for (int64_t i = threadIdx.x; i < vocab; i += kThreads)
    if (!ban.holds(row.position, static_cast<int32_t>(i))) largest = max_or_nan(largest, scaled(row.logits[i], settings.scale));
  largest = block_max<kThreads>(largest);
  Cut cut{0, INT32_MAX, largest, 0};
  if (settings.top_k > 0) cut = leading_part<int>(row, cut, settings.top_k, [](float) { return 1; });
  if (settings.top_p < 1) {
    const auto weight = [&](float z) { return static_cast<double>(expf(z - largest)); };
    const double total = row.sum<double>(cut, [&](float z, uint32_t, int32_t) { return weight(z); });
    cut = leading_part<double>(row, cut, total * static_cast<double>(settings.top_p), weight);
  }
  cut.least_weight = settings.min_p;
  const float row_lse = lse[r];
  const double mass =
      row.sum<double>(cut, [&](float z, uint32_t, int32_t) { return static_cast<double>(expf(z - row_lse)); });
  if (threadIdx.x != 0) return;
  cuts[r] = cut;
  kept_mass[r] = static_cast<float>(mass < 1 ? mass : 1.0);
}

}  // namespace kernels

void filter_rows(Cut* cuts, float* kept_mass, const float* logits, const float* lse, const DrawKey* keys, int64_t rows,
                 int64_t vocab, const FilterSettings& settings, const DeviceBan& ban, Stream stream) {
  launch(kernels::filter_rows, static_cast<unsigned>(rows), kernels::kThreads, 0, stream, cuts, kept_mass, logits, lse,
         keys, vocab, settings, ban);
}

}  // namespace cohort::cuda
