#include "cli/live_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/terminal.h"
#include "core/text.h"

namespace cohort {
namespace {

constexpr int kWidest = 100, kNarrowForBar = 50, kGap = 3;
constexpr std::array kLevels = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array kAsciiLevels = {"_", ".", "-", "~", "=", "+", "*", "#"};

class Painter {
 public:
  explicit Painter(bool color) : color_(color) {}
  std::string bold(const std::string& text) const { return color_ ? "\x1b[1m" + text + "\x1b[0m" : text; }
  std::string dim(const std::string& text) const { return color_ ? "\x1b[2m" + text + "\x1b[0m" : text; }

 private:
  bool color_;
};

// Values with their names, as many in a line as fit.
class Cells {
 public:
  Cells(const Json& metrics, const Painter& paint, int columns) : metrics_(metrics), paint_(paint), columns_(columns) {}

  void add(const char* name, const std::string& value) {
    const std::string cell = paint_.dim(name) + " " + value;
    const int width = display_width(cell);
    if (width_ > 0 && width_ + kGap + width <= columns_) {
      lines_.back() += std::string(kGap, ' ') + cell;
      width_ += kGap + width;
    } else {
      lines_.push_back(cell);
      width_ = width;
    }
  }
  void add(const char* name, const char* metric, fmt::format_string<double> format, double scale = 1) {
    if (const auto value = metrics_.find(metric); value != metrics_.end() && value->is_number()) add(name, fmt::format(format, scale * value->get<double>()));
  }
  void end_line() { width_ = 0; }
  std::vector<std::string> take() { return std::move(lines_); }

