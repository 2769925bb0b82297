#include "trainer/pack_runner.h"

#include <algorithm>

#include "core/check.h"

namespace cohort {
namespace {
// Activations are allocated in steps of this many rows, so that slightly longer packs reuse them.
constexpr int64_t kRowStep = 256;
int64_t round_rows(int64_t rows) { return (rows + kRowStep - 1) / kRowStep * kRowStep; }
}  // namespace

TrainState& PackRunner::state_for(std::span<const TrainPack> packs) {
  int64_t rows = 0, targets = 0;
  for (const TrainPack& pack : packs) {
    if (!is_mine(pack)) continue;
    rows = std::max(rows, static_cast<int64_t>(pack.tokens.tokens.size()));
    targets = std::max(targets, static_cast<int64_t>(pack.tokens.targets.size()));
  }
  if (!state_ || state_->max_tokens() < rows || state_->max_targets() < targets) {
    const int64_t more_rows = std::max(round_rows(rows), state_ ? state_->max_tokens() : 0);
    const int64_t more_targets = std::max(round_rows(targets), state_ ? state_->max_targets() : 0);
    state_.reset();  // free the smaller one first
    state_ = std::make_unique<TrainState>(policy_, more_rows, more_targets);
  }
  return *state_;
}

double PackRunner::step(std::span<const TrainPack> packs, float temperature, double learning_rate, const Gradient& gradient,
                        const std::function<void(size_t, TrainState&)>& prepare, const Exec& ex) {
  CHECK(!packs.empty(), "an optimizer step without packs");
  std::vector<bool> leaf_used(static_cast<size_t>(optimizer_.logical_ranks()));
  for (const TrainPack& pack : packs) leaf_used[static_cast<size_t>(pack.logical_rank)] = true;

  Tensor leaf;
  int open = -1;
  for (size_t p = 0; p < packs.size(); ++p) {
    if (!is_mine(packs[p])) continue;
    TrainState& state = state_for(packs);
    if (packs[p].logical_rank != open) {
      if (open >= 0) optimizer_.gradients().end_leaf(ex);
      open = packs[p].logical_rank;
      leaf = optimizer_.gradients().begin_leaf(open, ex);
    }
    if (prepare) prepare(p, state);
    pack_loss(policy_, state, packs[p].tokens, temperature,
              [&](int64_t row, float logprob, float entropy) { return gradient(p, row, logprob, entropy); }, leaf, ex);
  }
  if (open >= 0) optimizer_.gradients().end_leaf(ex);
  return optimizer_.step(learning_rate, leaf_used, ex);
}

}  // namespace cohort
