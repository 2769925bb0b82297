// PackRunner: one optimizer step over packs - forward, loss, backward for this rank's logical ranks, then the update.
// What the loss is, the caller says: GRPO (update.h), supervised fine-tuning (sft_update.h) and reward models (rm_update.h) differ in nothing
// else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/transformer.h"
#include "trainer/non_finite.h"
#include "trainer/optimizer.h"
#include "trainer/packs.h"

namespace cohort {

// Rows of a pass that holds several packs. Beyond, what a further pass costs is a few percent, and activations grow.
constexpr int64_t kPassRows = 2048;
// Activations are allocated in steps of this many rows, so that slightly longer passes reuse them.
constexpr int64_t kRowStep = 128;

// Packs [first, last) that run as one: those of a subtree of logical ranks, or of one logical rank, or a single pack, which
// may then be followed by more of its logical rank.
struct PackPass {
  size_t first, last;
  bool leaf_goes_on;
};
// Of the packs of `range`, passes of at most `max_rows` rows (or one pack) that leave the tree of additions what it is: the
// fewer there are, the fewer times a gradient goes through memory.
std::vector<PackPass> plan_passes(std::span<const TrainPack> packs, LogicalRange range, int64_t max_rows);

class PackRunner {
 public:
  // `checkpointing`: see TrainState; changes memory and time, no bit.
  PackRunner(Policy& policy, Optimizer& optimizer, bool checkpointing = false)
      : policy_(policy), optimizer_(optimizer), checkpointing_(checkpointing) {}

  // What a pack is called in messages, e.g. "step 3, problem 'p7'": what its first target is of.
  void name_packs(std::function<std::string(const TrainPack&)> name) { name_ = std::move(name); }

  // Called on every rank when the sum of gradients is not finite, with what is known so far, before the step is computed once more to tell whose it was:
  // that may last as long as the step, or for ever.
  void on_non_finite(std::function<void(const std::string& found)> callback) { on_non_finite_ = std::move(callback); }

  // dL/dlogprob (and dL/dentropy) of target `row` of packs[pack]. Called for the packs of this rank, in order, row after row, from one thread.
  using Gradient = std::function<RowGradient(size_t pack, int64_t row, float logprob, float entropy)>;
  // Of the row whose gradient is being asked for: the log-prob of its likeliest token; on a GPU NaN.
  float best_logprob() const { return best_[best_row_]; }

  // `packs` is the same list on every rank, not empty, of ascending logical ranks. prepare(pack, state), if given, is called
  // for each pack before the gradient of any of its targets is asked for, e.g. for the reference's log-probs. `tape`, if
  // given, holds the rows that the packs' slots name; no bit depends on it. Where it lies in a gradient it moves out, unless there is
  // one pass and that needs nothing else. Returns the gradient norm before clipping.
  // Non-finite gradients throw (exit code 5) and leave the weights as they are; they are computed once more, without the tape, so that the
  // message names rank, pack and parameter.
  double step(std::span<const TrainPack> packs, float temperature, double learning_rate, const Gradient& gradient,
              const std::function<void(size_t pack, TrainState& state)>& prepare, const Exec& ex,
              ActivationTape* tape = nullptr);

  // The same of a classifier: gradient(pack, scores, dscores) writes dL/dscore of each target of packs[pack], in whose order scores are. Called
  // for the packs of this rank, in order.
  using ScoreGradients = std::function<void(size_t pack, std::span<const float> scores, std::span<float> dscores)>;
  double step_scores(std::span<const TrainPack> packs, double learning_rate, const ScoreGradients& gradient, const Exec& ex);

  // Calls body(pack, state) for each pack of this rank, in order, with a state that pack_logprobs can run it in: that of
  // step() with the same packs and tape.
  void for_each(std::span<const TrainPack> packs, const std::function<void(size_t pack, TrainState& state)>& body,
                const ActivationTape* tape = nullptr);

  // Whether packs[i] is run on this rank.
  bool is_mine(const TrainPack& pack) const {
    return pack.logical_rank >= optimizer_.owned_shards().first && pack.logical_rank < optimizer_.owned_shards().last;
  }
  size_t bytes() const { return state_ ? state_->bytes() : 0; }

 private:
  TrainState& state_for(std::span<const PackPass> passes, std::span<const TrainPack> packs, const ActivationTape* tape);
  // Packs of a pass, one behind the other.
  struct Joined {
    TokenPack pack;
    std::vector<int32_t> slots;
    std::vector<PackPart> parts;
    std::vector<int64_t> ends;  // of each pack's targets
  };
  // Forward, loss and backward of a pass whose first pack is the `first`, into `flat`.
  using PassLoss = std::function<void(const Joined& joined, size_t first, TrainState& state, Tensor flat, const TapedRows& taped)>;
  PassLoss loss_of(float temperature, const Gradient& gradient, const Exec& ex);
  void run(const PackPass& pass, std::span<const TrainPack> packs, TrainState& state, const PassLoss& loss, const ActivationTape* tape, const Exec& ex);
  using Prepare = std::function<void(size_t pack, TrainState& state)>;
  std::string names_of(const PackPass& pass, std::span<const TrainPack> packs) const;
  void find_non_finite_gradient(std::span<const TrainPack> packs, const PassLoss& loss, const Prepare& prepare, const Exec& ex);
  [[noreturn]] void blame_exchange(const std::vector<bool>& leaf_used, const NonFiniteGradient& found, const Exec& ex);
  double step(std::span<const TrainPack> packs, double learning_rate, const PassLoss& loss,
              const std::function<void(size_t pack, TrainState& state)>& prepare, const Exec& ex, ActivationTape* tape);

  Policy& policy_;
  Optimizer& optimizer_;
  bool checkpointing_;
  std::function<std::string(const TrainPack&)> name_;
  std::function<void(const std::string&)> on_non_finite_;
  std::vector<float> best_;  // of the targets of a pass
  size_t best_row_ = 0;
  std::unique_ptr<TrainState> state_;  // grows to what the passes seen needed
};

}  // namespace cohort
