// The plan agrees with what is allocated.
#include "trainer/memory_plan.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>

#include "comm/comm.h"
#include "model/activation_tape.h"
#include "model/transformer.h"
#include "tests/cli/planned_run.h"
#include "tests/cli/run_cohort.h"
#include "trainer/loss.h"
#include "trainer/optimizer.h"

namespace cohort {
namespace {

ModelConfig small_model() {
  ModelConfig model;
  model.vocab_size = 300;
  model.hidden_size = 64;
  model.intermediate_size = 192;
  model.num_layers = 3;
  model.num_heads = 4;
  model.num_kv_heads = 2;
  model.head_size = 16;
  model.max_positions = 128;
  model.tie_word_embeddings = true;
  return model;
}

uint64_t piece(const std::vector<MemoryPiece>& pieces, const std::string& name) {
  for (const MemoryPiece& p : pieces) {
    if (p.name.rfind(name, 0) == 0) return p.bytes;
  }
  ADD_FAILURE() << "no piece " << name;
  return 0;
}

// Arenas round each tensor up to 64 bytes.
void expect_near(uint64_t planned, uint64_t allocated) {
  EXPECT_LE(planned, allocated);
  EXPECT_LE(allocated, planned + planned / 50);
}

TEST(MemoryPlan, AgreesWithWhatIsAllocated) {
  for (const auto& [dtype, norms] : {std::pair(DType::f32, false), {DType::bf16, false}, {DType::f32, true}, {DType::bf16, true}}) {
    ModelConfig model = small_model();
    model.qk_norm = model.sandwich_norms = norms;
    Config config;
    const auto policy = make_policy(model, dtype, config.trainer.logical_ranks);
    config.model.dtype = dtype_name(dtype);
    config.data.max_prompt_length = 40;
    config.rollout.max_completion_length = 24;
    config.rollout.max_num_seqs = 16;
    config.rollout.max_num_batched_tokens = 256;
    config.trainer.pack_tokens = 512;
    config.trainer.prompts_per_step = 2;  // less than a pack
    const auto plan = training_memory({model, config});
    const auto all = static_cast<uint64_t>(policy->table.count) * dtype_size(dtype);
    EXPECT_EQ(piece(plan, "packed weights") + piece(plan, "vectors"), all);
    const auto comm = make_self_comm();
    expect_near(piece(plan, "optimizer"), Optimizer(*policy, config.optim, static_cast<int>(config.trainer.logical_ranks), *comm).bytes());
    expect_near(piece(plan, "KV cache"), KvCache(*policy, 16 * 64 / kPageTokens).bytes());
    // Everything is reused: one layer's activations serve all. 16 completions of 24 tokens behind 2 prompts of 40.
    expect_near(piece(plan, "training activations"), TrainState(*policy, {512, 512, 0, true}).bytes());
    EXPECT_EQ(piece(plan, "activations of sampled rows (464)"),
              static_cast<uint64_t>(464 * ActivationTape::slot_bytes(model, dtype)));
    expect_near(piece(training_memory({model, config, 2}), "training activations"),
                TrainState(*policy, {512, 512, 512, true}).bytes());
    config.trainer.reuse_activations = false;
    expect_near(piece(training_memory({model, config}), "training activations"), TrainState(*policy, 512, 512).bytes());
    EXPECT_EQ(piece(plan, "gradients (1 "), static_cast<uint64_t>(policy->table.size) * 4);
    config.trainer.gradient_checkpointing = true;
    expect_near(piece(training_memory({model, config}), "training activations"), TrainState(*policy, 512, 512, true).bytes());
    config.trainer.reuse_activations = true;
    expect_near(piece(training_memory({model, config}), "training activations"), TrainState(*policy, {512, 512, 0, true}, true).bytes());
    EXPECT_EQ(piece(training_memory({model, config}), "activations of sampled rows (464)"),
              static_cast<uint64_t>(464 * ActivationTape::slot_bytes(model, dtype, TapeRows::inputs)));
    // Sampling beside training has a copy of the weights, and what it computes is of no use to an update.
    config.trainer.gradient_checkpointing = false, config.rollout.staleness = 1;
    const auto beside = training_memory({model, config});
    EXPECT_EQ(piece(beside, "sampler's packed weights") + piece(beside, "sampler's vectors"), all);
    EXPECT_GT(piece(beside, "sampler's workspace"), 0u);
    EXPECT_TRUE(std::ranges::none_of(beside, [](const MemoryPiece& p) { return p.name.starts_with("activations of sampled rows"); }));
    expect_near(piece(beside, "training activations"), TrainState(*policy, 512, 512).bytes());
    const uint64_t sampling = 16 * 64 * dtype_size(dtype);  // without filters, logits are nowhere as a whole
    expect_near(piece(plan, "rollout activations") - sampling, ForwardState(*policy, 256).bytes());
  }
}

TEST(MemoryPlan, CountsWhatIsKnownOfTokensBeforeTheirGradient) {
  Config config;
  config.trainer.prompts_per_step = 16, config.rollout.num_generations = 4, config.rollout.max_completion_length = 100;
  const ModelConfig model = small_model();
  const auto known = [&](const AlgorithmSection& algorithm, int ranks) -> uint64_t {
    config.algorithm = algorithm;
    for (const MemoryPiece& p : training_memory({model, config, ranks}))
      if (p.name == "log-probs and entropies of tokens") return p.bytes;
    return 0;
  };
  const uint64_t all = 16 * 4 * 100;
  EXPECT_EQ(known({}, 1), 0u);
  EXPECT_EQ(known({.loss_type = "gspo"}, 1), all * (4 + sizeof(SequenceTerm)));
  EXPECT_EQ(known({.loss_type = "gspo", .steps_per_generation = 2}, 2), all / 4 * (4 + sizeof(SequenceTerm)));
  EXPECT_EQ(known({.top_entropy_quantile = 0.2}, 1), all * (16 + 12));
  EXPECT_EQ(known({.top_entropy_quantile = 0.2}, 8), all / 8 * 16 + all * 12) << "those of all ranks compete";
  EXPECT_EQ(known({.top_entropy_quantile = 0.2, .select_completions = "best", .num_selected = 1}, 1), all / 4 * (16 + 12));
}

TEST(MemoryPlan, AnEvaluationHasItsSamplesAndTheBestModel) {
  Config config;
  config.data.eval = "e.jsonl";
  config.data.max_eval_samples = 3;
  config.rollout.max_num_seqs = 64;
  ModelConfig model = small_model();
  const auto pieces = [&] { return evaluation_memory({model, config}, std::nullopt); };
  EXPECT_NE(pieces()[0].name.find("(3 x "), std::string::npos) << pieces()[0].name;
  config.rollout.num_generations_eval = 8;
  EXPECT_NE(pieces()[0].name.find("(24 x "), std::string::npos) << pieces()[0].name;
  config.data.max_eval_samples = 0;
  EXPECT_NE(pieces()[0].name.find("(64 x "), std::string::npos) << pieces()[0].name;
  const uint64_t plain = piece(pieces(), "evaluation's activations");
  config.rollout.eval_temperature = 1.0f;
  config.rollout.eval_top_p = 0.9f;
  EXPECT_GT(piece(pieces(), "evaluation's activations"), plain) << "filters see whole rows of logits";
  config.model.path = "m";
  config.model.dtype = "bfloat16";
  model.dtype = StoredDType::f32;
  EXPECT_EQ(pieces().size(), 2u);
  config.trainer.metric_for_best_model = "eval/accuracy";
  EXPECT_EQ(pieces().size(), 3u);
}

TEST(MemoryPlan, TheCacheIsCutToItsKeyOrToFreeMemory) {
  Config config;
  config.data.max_prompt_length = 40;
  config.rollout.max_completion_length = 24;
  config.rollout.max_num_seqs = 32;
  const int64_t sequence = kv_page_bytes(small_model(), DType::f32, 64);
  config.model.dtype = "float32";
  const ModelConfig model = small_model();
  const auto cache = [&](int ranks, std::optional<int64_t> free) {
    const TrainingPlan plan{model, config, ranks};
    return planned_cache(plan, memory_room(plan, free));
  };
  EXPECT_EQ(cache(1, std::nullopt).bytes(), 32 * sequence);
  EXPECT_EQ(cache(8, std::nullopt).bytes(), 8 * sequence) << "a rank's share of the completions";
  config.rollout.kv_cache_gb = 10.1 * static_cast<double>(sequence) / 1e9;
  const CacheSize cut = cache(1, std::nullopt);
  EXPECT_EQ(cut.bytes(), 10 * sequence);
  EXPECT_EQ(piece(training_memory({model, config}, cut), "KV cache (640 tokens)"), static_cast<uint64_t>(10 * sequence));
  config.rollout.kv_cache_gb = 0;
  const TapeSize no_tape{.needed = 0, .slots = 0, .slot_bytes = 0};  // chosen from what is free as well
  const uint64_t others = total_bytes(training_memory({model, config}, std::nullopt, no_tape)) - static_cast<uint64_t>(32 * sequence);
  EXPECT_EQ(cache(1, static_cast<int64_t>(others) + 20 * sequence).bytes(), 10 * sequence) << "half of what the rest of the run leaves";
  EXPECT_FALSE(cache(1, 1000).holds_one());
}

// What comes after cache and tape is a bound: where it leaves no room, a sequence may have half of what is free after loading.
TEST(MemoryPlan, OneSequenceFitsWhereTheBoundOfTheRestLeavesNoRoom) {
  const ModelConfig model = small_model();
  Config config;
  config.data.max_prompt_length = 40;
  config.rollout.max_completion_length = 24;
  const TrainingPlan plan{model, config};
  const int64_t one = planned_cache(plan, {}).whole_bytes();
  const int64_t loaded = *memory_room(plan, int64_t{1} << 40).after_loading;
  const auto cache = [&](int64_t free_after_loading) {
    const MemoryRoom room = memory_room(plan, (int64_t{1} << 40) - loaded + free_after_loading);
    EXPECT_EQ(room.after_loading, free_after_loading);
    EXPECT_EQ(room.for_cache_and_tape, 0);
    EXPECT_EQ(planned_tape(plan, room, planned_cache(plan, room)).slots, 0);
    return planned_cache(plan, room);
  };
  EXPECT_EQ(cache(3 * one).bytes(), one);
  EXPECT_EQ(cache(2 * one).bytes(), one);
  EXPECT_FALSE(cache(2 * one - 2).holds_one());
}

TEST(MemoryPlan, TheTapeIsCutToAQuarterOfFreeMemory) {
  const ModelConfig model = small_model();
  Config config;
  config.model.dtype = "float32";
  config.data.max_prompt_length = 40;
  config.rollout.max_completion_length = 24;
  config.rollout.num_generations = 4;
  config.trainer.prompts_per_step = 3;
  const int64_t slot = ActivationTape::slot_bytes(model, DType::f32);
  const auto sized = [&](int ranks, std::optional<int64_t> free) { return choose_tape_size(config, model, DType::f32, ranks, 40, free); };
  EXPECT_EQ(sized(1, std::nullopt).slots, 12 * 24 + 3 * 40);
  EXPECT_EQ(sized(2, std::nullopt).slots, 6 * 24 + 3 * 40) << "6 of 12 completions, in order, can be of 3 prompts";
  EXPECT_EQ(sized(4, std::nullopt).slots, 3 * 24 + 2 * 40);
  const TapeSize cut = sized(1, 400 * slot);
  EXPECT_EQ(cut.slots, 100);
  EXPECT_FALSE(cut.holds_all());
  EXPECT_NE(cut.text().find("up to 100 of 408 (a quarter of the memory that the cache leaves free for this rank)"), std::string::npos) << cut.text();
  EXPECT_EQ(sized(1, 0).slots, 0);
  config.trainer.gradient_checkpointing = true;
  const TapeSize inputs = sized(1, 100 * slot);
  EXPECT_EQ(inputs.slot_bytes, ActivationTape::slot_bytes(model, DType::f32, TapeRows::inputs));
  EXPECT_GT(inputs.slots, 3 * sized(1, std::nullopt).needed / 10) << "a layer's input is little of it";
  config.trainer.reuse_activations = false;
  EXPECT_EQ(sized(1, std::nullopt).slots, 0);
}

TEST(MemoryPlan, TheTapeOfAGpuHasSlotsForARecordedPass) {
  Config config;
  config.trainer.prompts_per_step = 3, config.rollout.num_generations = 8, config.rollout.max_num_seqs = 20;
  const auto needed = [&](const char* device, int ranks) {
    config.run.device = device;
    return choose_tape_size(config, small_model(), DType::f32, ranks, 40, std::nullopt).needed;
  };
  EXPECT_EQ(needed("cuda", 1), needed("cpu", 1) + 20);
  EXPECT_EQ(needed("cuda", 2), needed("cpu", 2) + 12) << "no more than the rank's completions";
}

TEST(MemoryPlan, WeightsAreHeldOnceButForALayerThatIsRead) {
  const auto plan = generation_memory(small_model(), DType::bf16, 4, 64, 64);
  const ParamTable table = make_param_table(small_model(), 1);
  EXPECT_EQ(piece(plan, "packed weights") + piece(plan, "vectors"), static_cast<uint64_t>(table.count) * 2);
  EXPECT_EQ(piece(plan, "a layer"), static_cast<uint64_t>(table.layers[0].span.end - table.layers[0].span.begin) * 2);
  ModelConfig untied = small_model();
  untied.tie_word_embeddings = false;  // then the embedding is read row by row
  EXPECT_GE(piece(generation_memory(untied, DType::bf16, 4, 64, 64), "vectors and embedding"), 300u * 64 * 2);
}

TEST(MemoryPlan, RanksShareTheOptimizer) {
  Config config;
  const ModelConfig model = small_model();
  const auto one = training_memory({model, config});
  const auto four = training_memory({model, config, 4});
  EXPECT_EQ(piece(one, "optimizer"), 4 * piece(four, "optimizer"));
  EXPECT_EQ(piece(one, "packed weights"), piece(four, "packed weights"));
  EXPECT_GT(piece(four, "exchange"), 0u);
  EXPECT_LT(total_bytes(four), total_bytes(one));
}

// More activations to come than any machine holds: cache and tape are as small as can be, in the plan and in the run, which
// chooses before there is an activation.
TEST(MemoryPlan, ARunLeavesFreeWhatThePlanExpectsLater) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
  const std::vector<std::string> keys = {
      "model.init={hidden_size: 32, intermediate_size: 65536, num_layers: 2, num_heads: 2, num_kv_heads: 1, max_positions: 1048576}",
      "data.max_prompt_length=16", "rollout.max_completion_length=1000000", "rollout.max_num_batched_tokens=64",
      "trainer.prompts_per_step=1", "trainer.eval_before=false"};
  const auto with = [&](std::vector<std::string> args) {
    args.insert(args.end(), keys.begin(), keys.end());
    return args;
  };
  const std::string chosen = "KV cache: 1000016 tokens of up to 4 sequences of ";
  const Outcome plan = run_cohort(with({"train", config, "--dry-run"}));
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_NE(plan.out.find("# " + chosen), std::string::npos) << plan.out;
  const Outcome run = run_cohort(with({"train", config}), "", [](pid_t child, const std::string& err) {
    if (err.find("KV cache: ") == std::string::npos || err.back() != '\n') return false;
    kill(child, SIGKILL);  // before it makes a million tokens
    return true;
  });
  EXPECT_NE(run.err.find(chosen), std::string::npos) << run.err;
  EXPECT_EQ(run.err.find("activations of sampled rows"), std::string::npos) << run.err;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which take memory of their own
TEST(MemoryPlan, IsWhatARunTakes) {
  expect_memory_as_planned({"model.init={hidden_size: 512, intermediate_size: 1024, num_layers: 6, num_heads: 8, num_kv_heads: 2, max_positions: 64}"});
}
#endif

}  // namespace
}  // namespace cohort
