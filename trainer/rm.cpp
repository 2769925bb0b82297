// The loop: pairs -> packs -> (forward, loss, backward) -> optimizer -> metrics -> checkpoint. Every rank runs it on the same data;
// what they share out, they do inside the stages.
#include "trainer/rm.h"

#include "trainer/rm_run.h"

namespace cohort {

void rm_step(RmRun& run) {
  run.begin_step();
  const std::vector<const PreferencePair*> pairs = run.next_pairs();  // of the epoch's order
  run.update(pairs);                                                  // -log sigmoid(chosen - rejected), AdamW
  run.evaluate_if_due();
  run.end_step();                                                     // metrics
  run.save_if_due();
}

RmSummary rm(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer, const Exec& ex) {
  RmRun run(config, comm, watchdog, &signals, observer, ex);  // data, model, optimizer; from a checkpoint if there is one
  while (run.step() < run.steps() && !run.stop_requested()) rm_step(run);
  return run.finish();                                        // the model, and how often it is right
}

}  // namespace cohort