 private:
  const Json& metrics_;
  const Painter& paint_;
  int columns_, width_ = 0;
  std::vector<std::string> lines_;
};

std::string head_line(const ViewState& s, const Painter& paint, const ViewStyle& style, int columns) {
  const std::string total = std::to_string(s.max_steps);
  std::string head = paint.bold(fmt::format("step {:>{}}/{}", s.step, total.size(), total));
  const double part = s.max_steps > 0 ? static_cast<double>(s.step) / static_cast<double>(s.max_steps) : 0;
  std::string tail = fmt::format("{:.0f} %", 100 * part);
  if (s.step < s.max_steps) tail += fmt::format("   {} left", human_seconds(s.seconds_left));
  const int room = columns - display_width(head) - display_width(tail) - 4;
  if (columns >= kNarrowForBar && room >= 10) head += "  " + progress_bar(part, room, style.utf8);
  return head + "  " + tail;
}

std::string curve_line(const ViewState& s, const Painter& paint, const ViewStyle& style, int columns) {
  const bool reward = s.metrics.contains("reward");
  std::string line = paint.dim(reward ? "reward" : "loss") + " " + paint.bold(fmt::format("{:.3f}", s.curve.back()));
  if (reward && s.metrics.contains("reward_std")) line += fmt::format(" ± {:.3f}", s.metrics["reward_std"].get<double>());
  if (!style.utf8)
    if (const size_t at = line.find("±"); at != std::string::npos) line.replace(at, std::string_view("±").size(), "+-");
  const int room = columns - display_width(line) - 2;
  if (room >= 8 && s.curve.size() > 1) line += "  " + sparkline(s.curve, room, style.utf8);
  return line;
}

std::string activity_line(const ViewState& s, const Painter& paint, const ViewStyle& style, int columns) {
  std::string line = s.activity;
  if (s.total > 0) line += fmt::format(" {}/{}", s.done, s.total);
  line += "  " + human_seconds(s.activity_seconds);
  const int room = std::min(30, columns - display_width(line) - 2);
  if (s.total > 1 && columns >= kNarrowForBar && room >= 10)
    line += "  " + progress_bar(static_cast<double>(s.done) / static_cast<double>(s.total), room, style.utf8);
  return paint.dim(line);
}

std::vector<std::string> metric_lines(const ViewState& s, const Painter& paint, int columns) {
  Cells cells(s.metrics, paint, columns);
  const bool samples = s.metrics.contains("reward");
  if (s.accuracy) cells.add("accuracy", fmt::format("{:.1f} % at step {}", 100 * *s.accuracy, s.accuracy_step));
  cells.add("token accuracy", "mean_token_accuracy", "{:.3f}");
  cells.add("eval loss", "eval/loss", "{:.4f}");
  cells.add("length", "completions/mean_length", "{:.1f}");
  cells.add("cut off", "completions/clipped_ratio", "{:.0f} %", 100);
  cells.add("no signal", "frac_reward_zero_std", "{:.0f} %", 100);
  cells.end_line();
  cells.add("kl", "kl", "{:.4f}");
  cells.add("entropy", "entropy", "{:.3f}");
  cells.add("grad norm", "grad_norm", "{:.3g}");
  cells.add("learning rate", "learning_rate", "{:.2g}");
  cells.end_line();
  if (samples) cells.add("rollout", "perf/rollout_tokens_per_s", "{:.0f} tok/s");
  cells.add("update", "perf/update_tokens_per_s", "{:.0f} tok/s");
  if (const auto seconds = s.metrics.find("timing_s/step"); seconds != s.metrics.end()) cells.add("step", human_seconds(seconds->get<double>()));
  if (const auto skew = s.metrics.find("perf/rollout_rank_skew"); skew != s.metrics.end() && skew->get<double>() > 0)
    cells.add("ranks wait", fmt::format("{:.0f} %", 100 * skew->get<double>()));
  cells.add("memory", "perf/peak_memory_gb", "{:.2f} GB");
  return cells.take();
}

}  // namespace

std::vector<std::string> view_lines(const ViewState& state, const ViewStyle& style) {
  const Painter paint(style.color);
  const int columns = std::min(style.columns, kWidest);
  const auto most = static_cast<size_t>(std::clamp(style.rows - 1, 1, kMostLiveLines));
  std::vector<std::string> lines;
  if (state.step > 0) lines.push_back(head_line(state, paint, style, columns));
  if (!state.activity.empty() && lines.size() < most) lines.push_back(activity_line(state, paint, style, columns));
  if (state.step > 0) {
    std::vector<std::string> more;
    if (!state.curve.empty()) more.push_back(curve_line(state, paint, style, columns));
    std::ranges::move(metric_lines(state, paint, columns), std::back_inserter(more));
    more.resize(std::min(more.size(), most - lines.size()));  // of a low terminal the first ones
    lines.insert(lines.begin() + 1, std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  for (std::string& line : lines) line = cut_to_width(line, columns);
  return lines;
}

std::string sparkline(std::span<const double> values, int columns, bool utf8) {
  if (values.empty() || columns < 1) return "";
  const size_t count = std::min(values.size(), static_cast<size_t>(columns));
  std::vector<double> means;
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = i * values.size() / count, end = (i + 1) * values.size() / count;
    double sum = 0;
    for (size_t at = begin; at < end; ++at) sum += values[at];
    means.push_back(sum / static_cast<double>(end - begin));
  }
  const auto [low, high] = std::ranges::minmax(means);
  std::string line;
  for (const double mean : means) {
    const double height = high > low ? (mean - low) / (high - low) : 0.5;
    const auto level = std::min(kLevels.size() - 1, static_cast<size_t>(height * static_cast<double>(kLevels.size())));
    line += utf8 ? kLevels[level] : kAsciiLevels[level];
  }
  return line;
}

std::string progress_bar(double part, int columns, bool utf8) {
  const auto room = static_cast<size_t>(std::max(0, columns - 2));
  const auto full = static_cast<size_t>(std::lround(std::clamp(part, 0.0, 1.0) * static_cast<double>(room)));
  std::string bar = "[";
  for (size_t i = 0; i < room; ++i) bar += i < full ? (utf8 ? "━" : "=") : " ";
  return bar + "]";
}

}  // namespace cohort
