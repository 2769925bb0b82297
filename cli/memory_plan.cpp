#include "cli/memory_plan.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "core/text.h"
#include "model/kv_cache.h"
#include "model/ops/sample.h"
#include "model/params.h"
#include "trainer/gradient_sum.h"
#include "trainer/model_setup.h"
#include "trainer/optimizer.h"
#include "trainer/pack_runner.h"

namespace cohort {
namespace {

struct Sizes {
  int64_t C, F, V, L, width, kv_width, heads, kv_heads, act;  // act: bytes of an activation
  bool qk_norm, sandwich_norms;
  Sizes(const ModelConfig& m, DType dtype)
      : C(m.hidden_size),
        F(m.intermediate_size),
        V(m.vocab_size),
        L(m.num_layers),
        width(m.num_heads * m.head_size),
        kv_width(m.num_kv_heads * m.head_size),
        heads(m.num_heads),
        kv_heads(m.num_kv_heads),
        act(static_cast<int64_t>(dtype_size(dtype))),
        qk_norm(m.qk_norm),
        sandwich_norms(m.sandwich_norms) {}
};

void add(std::vector<MemoryPiece>& pieces, std::string name, int64_t bytes) {
  pieces.push_back({std::move(name), static_cast<uint64_t>(bytes)});
}

// Matrices as the products read them, and what stands beside them: vectors, and an embedding that is not the head.
void add_weights(std::vector<MemoryPiece>& pieces, const ParamTable& table, int64_t act, const std::string& of) {
  int64_t packed = 0, flat = 0;
  for (const ParamEntry& entry : table.entries) {
    const bool embedding = entry.offset == table.embedding && table.head != table.embedding;
    (entry.kind == ParamKind::matrix && !embedding ? packed : flat) += entry.size();
  }
  add(pieces, of + "packed weights", packed * act);
  add(pieces, of + "vectors and embedding", flat * act);
}

// As ForwardState, and the hidden states that are drawn from, with their logits where filters must see all of a row.
int64_t rollout_activations(const Sizes& s, int64_t rows, int64_t sequences, bool filters) {
  const int64_t qkv = s.width + 2 * s.kv_width;
  const int64_t outputs = s.sandwich_norms ? 2 * s.C : 0;
  return rows * (4 * (s.C + qkv + outputs) + s.act * (2 * s.C + qkv + s.width + 3 * s.F)) +
         sequences * (s.act * s.C + (filters ? 4 * s.V : 0));
}

// As PackRunner allocates them.
int64_t in_whole_steps(int64_t rows) { return (rows + kRowStep - 1) / kRowStep * kRowStep; }

// Which layers' activations a TrainState keeps for the rows of a pass.
enum class Kept { all_layers, inputs_and_one_layer, all_layers_and_one, one_layer };

// As TrainState: what each layer keeps, and what the backward pass works in.
int64_t training_activations(const Sizes& s, int64_t rows, Kept kept) {
  const int64_t qkv = s.width + 2 * s.kv_width;
  int64_t layer = 4 * (2 * s.C + s.heads + 2) + s.act * (2 * s.C + qkv + s.width + 3 * s.F);
  int64_t once =
      4 * (s.C + 1 + qkv + 2 * s.C + qkv + s.C) + s.act * (2 * s.C + s.C + s.width + qkv + 3 * s.F);
  if (s.qk_norm) layer += 4 * (s.width + s.kv_width + s.heads + s.kv_heads), once += 4 * qkv;
  if (s.sandwich_norms) layer += 4 * (2 * s.C + 2), once += 4 * s.C;
  const int64_t input = 4 * s.C;
  switch (kept) {
    case Kept::all_layers: return rows * (once + s.L * layer);
    case Kept::inputs_and_one_layer: return rows * (once + s.L * input + layer - input);
    case Kept::all_layers_and_one: return rows * (once + (s.L + 1) * layer);
    case Kept::one_layer: return rows * (once + layer);
  }
  return 0;
}

// Weights and the like are there before cache and tape are chosen from what is free.
std::optional<int64_t> free_after_loading(const ModelConfig& model, const Config& config, int ranks, const CacheNeed& need,
                                          std::optional<int64_t> free_bytes) {
  if (!free_bytes) return free_bytes;
  const CacheSize no_cache{.need = need, .limit = {}, .pages = 0};
  const TapeSize no_tape{.needed = 0, .slots = 0, .slot_bytes = 0};
  const uint64_t others = total_bytes(training_memory(model, config, ranks, no_cache, no_tape));
  return std::max<int64_t>(0, *free_bytes - static_cast<int64_t>(others));
}

CacheNeed cache_need(const ModelConfig& model, const Config& config, int ranks) {
  const DType dtype = dtype_in_memory(config.model.dtype, exact_dtype(model.dtype));
  const RolloutSection& r = config.rollout;
  const int64_t sequences = config.trainer.prompts_per_step * r.num_generations;
  return {.sequences = std::min(r.max_num_seqs, std::max<int64_t>(1, (sequences + ranks - 1) / ranks)),
          .positions = config.data.max_prompt_length + r.max_completion_length,
          .page_tokens = kPageTokens,
          .page_bytes = kv_page_bytes(model, dtype, kPageTokens)};
}

// The largest request for workspace in an update (model/cpu): the head's, whose rows go through the vocabulary together, or
// that of a weight's gradient; a panel of weights for each thread; and what each of `parts` packs adds to the embedding.
int64_t workspace(const Sizes& s, int64_t rows, int64_t parts, int64_t threads) {
  constexpr int64_t kChunk = 384, kBlock = 8 * kChunk, kPanel = 48, kRowsInCache = 64;  // as head.cpp, gemm.h
  const int64_t vocabulary = std::min(s.V, kBlock), deepest = std::max({s.C, s.F, s.width});
  const int64_t head = 12 * (s.V / kChunk + 1) * rows + s.act * (rows * (vocabulary + s.C) + vocabulary * s.C) +
                       threads * (4 * kRowsInCache * kChunk + s.act * kChunk * rows);
  const int64_t layer = s.act * rows * (s.C + 2 * s.F);
  return std::max(head, layer) + threads * kPanel * deepest * s.act + 4 * s.C * parts * std::min(s.V, rows);
}

// A process before it has a model: program, libraries, tokenizer, data.
constexpr int64_t kProgram = int64_t{16} << 20;

}  // namespace

uint64_t total_bytes(const std::vector<MemoryPiece>& pieces) {
  uint64_t sum = 0;
  for (const MemoryPiece& piece : pieces) sum += piece.bytes;
  return sum;
}

std::string memory_table(const std::vector<MemoryPiece>& pieces) {
  std::string text;
  for (const MemoryPiece& piece : pieces) {
    text += fmt::format("  {:<34}{:>10}\n", piece.name, human_bytes(piece.bytes));
  }
  return text + fmt::format("  {:<34}{:>10}\n", "together", human_bytes(total_bytes(pieces)));
}

std::vector<MemoryPiece> generation_memory(const ModelConfig& model, DType dtype, int64_t sequences,
                                           int64_t positions, int64_t batched_tokens) {
  const Sizes s(model, dtype);
  std::vector<MemoryPiece> pieces;
  const ParamTable table = make_param_table(model, 1);
  add_weights(pieces, table, s.act, "");
  int64_t longest = 0;
  for (const LayerParams& layer : table.layers) longest = std::max(longest, layer.span.end - layer.span.begin);
  add(pieces, "a layer, while it is read", longest * s.act);
  add(pieces, fmt::format("KV cache ({} x {} tokens)", sequences, positions),
      choose_cache_size({sequences, positions, kPageTokens, kv_page_bytes(model, dtype, kPageTokens)}, {}).bytes());
  add(pieces, "activations",
      rollout_activations(s, std::max(batched_tokens, sequences), sequences, false));
  return pieces;
}

std::vector<MemoryPiece> training_memory(const ModelConfig& model, const Config& config, int ranks,
                                         const std::optional<CacheSize>& cache, const std::optional<TapeSize>& tape) {
  const DType dtype = dtype_in_memory(config.model.dtype, exact_dtype(model.dtype));
  const Sizes s(model, dtype);
  const RolloutSection& r = config.rollout;
  const int64_t logical = config.trainer.logical_ranks;
  const ParamTable table = make_param_table(model, logical);

  // The rank with most logical ranks: their spans of the state, and the tree's buffers while they are added up.
  int64_t owned = 0, sums = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    const LogicalRange range = logical_range(static_cast<int>(logical), rank, ranks);
    owned = std::max<int64_t>(owned, range.last - range.first);
    sums += static_cast<int64_t>(covering_nodes(range).size());
  }
  const int64_t span = table.size / logical * owned;

