#include "trainer/group_filter.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/check.h"
#include "trainer/group_json.h"

namespace cohort {

bool is_mixed(const Group& group, int reward) {
  std::optional<double> first;
  for (const RewardSet::Row& row : group.scores) {
    const std::optional<double>& value = reward < 0 ? row.total : row.scores.at(static_cast<size_t>(reward));
    if (first && value && *value != *first) return true;
    if (!first) first = value;
  }
  return false;
}

GroupFilter::GroupFilter(const std::string& metric, const std::vector<RewardSpec>& rewards) {
  if (metric == "reward") return;
  const auto found = std::ranges::find(rewards, metric, &RewardSpec::name);
  CHECK(found != rewards.end(), "groups filtered by reward '{}', which is not there", metric);
  reward_ = static_cast<int>(found - rewards.begin());
}

void GroupFilter::add(std::vector<Group> drawn) {
  for (std::vector<Group>* earlier : {&mixed_, &unmixed_})
    for (Group& group : *earlier)
      for (Rollout& rollout : group.rollouts) rollout.slots.clear();
  for (Group& group : drawn) (is_mixed(group, reward_) ? mixed_ : unmixed_).push_back(std::move(group));
}

std::vector<Group> GroupFilter::take(int64_t count) {
  CHECK(std::ssize(mixed_) + std::ssize(unmixed_) >= count, "{} groups of {} and {}", count, mixed_.size(), unmixed_.size());
  const auto taken = std::min<std::ptrdiff_t>(count, std::ssize(mixed_));
  std::vector<Group> groups(std::make_move_iterator(mixed_.begin()), std::make_move_iterator(mixed_.begin() + taken));
  mixed_.erase(mixed_.begin(), mixed_.begin() + taken);
  std::move(unmixed_.begin(), unmixed_.begin() + (count - taken), std::back_inserter(groups));
  unmixed_.clear();
  for (Group& group : mixed_)
    for (Rollout& rollout : group.rollouts) rollout.policy_version = kNoVersion;
  return groups;
}

Json GroupFilter::save(const std::filesystem::path& folder) const {
  Json groups = Json::array();
  for (const Group& group : mixed_) groups.push_back(group_json(group));
  Json record = write_checkpoint_json(folder, "groups.json", groups);
  record["draws"] = draws;
  return record;
}

void GroupFilter::load(const std::filesystem::path& folder, const Json& record, const Dataset& data, const Tokenizer& tokenizer) {
  const Json groups = read_checkpoint_json(folder, "groups.json", record);
  draws = get_int(record, "draws", (folder / "groups.json").string(), 0, INT64_MAX);
  mixed_.clear();
  for (const Json& group : groups) mixed_.push_back(group_of_json(group, data, tokenizer));
}

}  // namespace cohort
