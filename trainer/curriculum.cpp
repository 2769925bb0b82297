#include "trainer/curriculum.h"

#include <algorithm>

#include "core/check.h"
#include "trainer/group_json.h"

namespace cohort {

Curriculum::Curriculum(const CurriculumConfig& config, const std::vector<RewardSpec>& rewards, int64_t problems)
    : config_(config), states_(static_cast<size_t>(problems)) {
  CHECK(problems > 0 && config.skip_epochs > 0, "a curriculum of {} problems that skips {} times", problems, config.skip_epochs);
  if (config.metric.empty()) return;
  const auto found = std::ranges::find(rewards, config.metric, &RewardSpec::name);
  CHECK(found != rewards.end(), "a curriculum by reward '{}', which is not there", config.metric);
  reward_ = static_cast<size_t>(found - rewards.begin());
}

// It ends: whatever is passed over now will not be after skip_epochs times.
std::vector<int64_t> Curriculum::next(int64_t count, const std::function<int64_t(int64_t)>& at) {
  std::vector<int64_t> problems;
  skipped_ = 0;
  while (static_cast<int64_t>(problems.size()) < count) {
    const int64_t problem = at(position_++);
    State& state = states_.at(static_cast<size_t>(problem));
    if (state.skips > 0) {
      --state.skips;
      ++skipped_;
    } else {
      problems.push_back(problem);
    }
  }
  return problems;
}

void Curriculum::learn(std::span<const Group> groups) {
  for (const Group& group : groups) {
    State now;
    for (const RewardSet::Row& row : group.scores) {
      const std::optional<double>& score = row.scores.at(reward_);
      if (!score) continue;
      ++now.judged;
      now.passed += *score >= config_.pass_threshold;
    }
    if (now.judged == 0) continue;
    const double rate = static_cast<double>(now.passed) / static_cast<double>(now.judged);
    if (rate < config_.min_pass_rate || rate > config_.max_pass_rate) now.skips = static_cast<int32_t>(config_.skip_epochs);
    states_.at(static_cast<size_t>(group.problem)) = now;
  }
}

double Curriculum::measured() const {
  return static_cast<double>(std::ranges::count_if(states_, [](const State& s) { return s.judged > 0; })) / static_cast<double>(states_.size());
}

double Curriculum::mean_pass_rate() const {
  double sum = 0, count = 0;
  for (const State& s : states_)
    if (s.judged > 0) sum += static_cast<double>(s.passed) / static_cast<double>(s.judged), count += 1;
  return count > 0 ? sum / count : 0;
}

double Curriculum::set_aside() const {
  return static_cast<double>(std::ranges::count_if(states_, [](const State& s) { return s.skips > 0; })) / static_cast<double>(states_.size());
}

Json Curriculum::save(const std::filesystem::path& folder) const {
  Json problems = Json::array();
  for (const State& s : states_) problems.push_back(s.judged == 0 ? Json() : Json::array({s.passed, s.judged, s.skips}));
  return write_checkpoint_json(folder, "curriculum.json", {{"position", position_}, {"problems", problems}});
}

void Curriculum::load(const std::filesystem::path& folder, const Json& record) {
  const std::string where = (folder / "curriculum.json").string();
  const Json json = read_checkpoint_json(folder, "curriculum.json", record);
  position_ = get_int(json, "position", where, 0, INT64_MAX);
  const Json& problems = json.at("problems");
  CHECK_INPUT(problems.size() == states_.size(), "{}: {} problems, the training data have {}", where, problems.size(), states_.size());
  for (size_t i = 0; i < states_.size(); ++i) {
    states_[i] = {};
    if (!problems[i].is_null()) states_[i] = {problems[i].at(0), problems[i].at(1), problems[i].at(2)};
  }
}

}  // namespace cohort
