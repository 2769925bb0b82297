// The transformer: forward for sampling (with a cache), forward and backward for training (on a pack).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/activation_tape.h"
#include "model/block.h"
#include "model/kv_cache.h"
#include "model/ops/head.h"
#include "model/pass_graphs.h"
#include "model/policy.h"

namespace cohort {

// --- sampling ------------------------------------------------------------------------------------------------------
// One sequence's new tokens in a forward pass. Their keys and values go to, and those of earlier tokens come from, `pages`.
struct ForwardRun {
  std::span<const int32_t> tokens;
  int64_t first_position;
  const PageTable* pages;  // covers first_position + tokens
};

// Where a forward pass leaves its rows for the trainer: in slots first, first + 1, ... of the tape. No tape: nowhere.
struct TapeSlots {
  ActivationTape* tape = nullptr;
  int64_t first = 0;
};

// Activations for up to `max_tokens` rows, allocated once.
class ForwardState {
 public:
  ForwardState(const Policy& policy, int64_t max_tokens);
  int64_t max_tokens() const { return max_tokens_; }
  size_t bytes() const { return arena_.bytes(); }

 private:
  friend void begin_pass(const Policy&, const KvCache&, ForwardState&, std::span<const ForwardRun>, int64_t, const TapeSlots&, Tensor);
  friend Tensor run_pass(const Policy&, const KvCache&, ForwardState&, const Exec&, const TapeSlots&, Tensor);
  friend void add_pass(PassInputs&, const Policy&, const KvCache&, const ForwardState&, const Exec&, const TapeSlots&);
  int64_t max_tokens_;
  Arena arena_{"rollout activations"};
  Tensor x_;
  BlockTensors block_;  // of whichever layer runs
  std::vector<int32_t> tokens_, positions_;
  std::vector<CachedRun> runs_;
};

// Runs all tokens of all runs and returns the final hidden states (T, C) act, rows in the order of the runs; valid until
// the next call. Sum of tokens <= state.max_tokens(). With `drawn` (GpuDraws::tokens) a token -1 - i is drawn[i].
Tensor forward_cached(const Policy& policy, KvCache& cache, ForwardState& state, std::span<const ForwardRun> runs,
                      const Exec& ex, const TapeSlots& to = {}, Tensor drawn = {});

// The same in two steps, for a GPU that records passes (pass_graphs.h). begin_pass looks at what the host knows; there are `rows`
// rows at least, those that no run has are run for nothing and write to no page. run_pass is the launches: it may be called
// several times, and reads nothing of the host but what add_pass adds.
void begin_pass(const Policy& policy, const KvCache& cache, ForwardState& state, std::span<const ForwardRun> runs, int64_t rows,
                const TapeSlots& to, Tensor drawn);
Tensor run_pass(const Policy& policy, const KvCache& cache, ForwardState& state, const Exec& ex, const TapeSlots& to, Tensor drawn);
void add_pass(PassInputs& inputs, const Policy& policy, const KvCache& cache, const ForwardState& state, const Exec& ex, const TapeSlots& to);

// --- training ------------------------------------------------------------------------------------------------------
// Tokens, positions and runs of one pack; `rows` / `targets` name what the loss looks at: the log-prob of targets[i]
// given the hidden state of row rows[i].
struct TokenPack {
  std::vector<int32_t> tokens, positions;  // T
  std::vector<PackRun> runs;
  std::vector<int32_t> rows, targets;      // n
};

// Appends a text as a run of its own, and (append_text) every token but the first as the target of the row before it.
void append_run(TokenPack& pack, std::span<const int32_t> tokens);
// The same behind `prefix` rows of the pack from prefix_begin on, which begin at position 0. No tokens: no run.
void append_run_behind(TokenPack& pack, std::span<const int32_t> tokens, int64_t prefix_begin, int64_t prefix);
void append_text(TokenPack& pack, std::span<const int32_t> tokens);

// Puts `from` behind what `to` holds.
void append_pack(TokenPack& to, const TokenPack& from);

// Consecutive rows and targets of a pack whose gradients are added up apart (ops/row_parts.h).
struct PackPart {
  int64_t tokens, targets;
  int merges;
};

// What a TrainState has room for.
struct TrainLimits {
  int64_t tokens, targets;  // of a pack
  int64_t forward_tokens;   // rows of it that pack_loss runs forward
  bool tape;                // the others come from a tape, layer by layer
  bool holds(const TrainLimits& other) const {
    return tokens >= other.tokens && targets >= other.targets && forward_tokens >= other.forward_tokens &&
           tape >= other.tape;
  }
};

// Activations kept for the backward pass. With `checkpointing` only each layer's input is kept, and the backward pass
// runs the layer forward again (Chen et al. 2016): the same bits, a third more work, a fraction of the memory. The inputs lie
// in the gradients of lower layers wherever they fit (InputsInGradient). A tape then needs inputs alone.
class TrainState {
 public:
  TrainState(const Policy& policy, const TrainLimits& limits, bool checkpointing = false);
  TrainState(const Policy& policy, int64_t max_tokens, int64_t max_targets, bool checkpointing = false)
      : TrainState(policy, {max_tokens, max_targets, max_tokens, false}, checkpointing) {}
  ~TrainState();
  const TrainLimits& limits() const;
  size_t bytes() const;
  struct Impl;
  std::unique_ptr<Impl> impl;
};

// Hidden states (n, C) act of pack.rows.
Tensor forward_pack(const Policy& policy, TrainState& state, const TokenPack& pack, const Exec& ex);
// Log-probs (and entropies, when the span is not empty) of pack.targets: forward only. `best` as in ops/head.h.
void pack_logprobs(const Policy& policy, TrainState& state, const TokenPack& pack, float temperature,
                   std::span<float> logprob, std::span<float> entropy, const Exec& ex, std::span<float> best = {});
// A classifier's score of each of pack.rows; policy.config.num_labels must be 1.
void pack_scores(const Policy& policy, TrainState& state, const TokenPack& pack, std::span<float> scores,
                 const Exec& ex);
// The token whose score is the text's: the last that is not padding, as transformers pools it.
size_t score_position(const ModelConfig& config, std::span<const int32_t> tokens);
// Rows of a pack that were run before: row t lies in slot slots[t] of the tape, or, where that is -1, is run forward. A
// run has all of its rows and of its prefix on the tape, or none. No tape: every row is run forward.
struct TapedRows {
  const ActivationTape* tape = nullptr;
  std::span<const int32_t> slots;
};
// Forward, loss and backward in one go, with the same bits whatever comes from a tape. `gradient` and `best` as in ops/head.h.
// gradients (table.size; with an adapter its table's) f32: every parameter's is overwritten, the gaps between them stay or become 0. `parts` cover the pack; none: one part.
void pack_loss(const Policy& policy, TrainState& state, const TokenPack& pack, float temperature,
               const TokenGradient& gradient, Tensor gradients, const Exec& ex,
               std::span<const PackPart> parts = {}, const TapedRows& taped = {}, std::span<float> best = {});
// The same of a classifier. A loss of scores may be of several of them: gradient(scores, dscores) is called once, and writes dL/dscore of
// each of pack.rows. On the CPU, without an adapter.
using ScoreGradient = std::function<void(std::span<const float> scores, std::span<float> dscores)>;
void pack_score_loss(const Policy& policy, TrainState& state, const TokenPack& pack, const ScoreGradient& gradient, Tensor gradients,
                     const Exec& ex, std::span<const PackPart> parts = {});

}  // namespace cohort
