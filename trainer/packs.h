// Packs: what the trainer runs at once. Built from the global order of groups only, so that neither ranks nor threads can
// change what is summed with what.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/text/chat_turns.h"
#include "model/transformer.h"
#include "reward/reward.h"
#include "rollout/generator.h"

namespace cohort {

// One prompt and its completions, scored.
struct Group {
  int64_t problem = 0;                 // index into the training data
  std::span<const int32_t> prompt;     // tokens
  std::vector<Rollout> rollouts;       // num_generations
  std::vector<std::string> texts;      // of the completions
  std::vector<RewardSet::Row> scores;
  std::vector<std::vector<std::string>> reasons;  // of each completion's scores (reward_reasons.h); none: of an earlier version's checkpoint
  std::vector<bool> selected;          // whether the update sees each completion (select_completions.h); none: all
  std::vector<float> advantages;
  std::vector<std::vector<float>> token_advantages;    // of each token of each completion, in place of advantages; none: those
  std::vector<std::vector<float>> token_weights;       // of the policy term of each token; none: 1
  std::vector<std::vector<float>> reference_logprobs;  // of each token, where the KL is part of the reward
  bool has_signal = false;             // some advantage is not 0
};

inline bool is_selected(const Group& group, size_t sample) { return group.selected.empty() || group.selected[sample]; }

// One target of a pack: token `position` of rollout `sample` of group `group`.
struct TargetRef {
  int32_t group, sample, position;
};

struct TrainPack {
  TokenPack tokens;
  std::vector<TargetRef> refs;  // one per target
  std::vector<int32_t> slots;   // where this rank's tape holds each row; -1 for all of a prompt and what is behind it: nowhere
  int logical_rank = 0;
};
int64_t taped_rows(const TrainPack& pack);  // rows of it that have a slot

// A completion and where it comes from, for the packing rule alone.
struct PackInput {
  std::span<const int32_t> prompt;
  std::vector<std::span<const int32_t>> completions;  // an empty one is left out
  std::vector<std::span<const int32_t>> slots = {};   // of each completion, Rollout::slots; or of none
  std::vector<std::vector<TokenSpan>> targets = {};   // of each completion, which of its tokens are targets, ascending; or of none: all
};

// Rows of a pack where the config names no number. A group that is split has so many beside its prompt, which each of its
// packs runs anew: a long prompt must not leave room for one completion only.
constexpr int64_t kMaxAutoRows = 4096;

// Groups are taken in order. A pack holds each group's prompt once, followed by the rows of its completions, and is full at
// `pack_tokens` rows (0: total rows / logical_ranks, at most kMaxAutoRows); a group is split only when it alone exceeds that
// limit (kMaxAutoRows beside the prompt when 0). Groups, or their parts, are dealt to logical ranks in order, by the middle of their rows, so that each has its
// share, which as a rule is what it has sampled; a pack is of one logical rank.
std::vector<TrainPack> build_packs(std::span<const PackInput> inputs, int64_t pack_tokens, int64_t logical_ranks);

// The two rules of it: rows at which a pack of `total` rows in all is full, and which logical rank has which pack.
int64_t rows_of_a_pack(int64_t total, int64_t pack_tokens, int64_t logical_ranks);
void deal_packs(std::span<TrainPack> packs, int64_t logical_ranks);

}  // namespace cohort
