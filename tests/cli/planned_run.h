// A whole run beside its memory plan: large enough for the program itself to be a small part, with completions as long as they may be.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "tests/cli/run_cohort.h"

namespace cohort {

// `keys`: the model, and what else is to be tried of it.
inline void expect_memory_as_planned(const std::vector<std::string>& keys) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
  const std::vector<std::string> usual = {
      "model.dtype=bfloat16", "run.threads=2", "data.max_prompt_length=8", "rollout.max_completion_length=40",
      "rollout.min_completion_length=40", "rollout.num_generations=8", "trainer.prompts_per_step=4", "trainer.logical_ranks=4",
      "trainer.max_steps=1", "trainer.save_steps=0", "trainer.eval_before=false",
      "algorithm.beta=0.1"};  // so that there is an update although no answer is right
  const auto run = [&](const char* option) {
    std::vector<std::string> args = {"train", config, option};
    args.insert(args.end(), usual.begin(), usual.end());
    args.insert(args.end(), keys.begin(), keys.end());
    const Outcome outcome = run_cohort(args);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  };
  const std::string plan = run("--dry-run");
  double megabytes = 0;
  ASSERT_EQ(std::sscanf(plan.c_str() + plan.find("together, in a step"), "together, in a step %lf MB", &megabytes), 1) << plan;
  run("--quiet");
  const Json metrics = parse_json(read_all(folder / "runs/tiny/metrics.jsonl"), "metrics.jsonl");
  EXPECT_GT(metrics["perf/update_tokens_per_s"].get<double>(), 0);
  const double taken = 1000 * metrics["perf/peak_memory_gb"].get<double>();
  EXPECT_NEAR(taken, megabytes, 0.05 * megabytes) << plan;
}

}  // namespace cohort
