// cohort compare: whether two runs are the same bits, and if not, where they part.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "cli/command.h"
#include "core/check.h"
#include "trainer/compare_runs.h"

namespace cohort {
namespace {

int run(const std::string& a, const std::string& b) {
  const RunComparison result = compare_runs(a, b);
  CHECK_INPUT(!result.nothing(), "nothing was compared: neither {} nor {} has a step in metrics.jsonl or a final model", a, b);
  for (const std::string& note : result.notes) fmt::print("note: {}\n", note);
  if (!result.first) {
    if (result.steps == 0) fmt::print("note: neither run has a step; only the final models were compared\n");
    fmt::print("identical: {} steps, {} completions, {} checkpoints{}", result.steps, result.completions, result.checkpoints,
               result.final_models ? ", the final model" : "");
    for (const std::string& folder : result.other_models) fmt::print(", {}", folder);
    fmt::print("\n");
    return 0;
  }
  const RunDifference& first = *result.first;
  if (first.step > 0) {
    fmt::print("the first difference is in step {} ({} steps before it are equal): {}\n", first.step, result.steps, first.where);
  } else {
    fmt::print("all {} steps are equal; the first difference is in {}\n", result.steps, first.where);
  }
  fmt::print("  A {}: {}\n  B {}: {}\n", a, first.a, b, first.b);
  return 1;
}

}  // namespace

Action add_compare(App& app) {
  struct Options {
    std::string a, b;
  };
  auto options = std::make_shared<Options>();
  app.add_option("RUN_A", options->a, "a run directory").required();
  app.add_option("RUN_B", options->b, "another; what is measured (timing_s/, perf/) is not compared").required();
  app.footer("exit code: 0 identical, 1 different (as cmp), 3 no run directory, or nothing to compare");
  return [options] { return run(options->a, options->b); };
}

}  // namespace cohort
