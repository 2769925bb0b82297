// One optimizer step on packs of the shape of SmolLM2-135M, whole: seconds, share of the matrix products' bound,
// memory.
//
//   update_bench [--groups=4] [--completions=8] [--prompt=40] [--length=35] [--logical_ranks=4] [--pack_tokens=0]
//                [--shared=1] [--steps=6] [--threads=2] [--gradient_checkpointing=0]
//
// --shared=0 gives every completion a prompt of its own, as a trainer does that shares none. Weights are random: the
// time does not depend on them. The bound: three times the forward pass's matrix products of the rows that run (a
// shared prompt once) at the speed that a large product reaches in the same run; attention is not in it.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "bench/options.h"
#include "comm/comm.h"
#include "core/clock.h"
#include "core/rng.h"
#include "trainer/optimizer.h"
#include "trainer/pack_runner.h"
#include "trainer/packs.h"

namespace {

using namespace cohort;
double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

ModelConfig smollm2_135m() {
  ModelConfig c;
  c.vocab_size = 49152, c.hidden_size = 576, c.intermediate_size = 1536, c.num_layers = 30;
  c.num_heads = 9, c.num_kv_heads = 3, c.head_size = 64, c.max_positions = 8192;
  c.tie_word_embeddings = true;
  c.eos_token_ids = {2};
  return c;
}

double peak_memory_gb() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e9;
}

// Flops a second of y = x w^T, bf16, with many rows.
double gemm_speed(const Exec& ex) {
  constexpr int64_t kRows = 1024, kN = 1536, kK = 1536;
  std::vector<uint16_t> w(kN * kK, 0x3F80), x(kRows * kK, 0x3F80);
  std::vector<float> y(kRows * kN);
  PackedWeight packed;
  pack_weight(packed, {w.data(), DType::bf16, {kN, kK}}, ex);
  std::vector<double> times;
  for (int i = 0; i < 20; ++i) {
    const Clock::time_point start = Clock::now();
    matmul({y.data(), DType::f32, {kRows, kN}}, {x.data(), DType::bf16, {kRows, kK}}, packed, ex);
    times.push_back(seconds_since(start));
  }
  return 2.0 * kRows * kN * kK / *std::min_element(times.begin(), times.end());
}

}  // namespace

int main(int argc, char** argv) {
  BenchOptions o = read_options("update_bench", {{"groups", 4},  {"completions", 8},           {"prompt", 40},     {"length", 35},
                                      {"steps", 6},   {"logical_ranks", 4},         {"pack_tokens", 0}, {"shared", 1},
                                      {"threads", 2}, {"gradient_checkpointing", 0}}, argc, argv);
  ExecOwner owner(static_cast<int>(o["threads"]));
  const Exec ex = owner.exec();
  const auto comm = make_self_comm();
  const int logical_ranks = static_cast<int>(o["logical_ranks"]);
  const auto policy = make_policy(smollm2_135m(), DType::bf16, logical_ranks);
  init_weights(*policy, 1, ex);
  OptimSection optim;
  Optimizer optimizer(*policy, optim, logical_ranks, *comm);
  PackRunner runner(*policy, optimizer, o["gradient_checkpointing"] != 0);

  Random random(1, Stream::kTest);
  const auto tokens = [&](int64_t count) {
    std::vector<int32_t> t(static_cast<size_t>(count));
    for (int32_t& token : t) token = static_cast<int32_t>(random.below(49152));
    return t;
  };
  std::vector<std::vector<int32_t>> prompts, completions;
  for (int64_t g = 0; g < o["groups"]; ++g) {
    prompts.push_back(tokens(o["prompt"]));
    for (int64_t i = 0; i < o["completions"]; ++i) completions.push_back(tokens(o["length"]));
  }
  std::vector<PackInput> inputs;
  for (size_t i = 0; i < completions.size(); ++i) {
    const size_t group = i / static_cast<size_t>(o["completions"]);
    if (o["shared"] == 0 || i % static_cast<size_t>(o["completions"]) == 0) inputs.push_back({prompts[group], {}});
    inputs.back().completions.push_back(completions[i]);
  }
  const std::vector<TrainPack> packs = build_packs(inputs, o["pack_tokens"], logical_ranks);

  double rows = 0, targets = 0;
  int64_t largest = 0;
  for (const TrainPack& pack : packs) {
    rows += static_cast<double>(pack.tokens.tokens.size());
    targets += static_cast<double>(pack.tokens.targets.size());
    largest = std::max(largest, static_cast<int64_t>(pack.tokens.tokens.size()));
  }
  const ModelConfig& c = policy->config;
  double matrices = 0;
  for (const ParamEntry& entry : policy->table.entries)
    if (entry.kind == ParamKind::matrix) matrices += static_cast<double>(entry.size());
  const double head = static_cast<double>(c.vocab_size * c.hidden_size);
  const double flops = 6 * ((matrices - head) * rows + head * targets);

  const double before = peak_memory_gb();
  std::vector<double> times, speeds, shares;
  for (int64_t step = 0; step < o["steps"]; ++step) {
    speeds.push_back(gemm_speed(ex));
    const Clock::time_point start = Clock::now();
    runner.step(
        packs, 1.0f, 1e-6, [](size_t, int64_t row, float, float) { return row % 2 == 0 ? 1e-3f : -1e-3f; }, {}, ex);
    times.push_back(seconds_since(start));
    shares.push_back(100 * flops / times.back() / speeds.back());
  }
  if (times.size() > 1) times.erase(times.begin()), shares.erase(shares.begin());  // allocation
  const double seconds = median(times), best = *std::min_element(times.begin(), times.end());
  std::printf("%zu packs, the largest of %lld rows; %.0f rows, %.0f targets\n", packs.size(),
              static_cast<long long>(largest), rows, targets);
  std::printf(
      "%.3f s a step (best %.3f), %.0f targets/s, %.0f GFLOP/s, %.1f %% of a large product's %.0f just before "
      "(medians)\n",
      seconds, best, targets / seconds, flops / seconds * 1e-9, median(shares), median(speeds) * 1e-9);
  std::printf("%.2f GB at most (%.2f before the first step)\n", peak_memory_gb(), before);
  return 0;
}