  const int64_t prompt = config.data.max_prompt_length, completion = r.max_completion_length;
  const int64_t group = prompt + r.num_generations * (completion - 1);  // the last token has no row
  const int64_t share = (config.trainer.prompts_per_step * group + logical - 1) / logical;
  const int64_t pack =
      config.trainer.pack_tokens > 0
          ? config.trainer.pack_tokens
          : std::max(std::min(std::max(share, group), kMaxAutoRows + prompt), prompt + completion);
  // A pass takes as large a subtree of logical ranks as has few enough rows (trainer/pack_runner.h), or a pack.
  int64_t leaves = 1;
  while (2 * leaves <= owned && 2 * leaves * share <= kPassRows) leaves *= 2;
  // Completions that are shorter than allowed may let more logical ranks into a pass, up to its bound.
  const int64_t rows = in_whole_steps(std::max(pack, std::min(share * owned, kPassRows)));
  // It writes one buffer; sums of several wait for each other, one a level of the tree, and for a leaf's packs.
  const int64_t passes = (owned + leaves - 1) / leaves;
  const int64_t buffers = std::bit_width(static_cast<uint64_t>(passes)) + (pack < share ? 1 : 0);

  std::vector<MemoryPiece> pieces;
  add_weights(pieces, table, s.act, "");
  if (config.algorithm.beta > 0) add_weights(pieces, table, s.act, "reference ");
  add(pieces, fmt::format("gradients ({} float32 buffers)", buffers), buffers * table.size * 4);
  if (ranks > 1) {  // the sum of the own span, and what is received and sent of gradients and of weights at once
    add(pieces, "exchange with other ranks",
        4 * (span + sums * std::min(span, kExchangedGradients)) + s.act * std::min(table.size, kSharedWeights));
  }
  // A bfloat16 weight keeps the lower half of its master beside it; a float32 weight is its own.
  add(pieces, "optimizer (own span)", span * (8 + (dtype == DType::bf16 ? 2 : 0)));
  const CacheSize kv = cache ? *cache : planned_cache(model, config, ranks, std::nullopt);
  add(pieces,
      kv.holds_all() ? fmt::format("KV cache ({} x {} tokens)", kv.need.sequences, kv.need.positions)
                     : fmt::format("KV cache ({} tokens)", kv.pages * kv.need.page_tokens),
      kv.bytes());
  const SamplingParams sampling{r.temperature, static_cast<int32_t>(r.top_k), r.top_p, r.min_p};
  add(pieces, "rollout activations",
      rollout_activations(s, std::max(r.max_num_batched_tokens, r.max_num_seqs), r.max_num_seqs,
                          filters_on(sampling, model.vocab_size)));
  const TapeSize kept = tape ? *tape : planned_tape(model, config, ranks, std::nullopt);
  if (kept.slots > 0) add(pieces, fmt::format("activations of sampled rows ({})", kept.slots), kept.bytes());
  // A rank may have to train what another one sampled, a second iteration runs everything forward, and with a cache that does
  // not hold all, sequences are computed again and take further slots.
  const bool all_reused = kept.slots > 0 && kept.holds_all() && kv.holds_all() && ranks == 1 && config.algorithm.num_iterations == 1;
  add(pieces, fmt::format("training activations ({} rows)", rows),
      training_activations(s, rows, config.trainer.gradient_checkpointing ? Kept::inputs_and_one_layer
                                    : all_reused                         ? Kept::one_layer
                                    : kept.slots > 0                     ? Kept::all_layers_and_one
                                                                         : Kept::all_layers));
  const int64_t cores = std::max<int64_t>(1, std::thread::hardware_concurrency() / static_cast<unsigned>(ranks));
  const int64_t threads = config.run.threads > 0 ? config.run.threads : cores;
  add(pieces, fmt::format("workspace ({} threads)", threads), workspace(s, rows, owned, threads));
  add(pieces, "program", kProgram);
  return pieces;
}

