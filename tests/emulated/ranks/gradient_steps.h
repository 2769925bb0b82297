// Gradients of a step, their sum by the CPU's path and by DeviceReduction.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "tests/emulated/ranks/gpu_memory.h"
#include "trainer/device_reduction.h"

namespace cohort {

using Values = std::vector<float>;
using Step = std::vector<std::vector<Values>>;  // of each leaf, its packs

// Sums depend on their order: numbers of very different size.
inline Step random_step(std::mt19937& random, size_t size, const std::vector<bool>& leaf_used) {
  std::uniform_real_distribution<float> number(-1, 1);
  Step step(leaf_used.size());
  for (size_t leaf = 0; leaf < step.size(); ++leaf) {
    if (!leaf_used[leaf]) continue;
    for (size_t pack = 0; pack < 1 + random() % 2; ++pack) {
      Values& values = step[leaf].emplace_back(size);
      for (float& value : values) value = std::ldexp(number(random), static_cast<int>(random() % 24) - 12);
    }
  }
  return step;
}

inline std::vector<bool> used(const Step& step) {
  std::vector<bool> result;
  for (const auto& packs : step) result.push_back(!packs.empty());
  return result;
}

// What a rank has added up when its packs are done; empty: no pack.
inline Values node_sum(const Step& step, TreeNode node) {
  Values sum;
  const auto add = [&](const Values& more) {
    if (sum.empty()) {
      sum = more;
    } else {
      for (size_t i = 0; i < more.size(); ++i) sum[i] += more[i];
    }
  };
  if (node.level == 0) {
    for (const Values& pack : step[static_cast<size_t>(node.index)]) add(pack);
  } else {
    for (int half : {0, 1})
      if (const Values part = node_sum(step, {node.level - 1, 2 * node.index + half}); !part.empty()) add(part);
  }
  return sum;
}

// GradientSum::finish on the same ranks.
inline Values total_by_cpu(const Step& step, size_t size, Comm& host) {
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  GradientSum sum(static_cast<int64_t>(size), static_cast<int>(step.size()), host, 1000);
  for (int leaf = sum.range().first; leaf < sum.range().last; ++leaf) {
    const auto& packs = step[static_cast<size_t>(leaf)];
    for (size_t p = 0; p < packs.size(); ++p) {
      std::ranges::copy(packs[p], sum.begin({{leaf}}, ex).f32());
      sum.end(ex, p + 1 < packs.size());
    }
  }
  const std::span<const float> total = sum.finish(used(step), ex);
  return {total.begin(), total.end()};
}

// As a backward pass does it: each bucket's gradients appear on a stream of the GPU's, and the totals are read there.
inline Values total_by_gpu(const Step& step, size_t size, DeviceReduction& reduction, std::span<const ParamSpan> buckets,
                           DeviceComm& comm) {
  const GpuStream work;
  std::vector<GpuFloats> memory;
  std::vector<PinnedFloats> sources;
  std::vector<float*> sums;
  for (TreeNode node : held_nodes(used(step), comm.rank(), comm.size())) {
    sources.emplace_back(node_sum(step, node));
    memory.emplace_back(size);
    sums.push_back(memory.back().data());
    cuda::check_status(cudaMemsetAsync(sums.back(), 0xff, size * sizeof(float), work), "clear");
  }
  reduction.begin(used(step), sums);
  for (ParamSpan bucket : buckets) {
    const auto bytes = static_cast<size_t>(bucket.end - bucket.begin) * sizeof(float);
    for (size_t i = 0; i < sums.size(); ++i) {
      cuda::check_status(cudaMemcpyAsync(sums[i] + bucket.begin, sources[i].data() + bucket.begin, bytes,
                                         cudaMemcpyHostToDevice, work),
                         "copy to the device");
    }
    reduction.reduce(bucket, work);
  }
  const float* total = reduction.finish(work);
  const PinnedFloats result(static_cast<size_t>(reduction.owned().end - reduction.owned().begin));
  const auto bytes = static_cast<size_t>(reduction.owned().end - reduction.owned().begin) * sizeof(float);
  cuda::check_status(cudaMemcpyAsync(result.data(), total, bytes, cudaMemcpyDeviceToHost, work), "copy to the host");
  comm.wait("gradients");
  cuda::check_status(cudaStreamSynchronize(work), "wait");
  return result.values();
}

inline bool same_bits(const Values& a, const Values& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace cohort
