// PassGraphs: passes on a GPU that are recorded once and then replayed, so that the host makes one launch where a pass has
// hundreds. A graph holds launches with their grids and addresses. What changes from pass to pass lies in lists, which are
// brought to the same places of the device before each; whatever else a launch depends on is part of the pass's key, or
// never changes while the PassGraphs lives. Implemented by model/cuda, or by no_cuda.cpp.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/ops/attention.h"

namespace cohort {

class Gpu;

// A list of the host that ops read on the device. They find it by where it lies, so two of them lie apart.
using HostList = std::span<const std::byte>;

// What the launches of a pass depend on.
struct PassInputs {
  std::vector<int64_t> key;     // found again: equal keys, equal launches
  std::vector<HostList> lists;  // as many in the same order in all passes, each with a part of its own

  template <typename T>
  void add(std::span<const T> list) { lists.push_back(std::as_bytes(list)); }
};

// Rows of a pass with `rows` of its own, filled up so that few numbers of rows occur: 1, 2, 4, 8, 16, 24, ... 64, 80, ... 128, 160,
// ..., and never more than `most`.
inline int64_t filled_up(int64_t rows, int64_t most) {
  const auto power = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
  const int64_t step = std::clamp<int64_t>(power / 8, std::min<int64_t>(power, 8), power);
  return std::min(most, (rows + step - 1) / step * step);
}

class PassGraphs {
 public:
  static constexpr size_t kMost = 32;  // passes whose graphs are kept, those used last
  // Of the GPU that is open.
  explicit PassGraphs(size_t most = kMost);
  ~PassGraphs();
  PassGraphs(const PassGraphs&) = delete;
  PassGraphs& operator=(const PassGraphs&) = delete;

  // Brings the lists to the device and does what `launches` puts on its stream. The first pass with a key calls it, so that all
  // memory is taken and all code loaded; the second calls it to record it; later ones replay that. It must neither wait nor copy
  // between host and device. Where the device records nothing, or has no memory for it, it is called each time.
  void run(const PassInputs& inputs, const std::function<void()>& launches);

  struct Counts {
    int64_t launched = 0, recorded = 0, replayed = 0;  // passes; a recorded one is replayed at once, and counts as both
    int64_t kept = 0;                                  // graphs
  };
  const Counts& counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

namespace gpu {

// Adds the list that store_cached and attention_cached read for these runs, and what their launches depend on.
void add_attention(PassInputs& inputs, std::span<const CachedRun> runs, int64_t rows, int64_t page_tokens, const HeadLayout& heads, Gpu& gpu);

}  // namespace gpu
}  // namespace cohort