CacheSize planned_cache(const ModelConfig& model, const Config& config, int ranks,
                        std::optional<int64_t> free_bytes) {
  const CacheNeed need = cache_need(model, config, ranks);
  return choose_cache_size(need, {.gb = config.rollout.kv_cache_gb,
                                  .free_bytes = free_after_loading(model, config, ranks, need, free_bytes)});
}

TapeSize planned_tape(const ModelConfig& model, const Config& config, int ranks, std::optional<int64_t> free_bytes) {
  std::optional<int64_t> left = free_after_loading(model, config, ranks, cache_need(model, config, ranks), free_bytes);
  if (left) *left = std::max<int64_t>(0, *left - planned_cache(model, config, ranks, free_bytes).bytes());
  return choose_tape_size(config, model, dtype_in_memory(config.model.dtype, exact_dtype(model.dtype)), ranks,
                          config.data.max_prompt_length, left);
}

ModelConfig planned_model(const Config& config) {
  if (!config.model.init) {
    ModelConfig model = load_model_config(config.model.path);
    require_language_model(model);
    check_model_folder(config.model.path);
    model.dtype = stored_as(exact_dtype(config.model.path));
    return model;
  }
  std::string folder = (std::filesystem::temp_directory_path() / "cohort-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) {
    fail(ExitCode::kInput, "a temporary folder {} cannot be made: {}", folder,
         std::strerror(errno));
  }
  write_initial_model(*config.model.init, config.model.dtype, folder);
  const ModelConfig model = load_model_config(folder);
  std::filesystem::remove_all(folder);
  return model;
}

}  // namespace cohort
