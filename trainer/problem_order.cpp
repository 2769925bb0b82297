#include "trainer/problem_order.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace cohort {
namespace {

using Wide = unsigned __int128;

// m * share / whole, rounded; halves up.
int64_t rounded_share(int64_t m, uint64_t share, uint64_t whole) {
  return static_cast<int64_t>((Wide{static_cast<uint64_t>(m)} * share + whole / 2) / whole);
}

}  // namespace

std::vector<uint64_t> mixture_shares(std::span<const double> weights) {
  CHECK(!weights.empty(), "the shares of no sources");
  const double largest = *std::ranges::max_element(weights);
  CHECK(largest < 1e7 && *std::ranges::min_element(weights) > 0, "weights from {} to {}", *std::ranges::min_element(weights), largest);
  std::vector<uint64_t> shares;
  for (double scale = 1; scale <= 1e9; scale *= 10) {
    shares.clear();
    for (const double weight : weights) {
      const double scaled = weight * scale, whole = std::round(scaled);
      if (whole < 1 || std::abs(scaled - whole) > 1e-9 * scaled) break;
      shares.push_back(static_cast<uint64_t>(whole));
    }
    if (shares.size() == weights.size()) return shares;
  }
  shares.clear();
  for (const double weight : weights) shares.push_back(static_cast<uint64_t>(std::max(1.0, std::round(weight / largest * 0x1p40))));
  return shares;
}

MixturePlace place_in_mixture(int64_t position, std::span<const uint64_t> shares) {
  CHECK(position >= 0 && position < INT64_MAX && !shares.empty(), "place {} of {} sources", position, shares.size());
  uint64_t rest = 0;
  for (const uint64_t share : shares) rest += share;
  for (size_t source = 0;; ++source) {
    const int64_t before = rounded_share(position, shares[source], rest);
    if (source + 1 == shares.size() || rounded_share(position + 1, shares[source], rest) > before) return {source, before};
    position -= before;
    rest -= shares[source];
  }
}

ProblemOrder::ProblemOrder(const Dataset& data, uint64_t seed, bool shuffle) : seed_(seed), shuffle_(shuffle) {
  CHECK(!data.problems.empty(), "the order of no problems");
  std::vector<double> weights;
  for (const DataPart& part : data.parts) {
    sources_.push_back({part.begin, part.size()});
    weights.push_back(part.weight);
  }
  if (sources_.empty()) {
    sources_.push_back({0, static_cast<int64_t>(data.problems.size())});
    weights.push_back(1);
  }
  shares_ = mixture_shares(weights);
}

int64_t ProblemOrder::at(int64_t position) {
  const MixturePlace place = place_in_mixture(position, shares_);
  Source& source = sources_[place.source];
  const int64_t epoch = place.position / source.size, index = place.position % source.size;
  if (!shuffle_) return source.begin + index;
  if (source.epoch != epoch) {
    source.order = epoch_order(epoch, source.size, seed_, static_cast<uint32_t>(place.source));
    source.epoch = epoch;
  }
  return source.begin + source.order[static_cast<size_t>(index)];
}

std::vector<int64_t> ProblemOrder::step(int64_t step, int64_t count) {
  CHECK(step > 0 && count > 0 && step <= INT64_MAX / count, "step {} of {} prompts", step, count);
  std::vector<int64_t> problems;
  for (int64_t i = 0; i < count; ++i) problems.push_back(at((step - 1) * count + i));
  return problems;
}

}  // namespace cohort
