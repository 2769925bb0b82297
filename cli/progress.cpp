#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "cli/eval_table.h"
#include "cli/failure.h"
#include "cli/json_progress.h"
#include "cli/live_progress.h"
#include "core/text.h"

namespace cohort {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

void StatusLine::show(const std::string& text) {
  if (live()) {
    lines_.show({text});
  } else {
    tell(text + "\n");
  }
}

void StatusLine::print(const std::string& text) {
  if (live()) {
    lines_.print(text);
  } else {
    tell(text + "\n");
  }
}

bool shown_on_terminal(const std::string& output) { return output == "-" && isatty(STDOUT_FILENO) == 1; }

StageProgress::StageProgress(StatusLine& line) : line_(line) {
  if (line.live())
    ticker_.emplace(std::chrono::milliseconds(500), [this] {
      const std::lock_guard lock(mutex_);
      constexpr double kPatience = 2, kEvery = 0.4;  // seconds
      if (const Clock::time_point now = Clock::now(); !name_.empty() && seconds_between(shown_, now) >= (visible_ ? kEvery : kPatience)) show(now);
    });
}

void StageProgress::show(Clock::time_point now) {
  const std::string seconds = human_seconds(seconds_between(start_, now));
  line_.show(total_ > 1 ? fmt::format("{} {}/{}  {}", name_, done_, total_, seconds)
             : line_.live() ? fmt::format("{}  {}", name_, seconds)
             : total_ > 0   ? fmt::format("{} {}/{}  {}", name_, done_, total_, seconds)
                            : name_ + " ...");
  visible_ = true;
  shown_ = now;
}

void StageProgress::close() {
  const std::lock_guard lock(mutex_);
  if (visible_) line_.close();
  name_.clear();
  visible_ = false;
}

void StageProgress::update(const std::string& name, int64_t done, int64_t total) {
  const std::lock_guard lock(mutex_);
  constexpr double kPatience = 2, kLiveEvery = 0.1, kPlainEvery = 10;  // seconds
  const Clock::time_point now = Clock::now();
  if (name != name_) {
    if (visible_) line_.close();
    name_ = name;
    start_ = shown_ = now;
    visible_ = false;
  }
  done_ = done;
  total_ = total;
  const bool finished = total > 0 && done >= total;
  const double quiet = seconds_between(shown_, now);
  const bool due = quiet >= (visible_ ? (line_.live() ? kLiveEvery : kPlainEvery) : kPatience);
  if (due || (finished && visible_)) show(now);
  if (finished) {
    if (visible_) line_.close();
    name_.clear();  // the next one is a new stage, also under the same name
  }
}

void StepTime::add(double seconds) {
  latest_.push_back(seconds);
  if (latest_.size() > kLatest) latest_.pop_front();
}

double StepTime::seconds() const {
  if (latest_.empty()) return 0;
  std::vector<double> sorted(latest_.begin(), latest_.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) / 2);
  std::ranges::nth_element(sorted, middle);
  return *middle;
}

void TimeLeft::told() { last_ = Clock::now(); }

void TimeLeft::add(const Metrics& metrics) {
  const Clock::time_point now = Clock::now();
  double seconds = last_ == Clock::time_point{} ? 0 : seconds_between(last_, now);
  if (metrics.values().contains("timing_s/step")) seconds = metrics.get("timing_s/step");
  last_ = now;
  const double evaluation = metrics.values().contains("timing_s/evaluation") ? metrics.get("timing_s/evaluation") : 0;
  step_time_.add(seconds - evaluation);
  steps_ += 1;
  evaluating_s_ += evaluation;
}

double TimeLeft::seconds(int64_t steps) const {
  return steps_ > 0 ? (step_time_.seconds() + evaluating_s_ / steps_) * static_cast<double>(steps) : 0;
}

void TrainProgress::open() {
  if (const std::string opening = std::exchange(opening_, {}); !opening.empty()) line_.print(opening);
}

void TrainProgress::message(const std::string& text) {
  open();
  line_.print(text);
}

void TrainProgress::warning(const std::string& text) { line_.print("cohort: warning: " + text); }

void TrainWarnings::warning(const std::string& text) { tell("cohort: warning: " + text + "\n"); }

void TrainProgress::stage(const std::string& name, int64_t done, int64_t total) {
  if (name != "loading") open();  // which may still end in a refusal
  stage_.update(name, done, total);
  time_left_.told();
}

void TrainProgress::step(int64_t step, int64_t max_steps, const Metrics& metrics) {
  open();
  time_left_.add(metrics);
  line_.show(step_line(step, max_steps, metrics, time_left_.seconds(max_steps - step)));
}

