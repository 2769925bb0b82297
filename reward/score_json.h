// Scores as JSON, the same wherever a completion is written down: null where there is none.
#pragma once

#include <optional>
#include <vector>

#include "core/json.h"
#include "reward/reward.h"

namespace cohort {

inline Json or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

// {NAME: score or null}, in the order of the rewards.
inline Json scores_by_name(const RewardSet::Row& row, const std::vector<RewardSpec>& specs) {
  Json scores = Json::object();
  for (size_t r = 0; r < specs.size(); ++r) scores[specs[r].name] = or_null(row.scores[r]);
  return scores;
}

}  // namespace cohort
