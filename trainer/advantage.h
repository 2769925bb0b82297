// Group-relative advantages (Shao et al. 2024, DeepSeekMath, section 4.1; Liu et al. 2025, Dr. GRPO, without the std).
#pragma once

#include <optional>
#include <span>

namespace cohort {

enum class ScaleRewards { group, none };

// A_i = (r_i - mean) / (std + 1e-4), std with n - 1 (as TRL), or r_i - mean. Rewards that are absent get 0 and leave the
// baseline. When all present rewards are equal every advantage is exactly 0; returns false then, else true.
bool group_advantages(std::span<float> advantages, std::span<const std::optional<double>> rewards, ScaleRewards scale);

}  // namespace cohort
