// How many rows of a step a rank keeps for its update: all that its completions can have, cut to a share of the memory
// that is free.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/activation_tape.h"
#include "model/config.h"
#include "model/tensor.h"
#include "trainer/config.h"

namespace cohort {

// At most this part of the memory that the KV cache leaves free for a rank; gradients come after both.
constexpr double kTapeFreeShare = 0.25;

struct TapeSize {
  int64_t needed;  // rows of the rank's completions and their prompts if each is as long as allowed; on a GPU a pass's more
  int64_t slots;   // 0: no tape
  int64_t slot_bytes;
  bool holds_all() const { return slots >= needed; }
  int64_t bytes() const { return slots * slot_bytes; }
  // "activations of sampled rows: up to 1824, 759 MB; memory is taken as rows are kept"
  std::string text() const;
};

// What is kept of a row: layers' inputs alone with trainer.gradient_checkpointing, which is chosen where memory is short.
TapeRows tape_rows(const Config& config);

// prompt: tokens of the longest.   free_bytes: for this rank, beside the KV cache; nothing: unknown, and no limit.   No slots without
// trainer.reuse_activations.
TapeSize choose_tape_size(const Config& config, const ModelConfig& model, DType dtype, int ranks, int64_t prompt,
                          std::optional<int64_t> free_bytes);

}  // namespace cohort
