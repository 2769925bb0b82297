#include "trainer/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "core/text.h"
#include "model/kv_cache.h"
#include "model/ops/sample.h"
#include "model/params.h"
#include "model/score_head.h"
#include "trainer/activation_sizes.h"
#include "trainer/adapter.h"
#include "trainer/checkpoint_layout.h"
#include "trainer/generator_setup.h"
#include "trainer/gradient_sum.h"
#include "trainer/loss.h"
#include "trainer/model_setup.h"
#include "trainer/optimizer.h"
#include "trainer/overlap.h"
#include "trainer/pack_runner.h"
#include "trainer/rollout_correction.h"
#include "trainer/reward_memory.h"
#include "trainer/whole_model.h"

namespace cohort {
namespace {

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

// As PackRunner allocates them.
int64_t in_whole_steps(int64_t rows) { return (rows + kRowStep - 1) / kRowStep * kRowStep; }

// Logical ranks of the rank that has most: their spans of the state; and the sums of the tree that all ranks exchange.
struct Shares {
  int64_t owned = 0, sums = 0;
  Shares(int64_t logical, int ranks) {
    for (int rank = 0; rank < ranks; ++rank) {
      const LogicalRange range = logical_range(static_cast<int>(logical), rank, ranks);
      owned = std::max<int64_t>(owned, range.last - range.first);
      sums += static_cast<int64_t>(covering_nodes(range).size());
    }
  }
};

// The largest pass of an optimizer step, and the gradient buffers that its sums wait in.
struct Passes {
  int64_t rows, buffers;
};

// `groups` prompts with what follows them, `group` rows each if all is as long as allowed; `longest`: one sequence.
Passes largest_pass(const TrainingPlan& plan, int64_t owned, int64_t groups, int64_t group, int64_t longest) {
  const int64_t logical = plan.config.trainer.logical_ranks;
  const int64_t share = (groups * group + logical - 1) / logical;
  const int64_t pack = plan.config.trainer.pack_tokens > 0
                           ? plan.config.trainer.pack_tokens
                           : std::max(std::min(std::max(share, group), kMaxAutoRows + plan.prompt()), longest);
  // A pass takes as large a subtree of logical ranks as has few enough rows (trainer/pack_runner.h), or a pack.
  int64_t leaves = 1;
  while (2 * leaves <= owned && 2 * leaves * share <= kPassRows) leaves *= 2;
  // Sums of several passes wait for each other, one a level of the tree, and for a leaf's packs.
  const int64_t passes = (owned + leaves - 1) / leaves;
  // Completions that are shorter than allowed may let more logical ranks into a pass, up to its bound.
  return {in_whole_steps(std::max(pack, std::min(share * owned, kPassRows))),
          static_cast<int64_t>(std::bit_width(static_cast<uint64_t>(passes))) + (pack < share ? 1 : 0)};
}

int64_t in_flight(const TrainingPlan& plan, int64_t sequences) {
  const int64_t share = sequences / plan.ranks + (sequences % plan.ranks > 0 ? 1 : 0);
  return std::min(plan.config.rollout.max_num_seqs, std::max<int64_t>(1, share));
}

CacheNeed cache_need(const TrainingPlan& plan, int64_t sequences) {
  return {.sequences = in_flight(plan, sequences),
          .positions = plan.prompt() + plan.config.rollout.max_completion_length,
          .page_tokens = kPageTokens,
          .page_bytes = kv_page_bytes(plan.model, plan.dtype(), kPageTokens)};
}

CacheNeed training_cache_need(const TrainingPlan& plan) {
  return cache_need(plan, plan.config.trainer.prompts_per_step * plan.config.rollout.num_generations);
}

std::string cache_name(const std::string& of, const CacheSize& kv) {
  return kv.holds_all() ? fmt::format("{} ({} x {} tokens)", of, kv.need.sequences, kv.need.positions)
                        : fmt::format("{} ({} tokens)", of, kv.pages * kv.need.page_tokens);
}

int64_t generator_activations(const TrainingPlan& plan, Sampling of) {
  const RolloutSection& r = plan.config.rollout;
  const SamplingParams sampling = sampling_params(r, of);
  return rollout_activations(Sizes(plan.model, plan.dtype()), std::max(r.max_num_batched_tokens, r.max_num_seqs), r.max_num_seqs,
                             filters_on(sampling, plan.model.vocab_size));
}

int64_t threads_of(const TrainingPlan& plan) {
  if (plan.threads > 0) return plan.threads;
  const int64_t cores = std::max<int64_t>(1, std::thread::hardware_concurrency() / static_cast<unsigned>(plan.ranks));
  return plan.config.run.threads > 0 ? plan.config.run.threads : cores;
}

// The largest request for workspace in an update (model/cpu): the head's, whose rows go through the vocabulary together, or
// that of a weight's gradient; a panel of weights for each thread; and what each of `parts` packs adds to the embedding.
int64_t workspace(const Sizes& s, int64_t rows, int64_t parts, int64_t threads, bool frozen_head) {
  constexpr int64_t kChunk = 384, kBlock = 8 * kChunk, kPanel = 48, kRowsInCache = 64;  // as head.cpp, gemm.h
  const int64_t vocabulary = std::min(s.V, kBlock), deepest = std::max({s.C, s.F, s.width});
  constexpr int64_t kOwnLogits = 8 << 20;  // where no gradient of the layers lends its memory
  const int64_t head = 12 * (s.V / kChunk + 1) * rows + s.act * (rows * vocabulary + vocabulary * s.C) + threads * 4 * kRowsInCache * kChunk;
  const int64_t of_head = frozen_head ? 4 * std::min(kOwnLogits, rows * s.V) : s.act * rows * (s.C + threads * kChunk);
  const int64_t layer = s.act * rows * (s.C + 2 * s.F);
  return std::max(head + of_head, layer) + threads * kPanel * deepest * s.act + (frozen_head ? 0 : 4 * s.C * parts * std::min(s.V, rows));
}

// A process before it has a model: program, libraries, tokenizer, data.
constexpr int64_t kProgram = int64_t{16} << 20;

}  // namespace

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

DType TrainingPlan::dtype() const {
  return loaded_as.value_or(dtype_in_memory(config.model.dtype, exact_dtype(model.dtype)));
}

namespace {

std::optional<LoraLayout> lora_layout(const TrainingPlan& plan) {
  if (!plan.config.model.lora) return {};
  const int64_t shards = plan.config.trainer.logical_ranks;
  return make_lora_layout(plan.model, make_param_table(plan.model, shards), lora_config(*plan.config.model.lora), shards);
}

// Of the optimizer's state and of checkpoints.
int64_t own_span(const TrainingPlan& plan) {
  const int64_t logical = plan.config.trainer.logical_ranks;
  return trained_table(plan.model, plan.config).size / logical * Shares(logical, plan.ranks).owned;
}

// There before cache and tape are chosen.
std::vector<MemoryPiece> loaded_memory(const TrainingPlan& plan) {
  const Sizes s(plan.model, plan.dtype());
  const ParamTable table = make_param_table(plan.model, plan.config.trainer.logical_ranks);
  std::vector<MemoryPiece> pieces;
  add_weights(pieces, table, s.act, "");
  if (const std::optional<LoraLayout> lora = lora_layout(plan)) {  // whose base is the reference, too
    const int64_t rank = plan.config.model.lora->rank;
    int64_t factors = 0;
    for (const auto& matrices : lora->layers)
      for (const LoraMatrix& matrix : matrices) factors += matrix.columns(rank) * (matrix.n + matrix.k);
    add(pieces, "base of adapted matrices", lora->merged * s.act);
    add(pieces, fmt::format("adapter (rank {})", rank), 4 * lora->table.size + factors * s.act);
  } else if (plan.config.algorithm.beta > 0) {
    add_weights(pieces, table, s.act, "reference ");
  }
  if (!plan.config.algorithm.teacher.empty()) add_weights(pieces, make_param_table(teacher_model_config(plan.config), 1), s.act, "teacher's ");
  if (plan.config.rollout.staleness > 0) add_weights(pieces, table, s.act, "sampler's ");
  // A bfloat16 weight keeps the lower half of its master beside it; a float32 weight is its own.
  add(pieces, "optimizer (own span)", own_span(plan) * (8 + (trained_dtype(plan.config, plan.dtype()) == DType::bf16 ? 2 : 0)));
  for (MemoryPiece& piece : reward_memory(plan.config)) pieces.push_back(std::move(piece));
  add(pieces, "program", kProgram);
  return pieces;
}

// What an update knows of its tokens before their gradient (trainer/update.cpp): a rank of its own, and of all where they compete.
int64_t known_of_tokens(const TrainingPlan& plan, int64_t owned) {
  const AlgorithmSection& a = plan.config.algorithm;
  const RolloutCorrection correction = make_rollout_correction(a);
  const bool quantile = a.top_entropy_quantile < 1, sequences = make_loss_config(a).sequence_level;
  const bool old = old_policy_takes_a_pass(a);
  if (!quantile && !sequences && !old) return 0;
  const int64_t completions = a.select_completions == "all" ? plan.config.rollout.num_generations : a.num_selected;
  const int64_t prompts = plan.config.trainer.prompts_per_step / a.steps_per_generation;
  const int64_t all = prompts * completions * plan.config.rollout.max_completion_length, logical = plan.config.trainer.logical_ranks;
  const int64_t own = (all + logical - 1) / logical * owned;
  // Of all of a step's updates: log-probs of the policy that they begin with, and what each token counts.
  const int64_t of_old = old ? own * a.steps_per_generation * (1 + (correction.of_sequences() ? 1 : 0)) : 0;
  constexpr int64_t kNumber = sizeof(float);
  // Log-probs; with a quantile two copies of the entropies and what is sent of them, and of all ranks what arrives, in order and sorted.
  return of_old * kNumber + own * (kNumber + (sequences ? static_cast<int64_t>(sizeof(SequenceTerm)) : 0) + (quantile ? 3 * kNumber : 0)) +
         (quantile ? 3 * all * kNumber : 0);
}

// What optimizer steps take beside it.
void add_update(std::vector<MemoryPiece>& pieces, const TrainingPlan& plan, const Passes& passes, Kept kept) {
  const Sizes s(plan.model, plan.dtype());
  const int64_t logical = plan.config.trainer.logical_ranks;
  const std::optional<LoraLayout> lora = lora_layout(plan);
  const ParamTable table = trained_table(plan.model, plan.config);
  const int64_t size = table.size;
  const Shares shares(logical, plan.ranks);
  const int64_t span = own_span(plan);
  add(pieces, fmt::format("gradients ({} float32 buffers)", passes.buffers), passes.buffers * size * 4);
  if (plan.ranks > 1) {  // what is received of gradients, and sent and received of weights, at once: between GPUs in place
    const int64_t shared = plan.config.run.device == "cuda" ? 0 : std::min(size, kSharedWeights);
    add(pieces, "exchange with other ranks",
        4 * (shares.sums - 1) * std::min(span, kExchangedGradients) + static_cast<int64_t>(dtype_size(trained_dtype(plan.config, plan.dtype()))) * shared);
  }
  // With checkpointing the layers' inputs lie in the gradient, where they fit.
  if (kept == Kept::inputs_and_one_layer && !lora && InputsInGradient(table, passes.rows, s.C).each > 0) kept = Kept::one_layer;
  const int64_t scratch = lora ? lora->most_columns * (2 * s.act * passes.rows + 4 * lora->largest_n) : 0;  // as LoraScratch
  add(pieces, fmt::format("training activations ({} rows)", passes.rows), training_activations(s, passes.rows, kept) + scratch);
  const int64_t threads = threads_of(plan);
  add(pieces, fmt::format("workspace ({} threads)", threads), workspace(s, passes.rows, shares.owned, threads, lora.has_value()));
}

}  // namespace

std::vector<MemoryPiece> training_memory(const TrainingPlan& plan, const std::optional<CacheSize>& cache,
                                         const std::optional<TapeSize>& tape) {
  const Config& config = plan.config;
  const CacheSize kv = cache ? *cache : planned_cache(plan, {});
  const TapeSize kept = tape ? *tape : planned_tape(plan, {}, kv);
  // A rank may have to train what another one sampled; a second update of a step, a group of an earlier draw and a KL term in the
  // reward run everything forward; and with a cache that does not hold all, sequences are computed again and take further slots.
  const AlgorithmSection& a = config.algorithm;
  const bool all_reused = kept.slots > 0 && kept.holds_all() && kv.holds_all() && plan.ranks == 1 && a.num_iterations == 1 &&
                          a.steps_per_generation == 1 && !a.filter_groups && !a.use_kl_in_reward;
  const Kept layers = all_reused                            ? Kept::one_layer
                      : config.trainer.gradient_checkpointing ? Kept::inputs_and_one_layer
                      : kept.slots > 0                      ? Kept::all_layers_and_one
                                                            : Kept::all_layers;
  const int64_t completion = config.rollout.max_completion_length;
  const int64_t group = plan.prompt() + config.rollout.num_generations * (completion - 1);  // the last token has no row
  std::vector<MemoryPiece> pieces = loaded_memory(plan);
  add(pieces, cache_name("KV cache", kv), kv.bytes());
  add(pieces, "rollout activations", generator_activations(plan, Sampling::training));
  if (kept.slots > 0) add(pieces, fmt::format("activations of sampled rows ({})", kept.slots), kept.bytes());
  const int64_t owned = Shares(config.trainer.logical_ranks, plan.ranks).owned;
  if (const int64_t known = known_of_tokens(plan, owned); known > 0) add(pieces, "log-probs and entropies of tokens", known);
  add_update(pieces, plan, largest_pass(plan, owned, config.trainer.prompts_per_step, group, plan.prompt() + completion), layers);
  if (!a.teacher.empty()) {
    const Passes passes = largest_pass(plan, owned, config.trainer.prompts_per_step, group, plan.prompt() + completion);
    add(pieces, fmt::format("teacher's activations ({} rows)", passes.rows),
        training_activations(Sizes(teacher_model_config(config), plan.dtype()), passes.rows, Kept::inputs_and_one_layer));
  }
  if (config.rollout.staleness > 0) {  // sampling has threads, and so a workspace, of its own
    const int64_t threads = sampling_threads(static_cast<int>(threads_of(plan)));
    add(pieces, fmt::format("sampler's workspace ({} threads)", threads), workspace(Sizes(plan.model, plan.dtype()), config.rollout.max_num_seqs, 0, threads, true));
  }
  return pieces;
}

std::vector<MemoryPiece> sft_memory(const TrainingPlan& plan) {
  TrainingPlan longest = plan;
  longest.longest_prompt = plan.config.sft->max_length;
  std::vector<MemoryPiece> pieces = loaded_memory(longest);
  const int64_t owned = Shares(plan.config.trainer.logical_ranks, plan.ranks).owned, rows = longest.longest_prompt;
  add_update(pieces, longest, largest_pass(longest, owned, plan.config.sft->examples_per_step, rows, rows),
             plan.config.trainer.gradient_checkpointing ? Kept::inputs_and_one_layer : Kept::all_layers);
  return pieces;
}

std::vector<MemoryPiece> rm_memory(const TrainingPlan& plan) {
  TrainingPlan longest = plan;
  longest.longest_prompt = plan.config.rm->max_length;
  std::vector<MemoryPiece> pieces = loaded_memory(longest);
  const int64_t owned = Shares(plan.config.trainer.logical_ranks, plan.ranks).owned, pair = 2 * longest.longest_prompt;
  add_update(pieces, longest, largest_pass(longest, owned, plan.config.rm->pairs_per_step, pair, pair),
             plan.config.trainer.gradient_checkpointing ? Kept::inputs_and_one_layer : Kept::all_layers);
  return pieces;
}

std::vector<MemoryPiece> warm_start_memory(const TrainingPlan& plan) {
  if (!plan.config.trainer.warm_start || plan.config.trainer.warm_start->steps == 0) return {};
  Config config = plan.config;
  config.rollout.staleness = 0;  // sampling begins after it
  config.algorithm.beta = 0;  // the reference is the model that comes out of it
  config.model.lora.reset();  // so is the base of an adapter: all weights are trained
  const TrainingPlan warm{plan.model, config, plan.ranks, plan.longest_prompt, plan.eval_problems, plan.dtype(), plan.threads};
  std::vector<MemoryPiece> pieces = loaded_memory(warm);
  const int64_t solution = config.rollout.max_completion_length;  // a guess: solutions are what completions should become
  const Passes passes = largest_pass(plan, Shares(config.trainer.logical_ranks, plan.ranks).owned, config.trainer.warm_start->problems_per_step,
                                     plan.prompt() + solution - 1, plan.prompt() + solution);
  add_update(pieces, warm, passes, config.trainer.gradient_checkpointing ? Kept::inputs_and_one_layer : Kept::all_layers);
  for (const MemoryPiece& piece : final_memory(warm)) pieces.push_back(piece);
  return pieces;
}

std::vector<MemoryPiece> evaluation_memory(const TrainingPlan& plan, std::optional<int64_t> free_bytes) {
  const DataSection& data = plan.config.data;
  if (data.eval.empty() && !data.task) return {};
  int64_t problems = plan.eval_problems >= 0 ? plan.eval_problems : INT64_MAX;
  if (plan.eval_problems < 0 && data.task && data.task->eval_size > 0) problems = data.task->eval_size;
  if (data.max_eval_samples > 0) problems = std::min(problems, data.max_eval_samples);
  if (problems == 0) return {};
  const int64_t samples = plan.config.rollout.num_generations_eval;
  const int64_t sequences = problems > INT64_MAX / samples ? INT64_MAX : problems * samples;
  CacheSize kv = choose_cache_size(cache_need(plan, sequences), {.gb = plan.config.rollout.kv_cache_gb, .free_bytes = free_bytes});
  kv.pages = std::max(kv.pages, kv.whole_pages());  // with less it is refused
  std::vector<MemoryPiece> pieces;
  add(pieces, cache_name("evaluation's KV cache", kv), kv.bytes());
  add(pieces, "evaluation's activations", generator_activations(plan, Sampling::evaluation));
  if (plan.config.trainer.metric_for_best_model.empty()) return pieces;
  for (const MemoryPiece& piece : final_memory(plan)) pieces.push_back(piece);  // the best model is written, when it is one
  return pieces;
}

std::vector<MemoryPiece> final_memory(const TrainingPlan& plan) {
  const std::optional<LoraSection>& lora = plan.config.model.lora;
  const bool rounded = (!lora || lora->save_merged) && !plan.config.model.init && plan.dtype() == DType::bf16 && exact_dtype(plan.model.dtype) == DType::f32;
  std::vector<MemoryPiece> pieces;
  if (rounded) add(pieces, "all master weights, to be saved", make_param_table(plan.model, plan.config.trainer.logical_ranks).size * 4);
  return pieces;
}

std::vector<MemoryPiece> checkpoint_memory(const TrainingPlan& plan, std::optional<int64_t> free_bytes) {
  if (plan.config.trainer.save_steps == 0) return {};
  const auto state = static_cast<int64_t>(kShardParts.size() * sizeof(float)) * own_span(plan);
  std::vector<MemoryPiece> pieces;
  if (!free_bytes || state <= *free_bytes / 2) add(pieces, "copies for a checkpoint", state);
  return pieces;
}

int64_t taken_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return std::strtoll(line.c_str() + 8, nullptr, 10) * 1024;
  return 0;
}

