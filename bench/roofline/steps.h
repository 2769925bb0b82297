// The shapes that are measured, and what a decode step and a pass of the update launch for each: the ops of model/block.cpp,
// model/transformer_cached.cpp, model/transformer_train.cpp and the optimizer, in their order.
#pragma once

#include <string>
#include <vector>

#include "bench/roofline/op.h"
#include "model/config.h"

namespace cohort::roofline {

struct Shape {
  std::string name;
  ModelConfig config;
  Sequences decode;  // a step of so many rows
  Sequences pass;    // of the update: what one training pass holds, kMaxAutoRows rows or so
  int64_t passes;    // of one update
};

// "qwen2.5-0.5b", "llama-3.2-1b" (their config.json's numbers), "tiny" (every op within seconds on the emulator), or a Hugging
// Face folder. Exit code 2 for another name; the code of model/config.h for a folder without a config that fits.
Shape find_shape(const std::string& name_or_folder);
inline constexpr const char* kPublished[] = {"qwen2.5-0.5b", "llama-3.2-1b"};

// Numbers of all weights.
int64_t parameters(const ModelConfig& config);

// A pass that only decodes (rollout/decode_pass.cpp), without the copy and the small kernel that bring its lists to the device.
// Models with sandwich norms are refused: exit code 1.
std::vector<Op> decode_step(const Shape& shape);
// Forward, GRPO's loss and backward of one pass; every row is run forward (trainer.reuse_activations: false).
std::vector<Op> update_pass(const Shape& shape);
std::vector<Op> optimizer_step(const Shape& shape);
// Ops of other models and settings: QK norm, decoding behind shared prompts, sampling with logits, sums of ranks' gradients.
std::vector<Op> other_ops(const Shape& shape);

}  // namespace cohort::roofline
