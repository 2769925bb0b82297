// Speed of the math reward: whole checks (extraction, parsing, comparison), on GSM8K-like answers and on harder kinds.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "reward/math/judge.h"

namespace cohort {
namespace {

struct Pair {
  std::string gold, completion;
};

// Solutions of about 300 bytes as models write them for GSM8K; half of them right.
std::vector<Pair> gsm8k() {
  const std::string working =
      "Natalia sold 48/2 = <<48/2=24>>24 clips in May. Altogether she sold 48+24 = <<48+24=72>>72 clips in April and "
      "May. "
      "If each clip costs $2, she makes $2 * 72 = $144, and after paying the 25% fee she keeps 144 * 0.75 = 108 "
      "dollars. Let us check: 108 / 72 = 1.5.\n";
  std::vector<Pair> pairs;
  for (int i = 0; i < 16; ++i) {
    const std::string n = std::to_string(17 * i + 3), other = i % 2 ? n : std::to_string(17 * i + 4);
    pairs.push_back({n, working + "#### " + other});
    pairs.push_back({n, working + "The final answer is $\\boxed{" + other + "}$."});
    pairs.push_back({n, working + "The answer is " + other + "."});
    pairs.push_back({n, working + "So she has $" + other + ".00 left."});
  }
  return pairs;
}

void checks(benchmark::State& state, const std::vector<Pair>& pairs) {
  const math::JudgeOptions options;
  for (auto _ : state)
    for (const Pair& pair : pairs) benchmark::DoNotOptimize(math::judge(pair.completion, pair.gold, options).score);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(pairs.size()));
}

BENCHMARK_CAPTURE(checks, gsm8k, gsm8k());
BENCHMARK_CAPTURE(checks, fractions,
                  {{"\\frac{3}{4}", "\\boxed{\\frac{6}{8}}"}, {"\\frac{3}{4}", "\\boxed{\\frac{3}{5}}"}});
BENCHMARK_CAPTURE(checks, surds, {{"2\\sqrt{3}+1", "\\boxed{1+\\sqrt{12}}"}});
BENCHMARK_CAPTURE(checks, polynomials, {{"(x+1)^3", "\\boxed{x^3+3x^2+3x+1}"}});
BENCHMARK_CAPTURE(checks, intervals, {{"(-\\infty, 2) \\cup [3, 5)", "\\boxed{x < 2 \\text{ or } 3 \\le x < 5}"}});
BENCHMARK_CAPTURE(checks, numeric, {{"\\frac{\\sqrt{5}-1}{4}", "\\boxed{\\sin 18^\\circ}"}});
BENCHMARK_CAPTURE(checks, numeric_functions, {{"2\\sin x\\cos x", "\\boxed{\\sin 2x}"}});

}  // namespace
}  // namespace cohort
