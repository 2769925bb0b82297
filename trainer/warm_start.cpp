#include "trainer/warm_start.h"

#include "core/check.h"
#include "trainer/loss.h"
#include "trainer/sft_update.h"

namespace cohort {

std::vector<float> warm_start(LoadedModel& model, const Dataset& train, int32_t stop_token, bool rounded,
                              const Config& config, Comm& comm, DeviceComm* gpus, const Exec& ex,
                              const std::function<void(int64_t, int64_t)>& progress) {
  const WarmStartConfig& warm = *config.trainer.warm_start;
  OptimSection optim = config.optim;
  optim.learning_rate = warm.learning_rate;
  optim.lr_scheduler_type = "cosine";
  optim.warmup_ratio = 0.1;

  std::vector<Example> examples;
  for (const Problem& problem : train.problems) {
    CHECK_USAGE(!problem.solution.empty(), "trainer.warm_start: problem '{}' of {} has no solution to learn from", problem.id,
                train.name);
    std::vector<int32_t> solution = model.tokenizer.encode(problem.solution);
    solution.push_back(stop_token);
    examples.push_back(make_example(problem.id, problem.tokens, solution));
  }

  Optimizer optimizer(*model.policy, optim, static_cast<int>(config.trainer.logical_ranks), comm, gpus);
  if (rounded)
    optimizer.set_masters([&](int64_t begin, std::span<float> out) {
      read_masters(model.policy->table, model.source, begin, out);
    }, ex);
  SftUpdater updater(*model.policy, optimizer, config.trainer, comm);
  for (int64_t step = 1; step <= warm.steps; ++step) {
    std::vector<const Example*> batch;
    for (const int64_t index : step_problems(step, warm.problems_per_step, static_cast<int64_t>(examples.size()), config.run.seed,
                                             config.data.shuffle))
      batch.push_back(&examples[static_cast<size_t>(index)]);
    updater.step(batch, learning_rate_at(optim, step - 1, warm.steps), fmt::format("warm start, step {}", step), ex);
    progress(step, warm.steps);
  }
  return rounded ? optimizer.gather_masters() : std::vector<float>();
}

}  // namespace cohort
