// The loop: prompts -> groups -> rewards -> advantages -> packs -> (forward, loss, backward) -> optimizer -> metrics ->
// checkpoint. Every rank runs it on the same data; what they share out, they do inside the stages.
#include "trainer/grpo.h"

#include "trainer/train_run.h"

namespace cohort {

void train_step(TrainRun& run) {
  run.begin_step();
  std::vector<Group> groups = run.sample_groups();     // num_generations completions a prompt, each scored
  run.set_advantages(groups);                          // reward relative to the group
  run.update(groups);                                  // clipped policy gradient, AdamW
  run.evaluate_if_due();
  run.end_step(groups);                                // metrics, completions
  run.save_if_due();
}

TrainSummary train(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer,
                   const Exec& ex) {
  TrainRun run(config, comm, watchdog, &signals, observer, ex);  // data, model, reference, optimizer; from a checkpoint if there is one
  while (run.step() < config.trainer.max_steps && !run.stop_requested()) train_step(run);
  return run.finish();                                 // the model, and its accuracy
}

}  // namespace cohort
