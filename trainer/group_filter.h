// Dynamic sampling (DAPO, arXiv:2503.14476, equation 11): groups whose rewards are all equal teach nothing, so a step goes on drawing
// until it has enough that differ. What it has too much goes into the next one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/json.h"
#include "model/text/tokenizer.h"
#include "trainer/dataset.h"
#include "trainer/packs.h"

namespace cohort {

// Whether the group's rewards differ: their totals, or with `reward` >= 0 the scores of that reward alone. Missing ones do not count.
bool is_mixed(const Group& group, int reward);

class GroupFilter {
 public:
  // `metric`: "reward" or the name of one of `rewards`.
  GroupFilter(const std::string& metric, const std::vector<RewardSpec>& rewards);

  // Takes the groups of one draw. Those that are not mixed wait for the end of the step. A tape holds rows of the last draw alone.
  void add(std::vector<Group> drawn);
  int64_t mixed() const { return static_cast<int64_t>(mixed_.size()); }
  // `count` groups: mixed ones, those that came first before others, filled up with unmixed ones of this step where there are too
  // few. What is left of the mixed stays, as completions of an older policy, without rows on a tape; the rest is dropped.
  std::vector<Group> take(int64_t count);

  int64_t draws = 0;  // since the beginning of the run: which problems come next, and the key of their completions

  // What stays between steps, for checkpoints: written to folder/groups.json, and read again bit for bit. Exit code 3, naming the
  // file, for one that is missing, broken, or not as `record` (what save returned) says.
  Json save(const std::filesystem::path& folder) const;
  void load(const std::filesystem::path& folder, const Json& record, const Dataset& data, const Tokenizer& tokenizer);

 private:
  int reward_ = -1;
  std::vector<Group> mixed_, unmixed_;
};

}  // namespace cohort
