// How much memory a model takes, from its shapes alone: for `--dry-run` and `inspect`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/tensor.h"
#include "rollout/cache_size.h"
#include "trainer/config.h"
#include "trainer/tape_size.h"

namespace cohort {

struct MemoryPiece {
  std::string name;
  uint64_t bytes;
};
uint64_t total_bytes(const std::vector<MemoryPiece>& pieces);
std::string memory_table(const std::vector<MemoryPiece>& pieces);  // a line a piece, then the sum

// Generating with up to `sequences` sequences of `positions` tokens, `batched_tokens` rows in one
// forward pass.
std::vector<MemoryPiece> generation_memory(const ModelConfig& model, DType dtype, int64_t sequences,
                                           int64_t positions, int64_t batched_tokens);

// One rank of a train run on `ranks` ranks: upper bounds where data decides, e.g. each prompt as
// long as allowed. The KV cache and the tape are cut to what their limits allow; without them: what they would take.
std::vector<MemoryPiece> training_memory(const ModelConfig& model, const Config& config, int ranks,
                                         const std::optional<CacheSize>& cache = std::nullopt,
                                         const std::optional<TapeSize>& tape = std::nullopt);
// The KV cache of such a rank. free_bytes: for this rank before it starts; nothing: any amount. The
// run itself chooses when it has loaded, from what is free then.
CacheSize planned_cache(const ModelConfig& model, const Config& config, int ranks,
                        std::optional<int64_t> free_bytes);
// The same of the tape.
TapeSize planned_tape(const ModelConfig& model, const Config& config, int ranks, std::optional<int64_t> free_bytes);

// What the config trains: the checkpoint's config.json, with the dtype that model.dtype: auto gives; or what model.init makes.
ModelConfig planned_model(const Config& config);

}  // namespace cohort
