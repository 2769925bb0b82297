// Where the ideas behind keys come from. Formulas, and what peers call them: docs/algorithms.md.
#include "trainer/config_describe.h"

namespace cohort {

const std::vector<KeySource>& key_sources() {
  static const std::string adam = "Kingma and Ba 2015, Adam, arXiv:1412.6980", adamw = "Loshchilov and Hutter 2019, AdamW, arXiv:1711.05101";
  static const std::string deepseekmath = "Shao et al. 2024, DeepSeekMath, arXiv:2402.03300", dapo = "Yu et al. 2025, DAPO, arXiv:2503.14476";
  static const std::string tr_dpo = "Gorbatovski et al. 2024, TR-DPO, arXiv:2404.09656", sapo = "SAPO, arXiv:2511.20347";
  static const std::string skywork = "Skywork-OR1, arXiv:2505.22312", ppo = "Schulman et al. 2017, PPO, arXiv:1707.06347";
  static const std::vector<KeySource> sources = {
      {"model.init.num_kv_heads", "Ainslie et al. 2023, grouped-query attention, arXiv:2305.13245"},
      {"model.init.rope_theta", "Su et al. 2021, RoPE, arXiv:2104.09864"},

      {"rollout.num_generations", deepseekmath},
      {"rollout.top_p", "Holtzman et al. 2020, arXiv:1904.09751"},
      {"rollout.top_k", "Fan et al. 2018, arXiv:1805.04833"},
      {"rollout.min_p", "Nguyen et al. 2024, arXiv:2407.01082"},
      {"rollout.stop", "as vLLM's with include_stop_str_in_output"},
      {"rollout.max_num_seqs", "Yu et al. 2022, Orca, OSDI"},
      {"rollout.kv_cache_gb", "Kwon et al. 2023, PagedAttention, arXiv:2309.06180"},

      {"algorithm.loss_type", "docs/algorithms.md names the paper of each"},
      {"algorithm.loss_agg_mode", "names of verl; Liu et al. 2025, Dr. GRPO, arXiv:2503.20783, on what they do"},
      {"algorithm.importance_sampling_level", "Zheng et al. 2025, GSPO, arXiv:2507.18071"},
      {"algorithm.epsilon", ppo},
      {"algorithm.epsilon_high", dapo},
      {"algorithm.delta", "INTELLECT-2, arXiv:2505.07291"},
      {"algorithm.clip_ratio_c", "Ye et al. 2020, dual clip, arXiv:1912.09729"},
      {"algorithm.sapo_temperature_pos", sapo},
      {"algorithm.sapo_temperature_neg", sapo},
      {"algorithm.beta", deepseekmath},
      {"algorithm.kl_estimator", "Schulman 2020, Approximating KL divergence; k3: " + deepseekmath},
      {"algorithm.kl_input_clamp_value", "verl and NeMo-RL"},
      {"algorithm.kl_output_clamp_value", "verl and NeMo-RL"},
      {"algorithm.use_bias_correction_kl", "DeepSeek-V3.2, arXiv:2512.02556"},
      {"algorithm.use_kl_in_reward", "Ouyang et al. 2022, InstructGPT, arXiv:2203.02155"},
      {"algorithm.ref_model_sync_steps", tr_dpo},
      {"algorithm.ref_model_mixup_alpha", tr_dpo},
      {"algorithm.advantage", "group: " + deepseekmath + "; rloo: Ahmadian et al. 2024, arXiv:2402.14740; reinforce_plus_plus: Hu et al. 2025, arXiv:2501.03262"},
      {"algorithm.scale_rewards", "none: Dr. GRPO, arXiv:2503.20783; batch: Lite PPO, arXiv:2508.08221"},
      {"algorithm.multi_objective_aggregation", "normalize_then_sum: GDPO, arXiv:2601.05242"},
      {"algorithm.entropy_coef", "Mnih et al. 2016, A3C, arXiv:1602.01783"},
      {"algorithm.use_adaptive_entropy", skywork},
      {"algorithm.entropy_target", skywork},
      {"algorithm.entropy_coef_delta", skywork},
      {"algorithm.top_entropy_quantile", "Wang et al. 2025, Beyond the 80/20 rule, arXiv:2506.01939"},
      {"algorithm.filter_groups", dapo},
      {"algorithm.filter_groups_metric", "verl"},
      {"algorithm.filter_groups_max_batches", "verl"},
      {"algorithm.teacher", "Agarwal et al. 2024, GKD, arXiv:2306.13649; Lu and Thinking Machines Lab 2025, On-Policy Distillation"},
      {"algorithm.old_policy", "proximal: Hilton et al. 2021, arXiv:2110.00641; AReaL, arXiv:2505.24298"},
      {"algorithm.rollout_correction", "truncate: Ionides 2008; mask: IcePop, arXiv:2510.18855"},
      {"algorithm.num_iterations", ppo},
      {"algorithm.steps_per_generation", ppo},
      {"algorithm.mask_truncated_completions", dapo},

      {"optim.learning_rate", adamw},
      {"optim.adam_beta1", adam},
      {"optim.adam_beta2", adam},
      {"optim.adam_epsilon", adam},
      {"optim.weight_decay", adamw},
      {"optim.max_grad_norm", "Pascanu et al. 2013, arXiv:1211.5063"},
      {"optim.lr_scheduler_type", "cosine: Loshchilov and Hutter 2017, arXiv:1608.03983"},

      {"trainer.gradient_checkpointing", "Chen et al. 2016, arXiv:1604.06174"},
  };
  return sources;
}

}  // namespace cohort
