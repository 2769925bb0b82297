// TrainRun: what a train run holds between its steps, and the stages of a step. trainer/grpo.cpp is the order of them.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "trainer/curriculum.h"
#include "trainer/dataset.h"
#include "trainer/distillation.h"
#include "trainer/evaluate.h"
#include "trainer/experience.h"
#include "trainer/generator_setup.h"
#include "trainer/group_filter.h"
#include "trainer/grpo.h"
#include "trainer/overlap.h"
#include "trainer/problem_order.h"
#include "trainer/run_frame.h"
#include "trainer/step_batch.h"
#include "trainer/token_weights.h"
#include "trainer/update.h"

namespace cohort {

class TrainRun : public RunFrame {
 public:
  // Loads data and model, measures the first accuracies, warms up, or goes on from a checkpoint. `signals` ask to save and stop;
  // null: nobody does. Called by all ranks.
  TrainRun(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer,
           const Exec& ex);
  ~TrainRun();

  std::vector<Group> sample_groups();  // with rollout.staleness 1 those that were sampled beside the last step; the next ones are begun
  void set_advantages(std::vector<Group>& groups);
  void update(const std::vector<Group>& groups);  // and of the reference, when it follows the policy
  void evaluate_if_due();
  void end_step(const std::vector<Group>& groups);
  TrainSummary finish();

 private:
  void load();
  void start_policy();
  // limit: of its KV cache; nothing: by the config and what is free now.
  std::unique_ptr<Generator> make_generator(Sampling sampling, const Dataset& data, const std::optional<CacheLimit>& limit = {}) const;
  std::filesystem::path warm_start_source() const;
  void check_warm_start(const std::filesystem::path& checkpoint) const;
  const Policy* reference() const;
  void take_up_base(bool warm);
  std::filesystem::path own_base() const;
  void take_up_algorithm_state();
  // A draw of prompts_per_step prompts: the completions of a step, or with filter_groups some of them.
  struct Draw;
  std::shared_ptr<Draw> begin_draw(int64_t step, const Exec& ex);
  std::vector<Group> finish_draw(Draw& draw, StepBatch& batch);
  void begin_batch(int64_t step);
  void complete_batch();
  void wait_for_sampling();
  void enter_stage(ExperienceMaker::Stage stage, Clock::time_point since);
  Exec exec() const { return overlap_ ? overlap_->training() : ex_; }  // for all work but sampling
  std::optional<double> measure(const char* stage, const std::string& file);
  EvalResult measure_set(const char* stage, const DataPart& part, Generator& generator);
  void remember_evaluation(const char* stage);
  void keep_best();
  void take_up_best();
  std::filesystem::path best_file() const;
  void set_part_metrics(const std::vector<Group>& groups);
  void warn_of_missing(const std::vector<MissingScores>& missing);

  TaskData data_;
  RewardSet rewards_{std::vector<RewardSpec>()};  // of the config, once it has begun to load
  std::unique_ptr<Policy> reference_;  // only with algorithm.beta > 0 and no adapter; follows the policy with ref_model_sync_steps
  std::optional<Teacher> teacher_;     // with algorithm.teacher
  std::optional<TokenWeights> token_weights_;  // with algorithm.token_weight_pattern
  std::unique_ptr<Updater> updater_;
  std::unique_ptr<Generator> generator_;
  std::optional<StepBatch> next_;  // of the next step, where it was made or begun before that
  double epoch_ = 0;               // of the step's batch
  std::optional<ActivationTape> tape_;  // of a step's rows, for its update
  ExpectedLengths lengths_;
  std::optional<ProblemOrder> order_;
  std::optional<Curriculum> curriculum_;  // with data.curriculum
  std::optional<GroupFilter> filter_;     // with algorithm.filter_groups

  std::vector<std::string> names_;  // of the step's groups, for messages and files
  std::vector<MissingScores> missing_;  // scores of its groups
  std::set<std::string> warned_;        // rewards and kinds
  std::optional<double> last_accuracy_;
  std::vector<EvalMetric> evaluated_;  // of the last evaluation, at that step
  int64_t evaluated_step_ = -1;

  // With rollout.staleness 1. Last, as what is sampled uses the others until it is destroyed.
  std::shared_ptr<Draw> draw_;  // that is being sampled
  std::optional<Overlap> overlap_;
};

}  // namespace cohort
