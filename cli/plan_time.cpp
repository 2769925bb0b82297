#include "cli/plan_time.h"

#include <algorithm>

#include "model/params.h"
#include "rollout/cache_size.h"
#include "trainer/adapter.h"
#include "trainer/loss.h"
#include "trainer/rollout_correction.h"

namespace cohort {
namespace {

// The medians of bench/results.md, "The engine": decode 0.71 to 0.83 of the bound, an update 0.85 of its matrix products'.
constexpr double kRolloutShare = 0.75, kUpdateShare = 0.85;
// Read and written for each parameter of the own span: gradient (for the norm, then for AdamW), both moments, master, weight.
constexpr double kOptimizerBytes = 32;

struct Matrices {
  double layers = 0, head = 0;  // elements
};

Matrices matrices_of(const ParamTable& table) {
  Matrices m;
  for (const ParamEntry& entry : table.entries) {
    if (entry.kind != ParamKind::matrix) continue;
    if (entry.offset == table.head) m.head += static_cast<double>(entry.size());
    else if (entry.offset != table.embedding) m.layers += static_cast<double>(entry.size());
  }
  return m;
}

double up(int64_t a, int64_t b) { return static_cast<double>((a + b - 1) / b); }

}  // namespace

StepTime predict_step(const TrainingPlan& plan, const StepShape& shape, const RankTraffic& traffic, const MachineSpeed& speed,
                      int ranks_per_host) {
  const Config& config = plan.config;
  const ModelConfig& model = plan.model;
  const ParamTable table = make_param_table(model, config.trainer.logical_ranks);
  const ParamTable trained = trained_table(model, config);
  const Matrices m = matrices_of(table);
  const auto element = static_cast<double>(dtype_size(plan.dtype()));
  const double gemm = speed.gemm_gflops * 1e9 / ranks_per_host, memory = speed.memory_gb_s * 1e9 / ranks_per_host;
  const auto prompt = static_cast<double>(shape.prompt_length), completion = static_cast<double>(shape.completion_length);
  const int64_t all = config.trainer.prompts_per_step * config.rollout.num_generations;

  // The rank with most completions, in order, and so of few prompts.
  const double sequences = up(all, plan.ranks);
  const double prompts = std::min(static_cast<double>(config.trainer.prompts_per_step), up(static_cast<int64_t>(sequences), config.rollout.num_generations));
  const double together = std::min(static_cast<double>(config.rollout.max_num_seqs), sequences);
  const double context = prompt + completion / 2;
  const double attention = 4.0 * static_cast<double>(model.num_heads * model.head_size * model.num_layers) * context;  // flops a row, forward
  const double cached = static_cast<double>(kv_page_bytes(model, plan.dtype(), 1)) * context;  // bytes a row reads

  StepTime time;
  time.prefill_s = prompts * (prompt * (2 * m.layers + attention) + 2 * m.head) / gemm / kRolloutShare;
  const double pass = std::max(2 * (m.layers + m.head) * together / gemm, (m.layers + m.head) * element / memory) + together * cached / memory;
  time.decode_s = completion * sequences / together * pass / kRolloutShare;

  // Packs go to logical ranks, and those to ranks, as evenly as they can.
  const double most = up(config.trainer.logical_ranks, plan.ranks) / static_cast<double>(config.trainer.logical_ranks);
  const AlgorithmSection& a = config.algorithm;
  const double seen = a.select_completions == "all" ? 1 : static_cast<double>(a.num_selected) / static_cast<double>(config.rollout.num_generations);
  const double targets = static_cast<double>(all) * completion * most * seen;
  const double rows = targets + static_cast<double>(config.trainer.prompts_per_step) * prompt * most;
  const auto iterations = static_cast<double>(a.num_iterations), parts = static_cast<double>(a.steps_per_generation);
  const double updates = iterations * parts;
  // The first update alone is of the policy that sampled.
  const double forwards = iterations - (shape.reused ? 1 / parts : 0) + (config.trainer.gradient_checkpointing ? iterations : 0);
  // Passes before the gradient: every token's entropy for its quantile; or what the later updates' ratios of sequences need.
  const double looks = (a.top_entropy_quantile < 1 ? iterations : make_loss_config(a).sequence_level ? (updates - 1) / parts : 0) +
                       (old_policy_takes_a_pass(a) ? 1 : 0);
  const double layers = rows * (2 * m.layers + attention);  // one pass forward; backward is two of them
  // An adapter's own products are thin; frozen weights have no gradient, but a frozen head's logits are computed twice.
  const bool frozen = config.model.lora.has_value();
  double flops = ((frozen ? 1 : 2) * iterations + forwards) * layers + 6 * iterations * m.head * targets;
  flops += (looks + (a.beta > 0 ? 1 : 0)) * (layers + 2 * m.head * targets);
  time.update_s = flops / gemm / kUpdateShare;
  time.optimizer_s = updates * static_cast<double>(trained.size) * most * kOptimizerBytes / memory;

  const double bytes = static_cast<double>(std::max(traffic.sent(), traffic.received()));
  const auto calls = static_cast<double>(collectives_of_step(trained.size, static_cast<int>(config.trainer.logical_ranks), plan.ranks));
  time.comm_s = updates * (bytes / (speed.link_gb_s * 1e9) + calls * (plan.ranks - 1) * speed.latency_us * 1e-6);
  return time;
}

}  // namespace cohort
