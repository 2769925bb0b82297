// The live view of a run as lines of text: a pure function of what is known of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace cohort {

struct ViewStyle {
  int columns = 80, rows = 24;
  bool color = false, utf8 = false;
};

struct ViewState {
  int64_t step = 0, max_steps = 0;  // the last one done; 0: none yet
  Json metrics = Json::object();    // of it
  std::vector<double> curve;        // the reward of each step, or the loss of fine-tuning
  std::optional<double> accuracy;   // of the last evaluation, after that step
  int64_t accuracy_step = 0;
  double seconds_left = 0;
  std::string activity;             // "rollout", "evaluation", "loading"; empty: nothing to say
  int64_t done = 0, total = 0;      // of the activity; 0: not known
  double activity_seconds = 0;
};

// At most min(rows - 1, kMostLiveLines) lines of at most min(columns, 100) columns.
std::vector<std::string> view_lines(const ViewState& state, const ViewStyle& style);

// The values, each column the mean of some of them in a row, from the lowest to the highest of these. At most `columns` characters.
std::string sparkline(std::span<const double> values, int columns, bool utf8);

// "[=====     ]", `columns` wide.
std::string progress_bar(double part, int columns, bool utf8);

}  // namespace cohort
