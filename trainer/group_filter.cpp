#include "trainer/group_filter.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/check.h"
#include "core/files.h"
#include "core/hash.h"
#include "reward/score_json.h"

namespace cohort {
namespace {

constexpr int64_t kNoVersion = -1;  // of a policy: none that trains ever has it

std::optional<double> optional_of(const Json& value) { return value.is_null() ? std::nullopt : std::optional(value.get<double>()); }

Json json_of(const Group& group) {
  Json rollouts = Json::array();
  for (size_t i = 0; i < group.rollouts.size(); ++i) {
    const Rollout& rollout = group.rollouts[i];
    const RewardSet::Row& row = group.scores[i];
    Json scores = Json::array(), ends = Json::array();
    for (const std::optional<double>& score : row.scores) scores.push_back(or_null(score));
    for (const ScoreEnd& end : row.ends) ends.push_back({end.missing ? static_cast<int>(*end.missing) : -1, end.outcome});
    rollouts.push_back({{"tokens", rollout.tokens},
                        {"logprobs", rollout.logprobs},
                        {"kept_mass", rollout.kept_mass},
                        {"finish_reason", static_cast<int>(rollout.finish_reason)},
                        {"scores", scores},
                        {"ends", ends},
                        {"total", or_null(row.total)}});
  }
  return {{"problem", group.problem}, {"rollouts", rollouts}};
}

Group group_of(const Json& json, const Dataset& data, const Tokenizer& tokenizer) {
  Group group{.problem = json.at("problem").get<int64_t>()};
  group.prompt = data.problems.at(static_cast<size_t>(group.problem)).tokens;
  for (const Json& of : json.at("rollouts")) {
    Rollout rollout{.tokens = of.at("tokens"), .logprobs = of.at("logprobs"), .kept_mass = of.at("kept_mass"),
                    .finish_reason = static_cast<FinishReason>(of.at("finish_reason").get<int>()), .policy_version = kNoVersion};
    RewardSet::Row row{.total = optional_of(of.at("total"))};
    for (const Json& score : of.at("scores")) row.scores.push_back(optional_of(score));
    for (const Json& end : of.at("ends")) {
      const int missing = end.at(0);
      row.ends.push_back({missing < 0 ? std::nullopt : std::optional(static_cast<Missing>(missing)), end.at(1)});
    }
    group.texts.push_back(tokenizer.decode(rollout.tokens, /*skip_special_tokens=*/true));
    group.rollouts.push_back(std::move(rollout));
    group.scores.push_back(std::move(row));
  }
  return group;
}

}  // namespace

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
  for (const Group& group : mixed_) groups.push_back(json_of(group));
  const std::string text = dump_json(groups);
  write_file_atomic(folder / "groups.json", text);
  return {{"hash", fingerprint(text)}, {"draws", draws}};
}

void GroupFilter::load(const std::filesystem::path& folder, const Json& record, const Dataset& data, const Tokenizer& tokenizer) {
  const std::string where = (folder / "groups.json").string();
  const std::string text = read_file(where);
  CHECK_INPUT(record.is_object() && fingerprint(text) == get_string(record, "hash", where),
              "{}: the content does not match the hash in manifest.json: the file is corrupted; resume from another checkpoint with run.resume: PATH",
              where);
  draws = get_int(record, "draws", where, 0, INT64_MAX);
  mixed_.clear();
  for (const Json& group : parse_json(text, where)) mixed_.push_back(group_of(group, data, tokenizer));
}

}  // namespace cohort
