#include "trainer/reward_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "model/params.h"
#include "rollout/generator.h"
#include "reward/model_options.h"
#include "trainer/activation_sizes.h"
#include "trainer/model_setup.h"
#include "trainer/reward_model.h"
#include "trainer/whole_model.h"

namespace cohort {

namespace {

using Seen = std::set<std::pair<std::filesystem::path, std::string>>;

// Weights once a folder; each judge has a generator of its own.
void add_judge(std::vector<MemoryPiece>& pieces, const RewardSpec& spec, Seen& seen) {
  const JudgeOptions options = read_judge(spec);
  const std::filesystem::path folder = whole_model_folder(options.path);
  const ModelConfig model = load_model_config(folder);
  const DType dtype = dtype_in_memory(options.dtype, exact_dtype(folder));
  const int64_t longest = std::min(model.max_positions, options.max_prompt_length + options.max_completion_length);
  const bool is_new = seen.emplace(std::filesystem::weakly_canonical(options.path), options.dtype).second;
  const std::vector<MemoryPiece> of_generation = generation_memory(model, dtype, options.max_num_seqs, longest, GeneratorConfig().max_num_batched_tokens);
  uint64_t weights = 0, sampling = 0;
  for (const MemoryPiece& piece : of_generation)
    if (piece.name.starts_with("KV cache") || piece.name == "activations") {
      sampling += piece.bytes;
    } else {
      weights += piece.bytes;
    }
  if (is_new) pieces.push_back({fmt::format("reward '{}': weights", spec.name), weights});
  pieces.push_back({fmt::format("reward '{}': KV cache, activations", spec.name), sampling});
}

}  // namespace

std::vector<MemoryPiece> reward_memory(const Config& config) {
  std::vector<MemoryPiece> pieces;
  Seen seen;
  for (const RewardSpec& spec : config.reward) {
    if (!is_model_reward(spec)) continue;
    if (spec.reward() == "judge") {
      add_judge(pieces, spec, seen);
      continue;
    }
    const ModelRewardOptions options = read_model_reward(spec);
    if (!seen.emplace(std::filesystem::weakly_canonical(options.path), options.dtype).second) continue;
    const ModelConfig model = load_reward_model_config(options.path);
    const DType dtype = dtype_in_memory(options.dtype, exact_dtype(options.path));
    const int64_t longest = config.data.max_prompt_length + config.rollout.max_completion_length;  // in the tokens of another model: a guess
    const int64_t rows = std::max(kScoredRows, std::min(longest, options.max_length > 0 ? options.max_length : model.max_positions));
    pieces.push_back({fmt::format("reward '{}': weights", spec.name), static_cast<uint64_t>(make_param_table(model, 1).size) * dtype_size(dtype)});
    pieces.push_back({fmt::format("reward '{}': activations", spec.name),
                      static_cast<uint64_t>(training_activations(Sizes(model, dtype), rows, Kept::one_layer))});
  }
  return pieces;
}

}  // namespace cohort