std::unique_ptr<TrainObserver> make_progress(const ProgressOptions& options) {
  if (options.format == "json") return std::make_unique<JsonProgress>(options);
  if (options.quiet) return std::make_unique<TrainWarnings>();
  if (Terminal terminal; terminal.live()) return std::make_unique<LiveProgress>(options, std::move(terminal));
  return std::make_unique<TrainProgress>(options.opening);
}

std::string step_line(int64_t step, int64_t max_steps, const Metrics& metrics,
                      double seconds_left) {
  const std::string total = std::to_string(max_steps);
  std::string text = fmt::format("step {:>{}}/{}", step, total.size(), total);
  const auto add = [&](const char* name, fmt::format_string<double> format) {
    if (metrics.values().contains(name)) {
      text += "  " + fmt::format(format, metrics.get(name));
    }
  };
  if (metrics.values().contains("reward")) {
    add("reward", "reward {:.3f}");
  } else {
    add("loss", "loss {:.4f}");
    add("mean_token_accuracy", "accuracy {:.3f}");
    add("accuracy", "accuracy {:.3f}");
    add("eval/loss", "eval loss {:.4f}");
    add("eval/accuracy", "eval accuracy {:.3f}");
  }
  add("completions/mean_length", "length {:.1f}");
  add("kl", "kl {:.4f}");
  add(metrics.values().contains("reward") ? "perf/rollout_tokens_per_s" : "perf/update_tokens_per_s", "{:.0f} tok/s");
  if (step < max_steps) text += fmt::format("  {} left", human_seconds(seconds_left));
  return text;
}

namespace {

void add_row(std::string& text, const char* name, const std::string& value) { text += fmt::format("{:<28}{}\n", name, value); }

// What every run ends with.
template <typename Summary>
void add_end(std::string& text, const Summary& summary) {
  add_row(text, "steps", std::to_string(summary.steps));
  add_row(text, "time", human_seconds(summary.seconds));
  add_row(text, "run directory", summary.run_dir.string());
  if (!summary.final_model.empty()) add_row(text, "model", summary.final_model.string());
  if (summary.stopped_early)
    add_row(text, "stopped on request", summary.steps > 0 ? "the same command continues the run from its checkpoint" : "no step was done: the same command begins the run again");
}

}  // namespace

std::string summary_table(const TrainSummary& summary) {
  std::string text;
  const auto accuracy = [&](const char* stage, const std::optional<double>& value) {
    if (value) add_row(text, fmt::format("accuracy {}", stage).c_str(), fmt::format("{:.1f} %", 100 * *value));
  };
  accuracy("before", summary.accuracy_before);
  accuracy("after warm start", summary.accuracy_after_warm_start);
  accuracy("after GRPO", summary.accuracy_after);
  // The accuracies again, with what else was measured.
  const std::string table = eval_table(summary.evaluations);
  if (std::ranges::count(table, '\n') > 3) text += "\n" + table + "\n";
  if (summary.best_step) add_row(text, "best model", fmt::format("{}, of step {}", summary.best_model.string(), *summary.best_step));
  add_end(text, summary);
  return text;
}

std::string summary_table(const RmSummary& summary) {
  std::string text;
  const auto add = [&](const char* name, const std::optional<double>& value, double scale, fmt::format_string<double> format) {
    if (value) add_row(text, name, fmt::format(format, scale * *value));
  };
  add("eval accuracy before", summary.eval_accuracy_before, 100, "{:.1f} %");
  add("eval accuracy after", summary.eval_accuracy_after, 100, "{:.1f} %");
  add("eval loss before", summary.eval_loss_before, 1, "{:.4f}");
  add("eval loss after", summary.eval_loss_after, 1, "{:.4f}");
  add_row(text, "pairs", summary.filtered == 0 ? std::to_string(summary.examples)
                                               : fmt::format("{}; {} were too long", summary.examples, summary.filtered));
  add_end(text, summary);
  return text;
}

std::string summary_table(const SftSummary& summary) {
  std::string text;
  const auto loss = [&](const char* name, const std::optional<double>& value) {
    if (value) add_row(text, name, fmt::format("{:.4f}", *value));
  };
  loss("eval loss before", summary.eval_loss_before);
  loss("eval loss after", summary.eval_loss_after);
  add_row(text, "examples", summary.filtered == 0 ? std::to_string(summary.examples)
                                                  : fmt::format("{}; {} were too long", summary.examples, summary.filtered));
  add_end(text, summary);
  return text;
}

}  // namespace cohort
