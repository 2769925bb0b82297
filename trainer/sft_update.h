// The step of supervised fine-tuning: mean negative log-likelihood of the tokens that are learnt, AdamW. `cohort sft` and the warm
// start of `cohort train` both take it.
#pragma once

#include <functional>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "trainer/config.h"
#include "trainer/pack_runner.h"
#include "trainer/sft_data.h"

namespace cohort {

// Sums over learnt tokens. Those of an example are added in order, and examples in theirs, so that packs, ranks and passes are not
// in the result.
struct TokenSums {
  double tokens = 0, loss = 0, entropy = 0;  // loss: of -log-prob
  double right = 0;                          // tokens that are the likeliest; NaN on a GPU, where it is not known
  void add(const TokenSums& other);
};

class SftUpdater {
 public:
  // All outlive the updater. trainer: logical_ranks, pack_tokens, gradient_checkpointing.
  SftUpdater(Policy& policy, Optimizer& optimizer, const TrainerSection& trainer, Comm& comm);

  // One optimizer step on the examples, the same on every rank:
  //   loss = -(sum over learnt tokens of log p(token | those before it)) / (number of learnt tokens)
  // as TRL's SFTTrainer has it (num_items_in_batch): the count is of the whole step, over all ranks. Sets grad_norm(). Exit code
  // 5, led by `when` and naming example and token, when a log-prob is not finite; the weights are then as they were.
  TokenSums step(std::span<const Example* const> examples, double learning_rate, const std::string& when, const Exec& ex);
  double grad_norm() const { return grad_norm_; }  // of the last step, before clipping

  // The same sums without a step. progress(done, total) in examples, of this rank's share scaled to the whole; may be empty.
  TokenSums evaluate(std::span<const Example> examples, const std::string& when, const Exec& ex,
                     const std::function<void(int64_t done, int64_t total)>& progress = {});

  // As PackRunner's.
  void on_non_finite(std::function<void(const std::string& found)> callback) { runner_.on_non_finite(std::move(callback)); }

 private:
  std::vector<TrainPack> pack(std::span<const Example* const> examples) const;

  Policy& policy_;
  const TrainerSection& trainer_;
  Comm& comm_;
  PackRunner runner_;
  double grad_norm_ = 0;
};

}  // namespace cohort
