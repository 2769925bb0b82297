#include "cli/live_progress.h"

#include <utility>

namespace cohort {
namespace {

constexpr std::chrono::milliseconds kTick{500}, kBetweenDraws{100};

// Section names of trainer/ for people.
std::string shown_name(const std::string& section) {
  if (section == "reward") return "scoring";
  if (section == "collective") return "exchange";
  if (section == "load") return "loading";
  return section;
}

}  // namespace

LiveProgress::LiveProgress(const ProgressOptions& options, Terminal terminal)
    : opening_(options.opening), ending_(options.ending), terminal_(std::move(terminal)) {
  ticker_.emplace(kTick, [this] { tick(); });
}

LiveProgress::~LiveProgress() {
  ticker_.reset();
  const std::lock_guard lock(mutex_);
  state_.activity.clear();
  if (!ending_ || !ending_()) {
    if (state_.step > 0) draw(/*now=*/true);
    else lines_.show({});
  }
  lines_.close();
}

void LiveProgress::open() {
  if (const std::string opening = std::exchange(opening_, {}); !opening.empty()) lines_.print(opening);
}

void LiveProgress::print(const std::string& text) {
  lines_.print(text);
  draw(/*now=*/true);
}

void LiveProgress::message(const std::string& text) {
  const std::lock_guard lock(mutex_);
  open();
  print(text);
}

void LiveProgress::warning(const std::string& text) {
  const std::lock_guard lock(mutex_);
  print(terminal_.color() ? "\x1b[33mcohort: warning:\x1b[0m " + text : "cohort: warning: " + text);
}

void LiveProgress::begin_activity(const std::string& name) {
  if (name != state_.activity) activity_start_ = Clock::now();
  state_.activity = name;
  state_.done = state_.total = 0;
}

void LiveProgress::stage(const std::string& name, int64_t done, int64_t total) {
  const std::lock_guard lock(mutex_);
  if (name != "loading") open();  // which may still end in a refusal
  begin_activity(name);
  if (total > 1) state_.done = done, state_.total = total;
  time_left_.told();
  draw(/*now=*/false);
}

void LiveProgress::section(const std::string& name, int64_t) {
  const std::lock_guard lock(mutex_);
  // An evaluation tells by itself how far it is, under a name that says which.
  if (name == "evaluation" && state_.total > 0) return;
  begin_activity(shown_name(name));
  draw(/*now=*/false);
}

void LiveProgress::step(int64_t step, int64_t max_steps, const Metrics& metrics) {
  const std::lock_guard lock(mutex_);
  open();
  time_left_.add(metrics);
  state_.step = step;
  state_.max_steps = max_steps;
  state_.metrics = metrics.values();
  for (const char* name : {"reward", "loss"}) {
    if (!metrics.values().contains(name)) continue;
    state_.curve.push_back(metrics.get(name));
    break;
  }
  if (metrics.values().contains("eval/accuracy")) state_.accuracy = metrics.get("eval/accuracy"), state_.accuracy_step = step;
  state_.seconds_left = time_left_.seconds(max_steps - step);
  draw(/*now=*/step == max_steps);
}

void LiveProgress::tick() {
  const std::lock_guard lock(mutex_);
  if (!opening_.empty() && state_.activity != "loading") return;  // nothing is begun
  draw(/*now=*/false);
}

void LiveProgress::draw(bool now) {
  const Clock::time_point time = Clock::now();
  if ((!now && time - drawn_ < kBetweenDraws) || (ending_ && ending_())) return;
  drawn_ = time;
  state_.activity_seconds = std::chrono::duration<double>(time - activity_start_).count();
  const TerminalSize size = terminal_.size();
  lines_.show(view_lines(state_, {.columns = size.columns, .rows = size.rows, .color = terminal_.color(), .utf8 = terminal_.utf8()}));
}

}  // namespace cohort