MemoryRoom memory_room(const TrainingPlan& plan, std::optional<int64_t> free_bytes) {
  if (!free_bytes) return {};
  const CacheSize no_cache{.need = training_cache_need(plan), .limit = {}, .pages = 0};
  const TapeSize no_tape{.needed = 0, .slots = 0, .slot_bytes = 0};
  const auto rest = [&](const std::vector<MemoryPiece>& taken) {
    return std::max<int64_t>(0, *free_bytes - static_cast<int64_t>(total_bytes(taken)));
  };
  return {rest(loaded_memory(plan)), rest(training_memory(plan, no_cache, no_tape))};
}

CacheLimit planned_cache_limit(const TrainingPlan& plan, const MemoryRoom& room) {
  CacheLimit limit{.gb = plan.config.rollout.kv_cache_gb, .free_bytes = room.after_loading};
  if (limit.gb > 0 || !room.after_loading) return limit;
  const CacheSize one{.need = training_cache_need(plan), .limit = {}, .pages = 0};
  const auto enough = static_cast<int64_t>(std::ceil(static_cast<double>(one.whole_bytes()) / kFreeMemoryShare));
  limit.free_bytes = std::max(*room.for_cache_and_tape, std::min(*room.after_loading, enough));
  return limit;
}

CacheSize planned_cache(const TrainingPlan& plan, const MemoryRoom& room) {
  return choose_cache_size(training_cache_need(plan), planned_cache_limit(plan, room));
}

TapeSize planned_tape(const TrainingPlan& plan, const MemoryRoom& room, const CacheSize& cache) {
  std::optional<int64_t> left = room.for_cache_and_tape;
  if (left) *left = std::max<int64_t>(0, *left - cache.bytes());
  return choose_tape_size(plan.config, plan.model, plan.dtype(), plan.ranks, plan.prompt(), left);
}

ModelConfig planned_model(const Config& config) {
  if (!config.model.init) {
    check_model_folder(config.model.path);
    ModelConfig model = load_model_config(config.model.path);
    if (config.rm) {
      model = as_reward_model(std::move(model));
    } else {
      require_language_model(model);
    }
    model.dtype = stored_as(exact_dtype(config.model.path));
    return model;
  }
  return initial_model_config(*config.model.init, config.model.dtype, config.rm.has_value());
}

}  // namespace cohort
