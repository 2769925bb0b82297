// The loop: examples -> packs -> (forward, loss, backward) -> optimizer -> metrics -> checkpoint. Every rank runs it on the same data;
// what they share out, they do inside the stages.
#include "trainer/sft.h"

#include "trainer/sft_run.h"

namespace cohort {

void sft_step(SftRun& run) {
  run.begin_step();
  const std::vector<const Example*> examples = run.next_examples();  // of the epoch's order
  run.update(examples);                                              // mean negative log-likelihood of the assistant's tokens, AdamW
  run.evaluate_if_due();
  run.end_step();                                                    // metrics
  run.save_if_due();
}

SftSummary sft(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer, const Exec& ex) {
  SftRun run(config, comm, watchdog, &signals, observer, ex);  // data, model, optimizer; from a checkpoint if there is one
  while (run.step() < run.steps() && !run.stop_requested()) sft_step(run);
  return run.finish();                                         // the model, and its loss
}

}  // namespace cohort
