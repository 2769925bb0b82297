// The keys of section `algorithm` (docs/algorithms.md).
#include "trainer/config_key_places.h"

namespace cohort {
namespace {

using namespace config_keys_detail;

template <auto M>
constexpr auto algorithm = in<&Config::algorithm, M>;

}  // namespace

std::vector<KeyRow> algorithm_keys() {
  using A = AlgorithmSection;
  return {
      // clang-format off
      {.section = "algorithm", .name = "loss_type", .value = algorithm<&A::loss_type>,
       .words = {"grpo", "bnpo", "dapo", "dr_grpo", "cispo", "sapo", "gspo", "reinforce"},
       .help = "grpo and its relatives; docs/algorithms.md has each formula"},
      {.section = "algorithm", .name = "loss_agg_mode", .value = algorithm<&A::loss_agg_mode>,
       .words = {"auto", "seq-mean-token-mean", "token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm"},
       .help = "how tokens' losses are added up; auto: as loss_type says"},
      {.section = "algorithm", .name = "importance_sampling_level", .value = algorithm<&A::importance_sampling_level>, .words = {"auto", "token", "sequence"},
       .help = "whose ratio: each token's or its completion's; auto: sequence for gspo, else token"},
      {.section = "algorithm", .name = "epsilon", .value = algorithm<&A::epsilon>, .bounds = kPositive,
       .help = "the ratio is clipped below 1 - epsilon"},
      {.section = "algorithm", .name = "epsilon_high", .value = algorithm<&A::epsilon_high>,
       .bounds = {.low = 0, .above = true, .or_be = -1},
       .help = "the ratio is clipped above 1 + epsilon_high; -1: epsilon. cispo: the cap of the ratio itself, e.g. 5.0"},
      {.section = "algorithm", .name = "delta", .value = algorithm<&A::delta>, .bounds = kNotNegative,
       .help = "two-sided clipping: the ratio itself is at most delta, also where the advantage is negative; 0: off"},
      {.section = "algorithm", .name = "clip_ratio_c", .value = algorithm<&A::clip_ratio_c>, .bounds = kNotNegative,
       .help = "dual clip: where the advantage is negative the loss is at most clip_ratio_c times its size; 0: off"},
      {.section = "algorithm", .name = "sapo_temperature_pos", .value = algorithm<&A::sapo_temperature_pos>, .bounds = kPositive,
       .help = "sapo: steepness of the soft clip where the advantage is positive"},
      {.section = "algorithm", .name = "sapo_temperature_neg", .value = algorithm<&A::sapo_temperature_neg>, .bounds = kPositive,
       .help = "sapo: and where it is not"},
      {.section = "algorithm", .name = "beta", .value = algorithm<&A::beta>, .bounds = kNotNegative,
       .help = "weight of the KL term; 0: no reference model"},
      {.section = "algorithm", .name = "kl_estimator", .value = algorithm<&A::kl_estimator>, .words = {"k1", "k2", "k3"},
       .help = "of the KL divergence from one token: k1 = -d, k2 = d^2 / 2, k3 = e^d - d - 1, d = log of reference / policy"},
      {.section = "algorithm", .name = "kl_input_clamp_value", .value = algorithm<&A::kl_input_clamp_value>, .bounds = kNotNegative,
       .help = "d is at most so far from 0, and without gradient beyond; 0: no bound"},
      {.section = "algorithm", .name = "kl_output_clamp_value", .value = algorithm<&A::kl_output_clamp_value>, .bounds = kNotNegative,
       .help = "so is the estimate; 0: no bound"},
      {.section = "algorithm", .name = "use_bias_correction_kl", .value = algorithm<&A::use_bias_correction_kl>,
       .help = "the KL term is multiplied by the ratio, as its tokens are of the policy that sampled"},
      {.section = "algorithm", .name = "use_kl_in_reward", .value = algorithm<&A::use_kl_in_reward>,
       .help = "the KL term is taken from the reward, instead of added to the loss"},
      {.section = "algorithm", .name = "ref_model_sync_steps", .value = algorithm<&A::ref_model_sync_steps>, .bounds = from(0, kMaxSteps),
       .help = "the reference takes up the policy each so many steps; 0: never"},
      {.section = "algorithm", .name = "ref_model_mixup_alpha", .value = algorithm<&A::ref_model_mixup_alpha>,
       .bounds = {.low = 0, .high = 1, .above = true},
       .help = "it becomes alpha policy + (1 - alpha) reference; 1: the policy"},
      {.section = "algorithm", .name = "advantage", .value = algorithm<&A::advantage>,
       .words = {"group", "rloo", "batch", "none", "reinforce_plus_plus", "reinforce_plus_plus_baseline"},
       .help = "what a reward is measured against: group, mean of its group; rloo, of the others in it; batch, of the step; none"},
      {.section = "algorithm", .name = "scale_rewards", .value = algorithm<&A::scale_rewards>, .words = {"auto", "group", "batch", "none"},
       .help = "advantages are divided by the standard deviation of group or batch; auto: as advantage says"},
      {.section = "algorithm", .name = "multi_objective_aggregation", .value = algorithm<&A::multi_objective_aggregation>,
       .words = {"sum_then_normalize", "normalize_then_sum"},
       .help = "several rewards: their weighted sum is normalised, or each by itself and then their sum"},
      {.section = "algorithm", .name = "entropy_coef", .value = algorithm<&A::entropy_coef>, .bounds = kNotNegative,
       .help = "weight of the entropy bonus, a mean over tokens; 0: none. With use_adaptive_entropy its first value"},
      {.section = "algorithm", .name = "use_adaptive_entropy", .value = algorithm<&A::use_adaptive_entropy>,
       .help = "the bonus is on while the entropy is at most entropy_target, and its weight grows meanwhile"},
      {.section = "algorithm", .name = "entropy_target", .value = algorithm<&A::entropy_target>, .bounds = kNotNegative,
       .help = "the entropy in nats that use_adaptive_entropy steers at"},
      {.section = "algorithm", .name = "entropy_coef_delta", .value = algorithm<&A::entropy_coef_delta>, .bounds = kNotNegative,
       .help = "what the adaptive weight of entropy grows by, or shrinks by, in an optimizer step"},
      {.section = "algorithm", .name = "entropy_coef_min", .value = algorithm<&A::entropy_coef_min>, .bounds = kNotNegative,
       .help = "the adaptive weight of entropy is at least that"},
      {.section = "algorithm", .name = "entropy_coef_max", .value = algorithm<&A::entropy_coef_max>, .bounds = kNotNegative,
       .help = "the adaptive weight of entropy is at most that"},
      {.section = "algorithm", .name = "top_entropy_quantile", .value = algorithm<&A::top_entropy_quantile>,
       .bounds = {.low = 0, .high = 1, .above = true},
       .help = "the policy term is of this part of the tokens alone, those of the highest entropy; 1: of all"},
      {.section = "algorithm", .name = "select_completions", .value = algorithm<&A::select_completions>, .words = {"all", "best", "max_variance"},
       .help = "which of a group's completions the update sees: all; best, the num_selected of the highest reward; max_variance, those that differ most"},
      {.section = "algorithm", .name = "num_selected", .value = algorithm<&A::num_selected>, .bounds = from(0, 4096),
       .help = "how many: 1 to num_generations - 1; 0 with select_completions: all"},
      {.section = "algorithm", .name = "filter_groups", .value = algorithm<&A::filter_groups>,
       .help = "a step draws until it has prompts_per_step groups whose rewards differ; what is too much goes into the next one"},
      {.section = "algorithm", .name = "filter_groups_metric", .value = algorithm<&A::filter_groups_metric>,
       .help = "which must differ: reward, the total, or the name of one of the rewards"},
      {.section = "algorithm", .name = "filter_groups_max_batches", .value = algorithm<&A::filter_groups_max_batches>, .bounds = from(1, 1000),
       .help = "draws of prompts_per_step prompts in a step at most; then groups without mixed rewards fill the step up, and count in what the loss divides by"},
      {.section = "algorithm", .name = "teacher", .value = algorithm<&A::teacher>, .may_be_null = true, .decides_bits = false,
       .help = "on-policy distillation: a Hugging Face folder of the same vocabulary; its log-probs of the sampled tokens, less the policy's, are added to their advantages"},
      {.section = "algorithm", .name = "teacher_coef", .value = algorithm<&A::teacher_coef>, .bounds = kPositive,
       .help = "times so much; with rewards of weight 0 the teacher alone teaches"},
      {.section = "algorithm", .name = "old_policy", .value = algorithm<&A::old_policy>, .words = {"auto", "recorded", "proximal"},
       .help = "what the ratio is of: recorded, the policy that sampled; proximal, the one that a step's update begins with; auto: proximal with rollout_correction, where there is a ratio"},
      {.section = "algorithm", .name = "rollout_correction", .value = algorithm<&A::rollout_correction>,
       .words = {"none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"},
       .help = "completions of an older policy (rollout.staleness, filter_groups) count by their ratio to the one that the update begins with: within bounds (truncate), or 0 outside of them (mask)"},
      {.section = "algorithm", .name = "rollout_correction_max", .value = algorithm<&A::rollout_correction_max>, .bounds = {.low = 1},
       .help = "the upper bound of the ratio of rollout_correction"},
      {.section = "algorithm", .name = "rollout_correction_min", .value = algorithm<&A::rollout_correction_min>, .bounds = kFraction,
       .help = "the lower bound of the ratio of rollout_correction; 0: none"},
      {.section = "algorithm", .name = "num_iterations", .value = algorithm<&A::num_iterations>, .bounds = from(1, 1000),
       .help = "passes over each step's completions"},
      {.section = "algorithm", .name = "steps_per_generation", .value = algorithm<&A::steps_per_generation>, .bounds = from(1, 65536),
       .help = "updates in a pass, each on its part of the step's prompts"},
      {.section = "algorithm", .name = "mask_truncated_completions", .value = algorithm<&A::mask_truncated_completions>,
       .help = "leave completions that hit max_completion_length out of the loss"},
      // clang-format on
  };
}

}  // namespace cohort
