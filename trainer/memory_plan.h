// How much memory a model takes, from its shapes alone: for `--dry-run`, `plan` and `inspect`, and for a run that chooses how
// large its KV cache and its tape may be.
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

// What is asked about: one rank of a train run. Where data decides, bounds: each prompt as long as allowed, unless it is known.
struct TrainingPlan {
  const ModelConfig& model;
  const Config& config;
  int ranks = 1;
  int64_t longest_prompt = 0;      // 0: data.max_prompt_length
  int64_t eval_problems = -1;      // -1: as many as the config lets there be
  std::optional<DType> loaded_as = {};  // nothing: what model.dtype and the files' dtype give
  int threads = 0;                 // of the rank; 0: run.threads, or as if all ranks shared this host's cores
  int64_t prompt() const { return longest_prompt > 0 ? longest_prompt : config.data.max_prompt_length; }
  DType dtype() const;  // of weights and activations in memory
};

// In a step: all that lives through it. The KV cache and the tape are cut to what their limits allow; without them: what they
// would take.
std::vector<MemoryPiece> training_memory(const TrainingPlan& plan, const std::optional<CacheSize>& cache = std::nullopt,
                                         const std::optional<TapeSize>& tape = std::nullopt);
// The same in a step of `cohort sft`, which samples nothing: each example as long as sft.max_length allows.
std::vector<MemoryPiece> sft_memory(const TrainingPlan& plan);
// And of `cohort rm`: two conversations a pair, as long as rm.max_length allows.
std::vector<MemoryPiece> rm_memory(const TrainingPlan& plan);
// Before the first step, when neither cache nor tape is there yet; nothing without trainer.warm_start.
std::vector<MemoryPiece> warm_start_memory(const TrainingPlan& plan);
// Beside what lives through a step: an evaluation's own KV cache (free_bytes: what it may take half of) and activations;
// nothing where there are no evaluation data.
std::vector<MemoryPiece> evaluation_memory(const TrainingPlan& plan, std::optional<int64_t> free_bytes);
// The same when the run ends: float32 masters of all weights, where the files hold more digits than memory.
std::vector<MemoryPiece> final_memory(const TrainingPlan& plan);

// Beside a step while a checkpoint is being written: copies of what an update would overwrite. They may take half of
// `free_bytes`, what a step leaves free (nothing: any amount); where that is too little, the update waits for the disk instead.
std::vector<MemoryPiece> checkpoint_memory(const TrainingPlan& plan, std::optional<int64_t> free_bytes);

// What cache and tape are chosen from. Weights and optimizer are there before them, gradients, activations and buffers come
// after: of those an upper bound is left free. Where that leaves too little for one sequence, the bound may be too high: one
// sequence may have half of what is free after loading.
struct MemoryRoom {
  std::optional<int64_t> after_loading, for_cache_and_tape;  // nothing: unknown, and no limit
};
// free_bytes: for this rank, with nothing of the run in memory; a run adds what it holds already (taken_memory).
MemoryRoom memory_room(const TrainingPlan& plan, std::optional<int64_t> free_bytes);
// The bytes of this process that are its own and in memory; 0 where /proc does not tell.
int64_t taken_memory();

CacheLimit planned_cache_limit(const TrainingPlan& plan, const MemoryRoom& room);
CacheSize planned_cache(const TrainingPlan& plan, const MemoryRoom& room);
TapeSize planned_tape(const TrainingPlan& plan, const MemoryRoom& room, const CacheSize& cache);

// What the config trains: the checkpoint's config.json, with the dtype that model.dtype: auto gives; or what model.init makes.
ModelConfig planned_model(const Config& config);

}  // namespace cohort
