// RowRun: what `cohort sft` and `cohort rm` have in common: epochs over rows of data, evaluations on others, and the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trainer/run_frame.h"

namespace cohort {

// How many of `examples` rows are in so many epochs, the last one perhaps in part: at least 1.
int64_t examples_in(double num_train_epochs, int64_t examples);

struct RowSummary {
  int64_t examples = 0, filtered = 0;  // of the training data; too long ones
  int64_t steps = 0;                   // the last step done
  double seconds = 0;
  bool stopped_early = false;          // save-and-stop was requested: exit code 75
  std::filesystem::path run_dir, final_model;
};

class RowRun : public RunFrame {
 public:
  // Of the whole run: trainer.max_steps, or what its epochs take.
  int64_t steps() const { return steps_; }
  void evaluate_if_due();
  void end_step();

 protected:
  using RunFrame::RunFrame;
  using Means = std::vector<std::pair<std::string, double>>;  // metrics, without "eval/"
  using Progress = std::function<void(int64_t done, int64_t total)>;
  // On data.eval; nothing where there are none. `when` leads messages.
  virtual std::optional<Means> evaluate(const std::string& when, const Progress& progress) = 0;

  // At the end of loading, when nothing is left to refuse but the checkpoint: what a run of these data is, and its directory.
  void begin_rows(const std::string& fingerprint, int64_t rows, int64_t per_step, double num_train_epochs);
  // Before the first step of a run that is not resumed: with trainer.eval_before what the model is like, kept under "eval_NAME_before".
  void evaluate_first();
  void tell_filtered(const std::string& name, int64_t filtered, size_t kept, const char* limit, int64_t longest);

  // Of the next step: consecutive pieces of an endless sequence of epochs (step_problems). The last step of a run by epochs has what is left
  // of them, so that each row is learnt as often as the config says.
  std::vector<int64_t> next_rows() const;
  double learning_rate() const;
  // After the step's update, which took `seconds`: it learnt from so many rows, of so many tokens in all.
  void count_update(int64_t rows, int64_t tokens, double learning_rate, double grad_norm, double seconds);

  // What the summary says of a metric of the evaluations.
  std::optional<double> before(const std::string& name) const, after(const std::string& name) const;
  // Evaluates where the last step was not, and writes the model, unless the run was stopped. `summary`: but for its examples.
  void finish_rows(RowSummary& summary);

 private:
  std::optional<Means> measure(const char* stage);

  int64_t steps_ = 0, rows_ = 0, per_step_ = 0;
  double epochs_ = 0;
  std::optional<Means> last_;  // of the last evaluation, at that step
  int64_t evaluated_step_ = -1;
};

}  // namespace cohort
