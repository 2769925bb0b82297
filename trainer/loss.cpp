#include "trainer/loss.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"

namespace cohort {

LossConfig make_loss_config(const AlgorithmSection& algorithm) {
  return {algorithm.loss_type, algorithm.beta, algorithm.epsilon,
          algorithm.epsilon_high < 0 ? algorithm.epsilon : algorithm.epsilon_high};
}

// In double: exp() of a float32 difference would cost four of the seven digits that the gradient has.
TokenLoss token_loss(float logprob, float old_logprob, float ref_logprob, float advantage, const LossConfig& config) {
  TokenLoss out{};
  const double low = 1.0 - static_cast<double>(config.epsilon_low), high = 1.0 + static_cast<double>(config.epsilon_high);
  const double a = static_cast<double>(advantage);
  const double ratio = std::exp(static_cast<double>(logprob) - static_cast<double>(old_logprob));
  const double plain_objective = ratio * a, clipped_objective = std::clamp(ratio, low, high) * a;
  double loss = -std::min(plain_objective, clipped_objective);
  // Where the clipped branch is the smaller one it is constant in logprob.
  double dlogprob = plain_objective <= clipped_objective ? -a * ratio : 0.0;
  out.clipped_low = ratio < low && advantage < 0;
  out.clipped_high = ratio > high && advantage > 0;
  if (config.beta > 0) {
    const double beta = static_cast<double>(config.beta);
    const double d = static_cast<double>(ref_logprob) - static_cast<double>(logprob);
    const double kl = std::expm1(d) - d;
    out.kl = static_cast<float>(kl);
    loss += beta * kl;
    dlogprob -= beta * std::expm1(d);
  }
  out.loss = static_cast<float>(loss);
  out.dlogprob = static_cast<float>(dlogprob);
  out.ratio = static_cast<float>(ratio);
  return out;
}

double token_weight(const LossConfig& config, const Normalisers& n, int64_t length) {
  CHECK(n.sequences > 0 && n.tokens > 0 && length > 0, "loss weights of an empty batch");
  if (config.loss_type == "grpo") return 1.0 / (static_cast<double>(n.sequences) * static_cast<double>(length));
  if (config.loss_type == "dapo") return 1.0 / static_cast<double>(n.tokens);
  if (config.loss_type == "dr_grpo")
    return 1.0 / (static_cast<double>(n.sequences) * static_cast<double>(n.max_completion_length));
  fail(ExitCode::kUsage, "unknown loss_type '{}'; allowed: grpo, dapo, dr_grpo", config.loss_type);
}

double learning_rate_at(const OptimSection& optim, int64_t step, int64_t total) {
  const double rate = optim.learning_rate;
  const auto warmup = static_cast<int64_t>(std::ceil(optim.warmup_ratio * static_cast<double>(total)));
  if (step < warmup) return rate * static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, warmup));
  if (optim.lr_scheduler_type == "constant") return rate;
  const double progress =
      static_cast<double>(step - warmup) / static_cast<double>(std::max<int64_t>(1, total - warmup));
  if (optim.lr_scheduler_type == "linear") return rate * std::max(0.0, 1.0 - progress);
  if (optim.lr_scheduler_type == "cosine") return rate * std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
  fail(ExitCode::kUsage, "unknown lr_scheduler_type '{}'; allowed: constant, linear, cosine", optim.lr_scheduler_type);
}

}  // namespace cohort
