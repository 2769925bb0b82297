// Curriculum by measured difficulty: problems that the policy nearly always solves, or nearly never, teach little and are left out for
// a while (online difficulty filtering, arXiv:2504.03380, with the pass rates of the run itself).
//
// The rule: training walks through the order of the problems as ever. When a problem is sampled, its pass rate is the part of its group
// that passed. If that is below min_pass_rate or above max_pass_rate, it is passed over the next skip_epochs times that its turn
// comes; then it is sampled, and measured, again. A problem that was not measured yet is never passed over.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "core/json.h"
#include "trainer/config.h"
#include "trainer/packs.h"

namespace cohort {

class Curriculum {
 public:
  // `rewards`: of the config, among which the metric is; `problems`: how many there are.
  Curriculum(const CurriculumConfig& config, const std::vector<RewardSpec>& rewards, int64_t problems);

  // The next `count` problems; at(position) is the endless order that is walked through.
  std::vector<int64_t> next(int64_t count, const std::function<int64_t(int64_t)>& at);
  // What was sampled, scored. Completions without a score of the metric do not count; a group of such alone changes nothing.
  void learn(std::span<const Group> groups);

  int64_t position() const { return position_; }  // of the order: how far it was walked
  int64_t skipped() const { return skipped_; }    // by the last call of next
  double measured() const;                        // part of the problems
  double mean_pass_rate() const;                  // of those, as last measured; 0 of none
  double set_aside() const;                       // part of the problems that will be passed over when their turn comes

  // For checkpoints: written to folder/curriculum.json, and read again. Exit code 3, naming the file, for one that is missing, broken,
  // of other data, or not as `record` (what save returned) says.
  Json save(const std::filesystem::path& folder) const;
  void load(const std::filesystem::path& folder, const Json& record);

 private:
  struct State {
    int32_t passed = 0, judged = 0;  // of the last group; judged 0: not measured
    int32_t skips = 0;               // how often it will be passed over
  };
  CurriculumConfig config_;
  size_t reward_ = 0;
  std::vector<State> states_;
  int64_t position_ = 0, skipped_ = 0;
};

}  // namespace cohort
