#include "trainer/tape_size.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"

namespace cohort {

TapeRows tape_rows(const Config& config) { return config.trainer.gradient_checkpointing ? TapeRows::inputs : TapeRows::all; }

TapeSize choose_tape_size(const Config& config, const ModelConfig& model, DType dtype, int ranks, int64_t prompt,
                          std::optional<int64_t> free_bytes) {
  const int64_t prompts = config.trainer.prompts_per_step, samples = config.rollout.num_generations;
  const int64_t sequences = (prompts * samples + ranks - 1) / ranks;  // in order, so that they belong to few prompts
  const int64_t groups = std::min(prompts, (sequences + samples - 2) / samples + 1);
  // Passes that a GPU records leave their rows in slots of their own first (rollout/decode_pass.cpp).
  const int64_t aside = config.run.device == "cuda" ? std::min(config.rollout.max_num_seqs, sequences) : 0;
  TapeSize size{.needed = sequences * config.rollout.max_completion_length + groups * prompt + aside,
                .slots = 0,
                .slot_bytes = ActivationTape::slot_bytes(model, dtype, tape_rows(config))};
  if (!config.trainer.reuse_activations || config.rollout.staleness > 0) return size;  // rows of older weights are of no use
  size.slots = size.needed;
  if (free_bytes) {
    const double most = static_cast<double>(*free_bytes) * kTapeFreeShare / static_cast<double>(size.slot_bytes);
    size.slots = std::min(size.slots, static_cast<int64_t>(most));
  }
  return size;
}

std::string TapeSize::text() const {
  return fmt::format("activations of sampled rows: up to {}{}, {}; memory is taken as rows are kept", slots,
                     holds_all() ? "" : fmt::format(" of {} (a quarter of the memory that the cache leaves free for this rank)", needed),
                     human_bytes(static_cast<uint64_t>(bytes())));
}

}  // namespace cohort
