#include "trainer/warm_start.h"

#include <cmath>

#include "core/check.h"
#include "trainer/loss.h"
#include "trainer/pack_runner.h"

namespace cohort {

std::vector<float> warm_start(LoadedModel& model, const Dataset& train, int32_t stop_token, bool rounded,
                              const Config& config, Comm& comm, const Exec& ex,
                              const std::function<void(int64_t, int64_t)>& progress) {
  const WarmStartConfig& warm = *config.trainer.warm_start;
  OptimSection optim = config.optim;
  optim.learning_rate = warm.learning_rate;
  optim.lr_scheduler_type = "cosine";
  optim.warmup_ratio = 0.1;

  std::vector<std::vector<int32_t>> solutions;
  for (const Problem& problem : train.problems) {
    CHECK_USAGE(!problem.solution.empty(), "trainer.warm_start: problem '{}' of {} has no solution to learn from", problem.id,
                train.name);
    solutions.push_back(model.tokenizer.encode(problem.solution));
    solutions.back().push_back(stop_token);
  }

  Optimizer optimizer(*model.policy, optim, static_cast<int>(config.trainer.logical_ranks), comm);
  if (rounded)
    optimizer.set_masters([&](int64_t begin, std::span<float> out) {
      read_masters(model.policy->table, model.source, begin, out);
    }, ex);
  PackRunner runner(*model.policy, optimizer, config.trainer.gradient_checkpointing);
  for (int64_t step = 1; step <= warm.steps; ++step) {
    std::vector<PackInput> inputs;
    int64_t tokens = 0;
    for (const int64_t index : step_problems(step, warm.problems_per_step, static_cast<int64_t>(train.problems.size()),
                                             config.run.seed, config.data.shuffle)) {
      const std::vector<int32_t>& solution = solutions[static_cast<size_t>(index)];
      inputs.push_back({train.problems[static_cast<size_t>(index)].tokens, {solution}});
      tokens += static_cast<int64_t>(solution.size());
    }
    const std::vector<TrainPack> packs = build_packs(inputs, config.trainer.pack_tokens, config.trainer.logical_ranks);
    const float gradient = static_cast<float>(-1.0 / static_cast<double>(tokens));
    runner.step(packs, /*temperature=*/1.0f, learning_rate_at(optim, step - 1, warm.steps),
                [&](size_t, int64_t, float logprob, float) {
                  if (!std::isfinite(logprob)) {
                    fail(ExitCode::kNonFinite, "warm start, step {}: a log-prob is {}; lower trainer.warm_start.learning_rate",
                         step, logprob);
                  }
                  return gradient;
                },
                {}, ex);
    progress(step, warm.steps);
  }
  return rounded ? optimizer.gather_masters() : std::vector<float>();
}

}  // namespace cohort
