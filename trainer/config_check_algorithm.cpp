// Which keys of `algorithm` make sense together (docs/algorithms.md). What would contradict another key is refused, and so is what another
// key switches off.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "trainer/advantage.h"
#include "trainer/config_check.h"
#include "trainer/token_weights.h"

namespace cohort {
namespace {

bool is_one_of(const std::string& word, std::initializer_list<const char*> words) {
  return std::ranges::any_of(words, [&](const char* other) { return word == other; });
}

bool clips(const AlgorithmSection& a) { return !is_one_of(a.loss_type, {"cispo", "sapo", "reinforce"}); }

void check_ratio(const AlgorithmSection& a, const Refuse& refuse) {
  const std::string& level = a.importance_sampling_level;
  if (a.loss_type == "gspo" && level == "token")
    refuse({"algorithm.importance_sampling_level", "algorithm.loss_type"},
           "algorithm.importance_sampling_level: found token with loss_type gspo, whose ratio is the sequence's; allowed: auto, sequence; for "
           "a ratio of each token use loss_type grpo");
  if (a.loss_type == "reinforce" && level == "sequence")
    refuse({"algorithm.importance_sampling_level", "algorithm.loss_type"},
           "algorithm.importance_sampling_level: found sequence with loss_type reinforce, which has no ratio; allowed: auto, token");
  if (a.loss_type == "reinforce" && (a.num_iterations > 1 || a.steps_per_generation > 1))
    refuse({"algorithm.num_iterations", "algorithm.steps_per_generation", "algorithm.loss_type"},
           fmt::format("algorithm.loss_type reinforce has no ratio to correct for completions of an older policy, found num_iterations {} and "
                       "steps_per_generation {}; allowed: 1 and 1; to use completions again take loss_type cispo or dapo, with any advantage",
                       a.num_iterations, a.steps_per_generation));
  if (a.loss_type == "reinforce" && a.filter_groups && a.rollout_correction == "none")
    refuse({"algorithm.filter_groups", "algorithm.loss_type"},
           "algorithm.filter_groups: found true with loss_type reinforce, which has no ratio to correct for groups that are carried over from an "
           "older policy; allowed: false; to filter take rollout_correction, or loss_type cispo or dapo, with any advantage");
  if (a.loss_type == "cispo" && a.epsilon_high <= 1)
    refuse({"algorithm.epsilon_high", "algorithm.loss_type"},
           fmt::format("algorithm.epsilon_high: found {}; with loss_type cispo it is the cap of the ratio itself, not of its distance from 1; "
                       "allowed: a number above 1, e.g. 5.0",
                       a.epsilon_high));
  const float high = 1 + (a.epsilon_high < 0 ? a.epsilon : a.epsilon_high);
  const auto bound = [&](const char* key, const char* name, float value, const char* why, float least) {
    if (value == 0) return;
    if (!clips(a))
      refuse({key, "algorithm.loss_type"}, fmt::format("{}: found {} with loss_type {}, which is not clipped; allowed: 0, or a loss_type of grpo, bnpo, "
                                                       "dapo, dr_grpo, gspo",
                                                       name, value, a.loss_type));
    if (value <= least) refuse({key}, fmt::format("{}: found {}; allowed: 0 (off), or above {} ({})", name, value, least, why));
  };
  bound("algorithm.delta", "algorithm.delta", a.delta, "1 + epsilon_high: below, it would undo that clip", high);
  bound("algorithm.clip_ratio_c", "algorithm.clip_ratio_c", a.clip_ratio_c, "the loss at ratio 1", 1);
  if (a.delta > 0 && a.clip_ratio_c > 0)
    refuse({"algorithm.clip_ratio_c", "algorithm.delta"},
           fmt::format("algorithm.delta {} and clip_ratio_c {} are two spellings of one bound; allowed: one of them (0 turns the other off)", a.delta,
                       a.clip_ratio_c));
}

void check_kl(const AlgorithmSection& a, const Refuse& refuse) {
  if (a.beta == 0) {
    const auto needs = [&](bool given, const char* key, const std::string& found) {
      if (given)
        refuse({key}, fmt::format("{}: found {}, but algorithm.beta is 0: there is no KL term and no reference model; allowed: a beta above 0, "
                                  "or without this key",
                                  key, found));
    };
    needs(a.use_bias_correction_kl, "algorithm.use_bias_correction_kl", "true");
    needs(a.use_kl_in_reward, "algorithm.use_kl_in_reward", "true");
    needs(a.ref_model_sync_steps > 0, "algorithm.ref_model_sync_steps", fmt::format("{}", a.ref_model_sync_steps));
  }
  if (a.use_kl_in_reward && a.use_bias_correction_kl)
    refuse({"algorithm.use_bias_correction_kl", "algorithm.use_kl_in_reward"},
           "algorithm.use_bias_correction_kl: found true with use_kl_in_reward, where the KL is of the policy that sampled and needs no correction; "
           "allowed: one of the two");
}

void check_advantage(const AlgorithmSection& a, const Refuse& refuse) {
  const std::string &advantage = a.advantage, &scale = a.scale_rewards;
  std::vector<std::string> allowed = {"auto", "batch", "none"};
  if (advantage == "none") allowed = {"auto", "none"};  // without a baseline equal rewards would be divided by nothing
  if (is_one_of(advantage, {"group", "rloo"})) allowed.push_back("group");
  if (is_one_of(advantage, {"reinforce_plus_plus", "reinforce_plus_plus_baseline"}) || a.multi_objective_aggregation == "normalize_then_sum")
    allowed = {"auto"};
  if (std::ranges::find(allowed, scale) == allowed.end())
    refuse({"algorithm.scale_rewards", "algorithm.advantage", "algorithm.multi_objective_aggregation"},
           fmt::format("algorithm.scale_rewards: found {} with advantage {}{}; allowed: {}{}", scale, advantage,
                       a.multi_objective_aggregation == "normalize_then_sum" ? " and normalize_then_sum" : "", fmt::join(allowed, ", "),
                       allowed.size() == 1 ? ", as the formula has a scale of its own" : ""));
  if (a.multi_objective_aggregation != "normalize_then_sum") return;
  if (advantage != "group")
    refuse({"algorithm.multi_objective_aggregation", "algorithm.advantage"},
           fmt::format("algorithm.multi_objective_aggregation: found normalize_then_sum with advantage {}; allowed: with advantage group", advantage));
  if (a.use_kl_in_reward)
    refuse({"algorithm.multi_objective_aggregation", "algorithm.use_kl_in_reward"},
           "algorithm.multi_objective_aggregation: found normalize_then_sum with use_kl_in_reward, which has no place among the rewards; allowed: "
           "sum_then_normalize, or the KL term in the loss");
}

// One completion of a prompt has no group to be compared with: REINFORCE++ (arXiv:2501.03262) and plain REINFORCE need none.
void check_group_size(const Config& config, const Refuse& refuse) {
  if (config.rollout.num_generations > 1) return;
  const AlgorithmSection& a = config.algorithm;
  if (!is_one_of(a.advantage, {"batch", "none", "reinforce_plus_plus"}))
    refuse({"rollout.num_generations", "algorithm.advantage"},
           fmt::format("rollout.num_generations: found 1 with algorithm.advantage {}, which compares the completions of a group with each other; allowed: 2 "
                       "to 4096, or advantage batch, none, reinforce_plus_plus", a.advantage));
  if (a.filter_groups)
    refuse({"rollout.num_generations", "algorithm.filter_groups"},
           "rollout.num_generations: found 1 with algorithm.filter_groups, which keeps groups of unequal rewards: there would be none; allowed: 2 to 4096");
  if (a.select_completions != "all")
    refuse({"rollout.num_generations", "algorithm.select_completions"},
           fmt::format("rollout.num_generations: found 1 with algorithm.select_completions {}, which takes a part of the group; allowed: 2 to 4096",
                       a.select_completions));
}

void check_entropy(const AlgorithmSection& a, const Refuse& refuse) {
  if (!a.use_adaptive_entropy) return;
  if (a.entropy_coef_min > a.entropy_coef_max)
    refuse({"algorithm.entropy_coef_min", "algorithm.entropy_coef_max"},
           fmt::format("algorithm.entropy_coef_min {} is more than entropy_coef_max {}; allowed: at most that", a.entropy_coef_min, a.entropy_coef_max));
  if (a.entropy_coef < a.entropy_coef_min || a.entropy_coef > a.entropy_coef_max)
    refuse({"algorithm.entropy_coef", "algorithm.entropy_coef_min", "algorithm.entropy_coef_max"},
           fmt::format("algorithm.entropy_coef: found {}; allowed with use_adaptive_entropy: from entropy_coef_min {} to entropy_coef_max {}",
                       a.entropy_coef, a.entropy_coef_min, a.entropy_coef_max));
}

void check_filter(const Config& config, const Refuse& refuse) {
  const std::string& metric = config.algorithm.filter_groups_metric;
  if (metric == "reward" || !config.algorithm.filter_groups) return;
  std::vector<std::string> allowed = {"reward"};
  for (const RewardSpec& spec : config.reward) allowed.push_back(spec.name);
  if (std::ranges::find(allowed, metric) == allowed.end())
    refuse({"algorithm.filter_groups_metric"},
           fmt::format("algorithm.filter_groups_metric: found '{}'; allowed: one of {}", metric, fmt::join(allowed, ", ")));
}

void check_selection(const Config& config, const Refuse& refuse) {
  const AlgorithmSection& a = config.algorithm;
  if (a.select_completions == "all" || config.rollout.num_generations < 2) return;
  const int64_t most = config.rollout.num_generations - 1;
  if (a.num_selected < 1 || a.num_selected > most)
    refuse({"algorithm.num_selected", "algorithm.select_completions", "rollout.num_generations"},
           fmt::format("algorithm.num_selected: found {} with select_completions {} and rollout.num_generations {}; allowed: 1 to {}", a.num_selected,
                       a.select_completions, config.rollout.num_generations, most));
  if (a.select_completions == "max_variance" && a.num_selected == 1 && a.advantage != "none" && a.advantage != "batch" &&
      a.advantage != "reinforce_plus_plus")
    refuse({"algorithm.num_selected", "algorithm.advantage"},
           fmt::format("algorithm.num_selected: found 1 with select_completions max_variance and advantage {}, which compares the selected completions of a "
                       "group with each other; allowed: 2 to {}", a.advantage, most));
}

void check_token_weight(const AlgorithmSection& a, const Refuse& refuse) {
  if (a.token_weight_pattern.empty()) return;
  if (a.token_weight == 1)
    refuse({"algorithm.token_weight", "algorithm.token_weight_pattern"},
           "algorithm.token_weight: found 1 with a token_weight_pattern, which would do nothing; allowed: 0 or more, but not 1");
  try {
    TokenWeights{a};
  } catch (const Error& error) {
    refuse({"algorithm.token_weight_pattern"}, error.what());
  }
}

// A key that another one switches off would do nothing: refused, unless it has its default, as in a config that was printed.
void check_switched_off(const Config& config, const Refuse& refuse) {
  const AlgorithmSection& a = config.algorithm;
  const AlgorithmSection standard;
  const auto needs = [&](bool on, auto AlgorithmSection::*key, const char* name, const std::string& why, const char* remedy) {
    if (on || a.*key == standard.*key) return;
    const std::string path = fmt::format("algorithm.{}", name);
    refuse({path.c_str()}, fmt::format("{}: found {}, but {}: it would do nothing; allowed: {}, or without this key (which is {})", path, a.*key, why,
                                       remedy, standard.*key));
  };
  const std::string loss = fmt::format("algorithm.loss_type is {}", a.loss_type);
  const bool has_cap = clips(a) || a.loss_type == "cispo", sapo = a.loss_type == "sapo";
  needs(clips(a), &AlgorithmSection::epsilon, "epsilon", loss + ", which has no lower clip", "a loss_type of grpo, bnpo, dapo, dr_grpo, gspo");
  needs(has_cap, &AlgorithmSection::epsilon_high, "epsilon_high", loss + ", which is not clipped",
        "a loss_type of grpo, bnpo, dapo, dr_grpo, gspo, cispo");
  needs(sapo, &AlgorithmSection::sapo_temperature_pos, "sapo_temperature_pos", loss, "loss_type: sapo");
  needs(sapo, &AlgorithmSection::sapo_temperature_neg, "sapo_temperature_neg", loss, "loss_type: sapo");
  const char* no_kl = "algorithm.beta is 0: there is no KL term";
  needs(a.beta > 0, &AlgorithmSection::kl_estimator, "kl_estimator", no_kl, "a beta above 0");
  needs(a.beta > 0, &AlgorithmSection::kl_input_clamp_value, "kl_input_clamp_value", no_kl, "a beta above 0");
  needs(a.beta > 0, &AlgorithmSection::kl_output_clamp_value, "kl_output_clamp_value", no_kl, "a beta above 0");
  needs(a.ref_model_sync_steps > 0, &AlgorithmSection::ref_model_mixup_alpha, "ref_model_mixup_alpha",
        "algorithm.ref_model_sync_steps is 0: the reference stays", "with ref_model_sync_steps above 0");
  const char* fixed = "algorithm.use_adaptive_entropy is false";
  const char* adaptive = "use_adaptive_entropy: true";
  needs(a.use_adaptive_entropy, &AlgorithmSection::entropy_target, "entropy_target", fixed, adaptive);
  needs(a.use_adaptive_entropy, &AlgorithmSection::entropy_coef_delta, "entropy_coef_delta", fixed, adaptive);
  needs(a.use_adaptive_entropy, &AlgorithmSection::entropy_coef_min, "entropy_coef_min", fixed, adaptive);
  needs(a.use_adaptive_entropy, &AlgorithmSection::entropy_coef_max, "entropy_coef_max", fixed, adaptive);
  needs(a.filter_groups, &AlgorithmSection::filter_groups_metric, "filter_groups_metric", "algorithm.filter_groups is false",
        "with filter_groups: true");
  needs(a.filter_groups, &AlgorithmSection::filter_groups_max_batches, "filter_groups_max_batches", "algorithm.filter_groups is false",
        "with filter_groups: true");
  needs(a.rollout_correction != "none", &AlgorithmSection::rollout_correction_max, "rollout_correction_max", "algorithm.rollout_correction is none",
        "with a rollout_correction");
  needs(a.rollout_correction != "none", &AlgorithmSection::rollout_correction_min, "rollout_correction_min", "algorithm.rollout_correction is none",
        "with a rollout_correction");
  needs(!a.teacher.empty(), &AlgorithmSection::teacher_coef, "teacher_coef", "algorithm.teacher is null", "with a teacher");
  needs(!a.token_weight_pattern.empty(), &AlgorithmSection::token_weight, "token_weight", "algorithm.token_weight_pattern is null",
        "with a token_weight_pattern");
  needs(a.select_completions != "all", &AlgorithmSection::num_selected, "num_selected", "algorithm.select_completions is all",
        "select_completions: best or max_variance");
}

}  // namespace

void check_algorithm(const Config& config, const Refuse& refuse) {
  const AlgorithmSection& a = config.algorithm;
  check_ratio(a, refuse);
  check_kl(a, refuse);
  check_advantage(a, refuse);
  check_group_size(config, refuse);
  check_entropy(a, refuse);
  check_filter(config, refuse);
  check_selection(config, refuse);
  check_token_weight(a, refuse);
  check_switched_off(config, refuse);
  check_off_policy(config, refuse);
  const int64_t prompts = config.trainer.prompts_per_step;
  if (prompts % a.steps_per_generation != 0)
    refuse({"algorithm.steps_per_generation", "trainer.prompts_per_step"},
           fmt::format("algorithm.steps_per_generation: found {}; allowed: a divisor of trainer.prompts_per_step {}, so that every update learns from "
                       "as many prompts",
                       a.steps_per_generation, prompts));
}

}  // namespace cohort
