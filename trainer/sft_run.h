// SftRun: what a run of supervised fine-tuning holds between its steps, and the stages of a step. trainer/sft.cpp is their order.
#pragma once

#include <memory>
#include <vector>

#include "trainer/sft.h"
#include "trainer/sft_data.h"
#include "trainer/sft_update.h"

namespace cohort {

class SftRun : public RowRun {
 public:
  // Loads data and model, measures the first loss, or goes on from a checkpoint. `signals` ask to save and stop; null: nobody does.
  // Called by all ranks.
  SftRun(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer, const Exec& ex);

  const ExampleSet& examples() const { return data_.train; }

  // sft.examples_per_step of them, as next_rows has them.
  std::vector<const Example*> next_examples() const;
  void update(const std::vector<const Example*>& examples);
  SftSummary finish();

 private:
  void load();
  std::optional<Means> evaluate(const std::string& when, const Progress& progress) override;

  SftData data_;
  std::unique_ptr<SftUpdater> updater_;
};

}  // namespace cohort
