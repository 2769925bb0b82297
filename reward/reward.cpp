#include "reward/reward.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/check.h"
#include "core/text.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

constexpr double kMaxWeight = 1e6;  // far from where a weighted sum could overflow

struct Entry {
  const char* name;
  std::unique_ptr<Reward> (*make)(const RewardSpec&);
};

constexpr std::array kRewards = {
    Entry{"last_number", make_last_number},
    Entry{"exact", make_exact},
    Entry{"format", make_format},
    Entry{"math", make_math},
    Entry{"length", make_length},
    Entry{"soft_overlong", make_soft_overlong},
    Entry{"cosine_length", make_cosine_length},
    Entry{"repetition", make_repetition},
    Entry{"keywords", make_keywords},
    Entry{"language", make_language},
    Entry{"json", make_json},
    Entry{"code", make_code},
    Entry{"command", make_command},
    Entry{"http", make_http},
    Entry{"library", make_library},
};

}  // namespace

std::vector<std::string> reward_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kRewards) names.push_back(entry.name);
  return names;
}

std::unique_ptr<Reward> make_reward(const RewardSpec& spec) {
  for (const Entry& entry : kRewards)
    if (spec.name == entry.name) return entry.make(spec);
  const std::vector<std::string> names = reward_names();
  const std::string nearest = nearest_name(spec.name, names);
  fail(ExitCode::kUsage, "unknown reward '{}';{} allowed are {}", spec.name,
       nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest), fmt::join(names, ", "));
}

RewardSet::RewardSet(std::vector<RewardSpec> specs) : specs_(std::move(specs)) {
  for (size_t i = 0; i < specs_.size(); ++i) {
    const RewardSpec& spec = specs_[i];
    rewards_.push_back(make_reward(spec));
    CHECK_USAGE(std::abs(spec.weight) <= kMaxWeight,  // false for NaN
                "reward '{}': weight {} is not in [{}, {}]", spec.name, spec.weight, -kMaxWeight,
                kMaxWeight);
    const auto same = [&](const RewardSpec& other) { return other.name == spec.name; };
    CHECK_USAGE(std::none_of(specs_.begin(), specs_.begin() + i, same),
                "reward '{}' is listed twice; their metrics would have one name", spec.name);
  }
}

RewardSet::Row RewardSet::score(const RewardInput& input) const {
  Row row;
  for (size_t i = 0; i < rewards_.size(); ++i) {
    row.scores.push_back(rewards_[i]->score(input));
    const std::optional<double>& score = row.scores.back();
    if (!score) continue;
    CHECK(std::isfinite(*score), "reward '{}' gave {}", specs_[i].name, *score);
    row.total = row.total.value_or(0.0) + specs_[i].weight * *score;
  }
  return row;
}

}  // namespace cohort
