// SftRun: what a run of supervised fine-tuning holds between its steps, and the stages of a step. trainer/sft.cpp is their order.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "trainer/run_frame.h"
#include "trainer/sft.h"
#include "trainer/sft_data.h"
#include "trainer/sft_update.h"

namespace cohort {

// How many examples `examples` examples are in so many epochs, the last one perhaps in part: at least 1.
int64_t examples_in(double num_train_epochs, int64_t examples);

class SftRun : public RunFrame {
 public:
  // Loads data and model, measures the first loss, or goes on from a checkpoint. `signals` ask to save and stop; null: nobody does.
  // Called by all ranks.
  SftRun(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer, const Exec& ex);

  // Of the whole run: trainer.max_steps, or what sft.num_train_epochs takes.
  int64_t steps() const { return steps_; }
  const ExampleSet& examples() const { return data_.train; }

  // sft.examples_per_step of them: consecutive pieces of an endless sequence of epochs (step_problems). The last step of a run by
  // epochs has what is left of them, so that each example is learnt as often as the config says.
  std::vector<const Example*> next_examples() const;
  void update(const std::vector<const Example*>& examples);
  void evaluate_if_due();
  void end_step();
  SftSummary finish();

 private:
  void load();
  std::optional<TokenSums> measure(const char* stage);  // on data.eval, when there is one
  void tell_filtered(const ExampleSet& set);

  SftData data_;
  int64_t steps_ = 0;
  std::unique_ptr<SftUpdater> updater_;
  std::optional<double> last_loss_;  // on data.eval
  int64_t evaluated_step_ = -1;
};

}  // namespace cohort
