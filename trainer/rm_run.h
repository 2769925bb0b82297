// RmRun: what the training of a reward model holds between its steps, and the stages of a step. trainer/rm.cpp is their order.
#pragma once

#include <memory>
#include <vector>

#include "trainer/rm.h"
#include "trainer/rm_data.h"
#include "trainer/rm_update.h"

namespace cohort {

class RmRun : public RowRun {
 public:
  // Loads data and model, measures the first accuracy, or goes on from a checkpoint. `signals` ask to save and stop; null: nobody does.
  // Called by all ranks.
  RmRun(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer, const Exec& ex);

  // rm.pairs_per_step of them, as next_rows has them.
  std::vector<const PreferencePair*> next_pairs() const;
  void update(const std::vector<const PreferencePair*>& pairs);
  RmSummary finish();

 private:
  void load();
  std::optional<Means> evaluate(const std::string& when, const Progress& progress) override;

  RmData data_;
  std::unique_ptr<RmUpdater> updater_;
};

}  // namespace cohort
