// Runs that train a LoRA adapter: the same bits for any ranks, threads and resumes; what is saved; what such a run is refused.
#include <cmath>
#include <csignal>
#include <map>
#include <set>

#include "model/activation_tape.h"
#include "model/lora.h"
#include "model/transformer.h"
#include "tests/cli/planned_run.h"
#include "tests/cli/sharper_run.h"
#include "trainer/adapter.h"
#include "trainer/memory_plan.h"
#include "trainer/metrics.h"
#include "trainer/optimizer.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

const char* const kLora = "model.lora={rank: 4, alpha: 16}";

struct Result {
  std::string metrics, adapter, merged;
  bool operator==(const Result&) const = default;
};
Result result_of(const std::string& run) {
  std::istringstream lines(read_all(run + "/metrics.jsonl"));
  Result result{"", read_all(run + "/final/adapter_model.safetensors"), read_all(run + "/final_merged/model.safetensors")};
  for (std::string line; std::getline(lines, line);) {
    const Json metrics = parse_json(line, "metrics.jsonl");
    for (const auto& [name, value] : metrics.items())
      if (!is_measured(name) && name != "perf/reused_rows") result.metrics += name + " " + dump_json(value) + "\n";
  }
  return result;
}

class LoraRun : public testing::TestWithParam<std::string> {
 protected:
  std::vector<std::string> with(const std::string& run, std::vector<std::string> more = {}) const {
    for (const std::string& key : {std::string(kLora), std::string("model.lora.save_merged=true"), std::string("algorithm.beta=0.1"),
                                   "model.dtype=" + GetParam(), std::string("optim.learning_rate=3.0e-3"), "run.name=" + run})
      more.push_back(key);
    return more;
  }
  Outcome train(const std::string& run, std::vector<std::string> more = {}) const {
    std::vector<std::string> args = with(run, std::move(more));
    args.insert(args.begin(), {"train", config, "--quiet"});
    return run_cohort(args);
  }
  Result result(const std::string& run) const { return result_of(folder / ("runs/" + run)); }
  TemporaryFolder folder;
  std::string config = write_all(folder / "c.yaml", sharper_config(folder / "runs", 3));
};

TEST_P(LoraRun, GivesTheSameBitsForAnyRanksAndThreadsAndWhateverIsKept) {
  const Outcome first = train("one");
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const Result expected = result("one");
  ASSERT_FALSE(expected.adapter.empty());
  ASSERT_FALSE(expected.merged.empty());
  // Sampled and trained by one model; the first step starts at the reference, later ones have left it.
  const std::string& metrics = expected.metrics;
  EXPECT_NE(metrics.find("sampling/sampling_logp_difference/max 0.0\n"), std::string::npos) << metrics;
  EXPECT_EQ(metrics.substr(metrics.find("kl "), 7), "kl 0.0\n") << metrics;
  EXPECT_NE(metrics.rfind("kl 0.0\n"), metrics.rfind("kl "));
  for (const auto& more : std::vector<std::vector<std::string>>{
           {"run.threads=2"}, {"trainer.reuse_activations=false"}, {"trainer.gradient_checkpointing=true"},
           {"trainer.gradient_checkpointing=true", "trainer.reuse_activations=false"}}) {
    fs::remove_all(folder / "runs/other");
    const Outcome outcome = train("other", more);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(result("other").metrics, expected.metrics) << more.front();
    EXPECT_TRUE(result("other") == expected) << more.front();
  }
  for (const int ranks : {2, 3}) {
    const std::string run = "ranks" + std::to_string(ranks);
    const Outcome outcome = train_on_ranks(ranks, config, with(run));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(result(run).metrics, expected.metrics) << ranks;
    EXPECT_TRUE(result(run) == expected) << ranks;
  }
  // As if the run on three ranks had been killed after step 5: the checkpoint of step 3, and the base from the warm start.
  fs::remove_all(folder / "runs/ranks3/final");
  fs::remove_all(folder / "runs/ranks3/final_merged");
  const Outcome resumed = train_on_ranks(2, config, with("ranks3"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(result("ranks3") == expected);
  // And from a checkpoint of a run under another name.
  const Outcome elsewhere = train("elsewhere", {"run.resume=" + (folder / "runs/one/checkpoints/step_3")});
  ASSERT_EQ(elsewhere.exit_code, 0) << elsewhere.err;
  EXPECT_TRUE(result("elsewhere").adapter == expected.adapter);
  EXPECT_TRUE(result("elsewhere").merged == expected.merged);
  EXPECT_EQ(read_all(folder / "runs/elsewhere/warm_start/model.safetensors"), read_all(folder / "runs/one/warm_start/model.safetensors"));
  const Outcome compared = run_cohort({"compare", folder / "runs/one", folder / "runs/elsewhere"});
  EXPECT_EQ(compared.exit_code, 1) << "steps 1 to 3 are of the other run alone: " << compared.out << compared.err;
  // A checkpoint is as large as the adapter.
  EXPECT_LT(fs::file_size(folder / "runs/one/checkpoints/step_3/shard_00000.bin"), 20000u);
  // One step more, from the checkpoint.
  const Outcome replayed = run_cohort({"replay", folder / "runs/one", "--step", "4"});
  EXPECT_EQ(replayed.exit_code, 0) << replayed.out << replayed.err;
}

INSTANTIATE_TEST_SUITE_P(DTypes, LoraRun, testing::Values("float32", "bfloat16"), [](const auto& info) { return info.param; });

// The adapter alone is trained: a base that changed under it is noticed.
TEST(Lora, ABaseThatChangedIsRefused) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", sharper_config(folder / "runs", 3));
  ASSERT_EQ(run_cohort({"train", config, "--quiet", kLora}).exit_code, 0);
  const std::string weights = folder / "runs/tiny/warm_start/model.safetensors";
  std::string bytes = read_all(weights);
  bytes[bytes.size() - 3] = static_cast<char>(bytes[bytes.size() - 3] ^ 1);
  write_all(weights, bytes);
  fs::remove_all(folder / "runs/tiny/final");
  const Outcome outcome = run_cohort({"train", config, "--quiet", kLora});
  EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
  EXPECT_NE(outcome.err.find("the base model under the adapter has other weights than when the checkpoint was written"), std::string::npos) << outcome.err;
}

class LoraModel : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    const std::string config = write_all(*folder / "c.yaml", sharper_config(*folder / "runs", 3));
    outcome = new Outcome(run_cohort({"train", config, kLora, "model.lora.save_merged=true", "model.lora.target_modules=[q_proj, v_proj, down_proj]",
                                      "optim.learning_rate=3.0e-3"}));
  }
  static void TearDownTestSuite() { delete folder, delete outcome; }
  void SetUp() override { ASSERT_EQ(outcome->exit_code, 0) << outcome->err; }
  static std::string adapter() { return *folder / "runs/tiny/final"; }
  static std::string merged() { return *folder / "runs/tiny/final_merged"; }
  static std::string base() { return *folder / "runs/tiny/warm_start"; }
  static TemporaryFolder* folder;
  static Outcome* outcome;
};
TemporaryFolder* LoraModel::folder = nullptr;
Outcome* LoraModel::outcome = nullptr;

TEST_F(LoraModel, TheRunSaysWhatItTrains) {
  // r (K + N) of two layers: q 4 (32 + 32), v 4 (32 + 16), down 4 (64 + 32).
  EXPECT_NE(outcome->err.find("LoRA: rank 4 of q_proj, v_proj, down_proj; 1664 of 28960 parameters are trained"), std::string::npos) << outcome->err;
}

TEST_F(LoraModel, IsAFolderThatPeftLoadsAndNoWholeModel) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(adapter())) names.insert(entry.path().filename().string());
  EXPECT_EQ(names, (std::set<std::string>{"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"}));
  const Json config = parse_json(read_all(adapter() + "/adapter_config.json"), "adapter_config.json");
  EXPECT_EQ(config["base_model_name_or_path"], "../warm_start");
  EXPECT_EQ(config["r"], 4);
  EXPECT_EQ(config["lora_alpha"], 16);
  EXPECT_EQ(config["target_modules"], Json({"q_proj", "v_proj", "down_proj"}));
  const Outcome trained = run_cohort({"train", *folder / "c.yaml", "model.init=null", "trainer.warm_start=null", "model.path=" + adapter(), "run.name=on_adapter"});
  EXPECT_EQ(trained.exit_code, 3);
  EXPECT_NE(trained.err.find("holds an adapter alone, and a whole model is needed; cohort import " + adapter() + " OUT_DIR merges it"), std::string::npos)
      << trained.err;
  EXPECT_EQ(run_cohort({"train", *folder / "c.yaml", "--dry-run", "model.init=null", "trainer.warm_start=null", "model.path=" + adapter()}).exit_code, 3);
}

// The adapter's folder, the merged model of the run, and the merged model that import makes are one model; the base is another.
TEST_F(LoraModel, ComputesWhatItsMergedModelDoes) {
  const std::string imported = *folder / "imported";
  const Outcome import = run_cohort({"import", adapter(), imported});
  ASSERT_EQ(import.exit_code, 0) << import.err;
  EXPECT_EQ(read_all(imported + "/model.safetensors"), read_all(merged() + "/model.safetensors"));
  EXPECT_EQ(read_all(imported + "/tokenizer.json"), read_all(merged() + "/tokenizer.json"));
  const std::string text = "{\"text\": \"12+7=19\"}\n";
  const std::string of_adapter = run_cohort({"logprobs", adapter()}, text).out;
  EXPECT_EQ(of_adapter, run_cohort({"logprobs", merged()}, text).out);
  EXPECT_NE(of_adapter, run_cohort({"logprobs", base()}, text).out);
  EXPECT_EQ(of_adapter, run_cohort({"logprobs", adapter(), "--base", base()}, text).out);
  const std::vector<std::string> sampling = {"--prompt", "1+1=", "--temperature", "1", "--max-completion-length", "8", "--num-generations", "4"};
  const auto generate = [&](const std::string& model) {
    std::vector<std::string> args = {"generate", model};
    args.insert(args.end(), sampling.begin(), sampling.end());
    const Outcome generated = run_cohort(args);
    EXPECT_EQ(generated.exit_code, 0) << generated.err;
    return generated.out;
  };
  EXPECT_EQ(generate(adapter()), generate(merged()));
  const auto evaluate = [&](const std::string& model, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"eval", *folder / "c.yaml", "--quiet", "--model", model});
    const Outcome evaluated = run_cohort(more);
    EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
    return evaluated.out.substr(evaluated.out.find("\"problems\""));
  };
  EXPECT_EQ(evaluate(adapter()), evaluate(merged()));
  EXPECT_EQ(evaluate(adapter(), {"--base", base()}), evaluate(merged()));
}

TEST_F(LoraModel, IsInspected) {
  const Outcome inspected = run_cohort({"inspect", adapter()});
  EXPECT_EQ(inspected.exit_code, 0) << inspected.err;
  for (const char* words : {"LoRA              rank 4, alpha 16, scale 4\n", "target modules    q_proj, v_proj, down_proj\n",
                            "parameters        1,664 in 12 tensors\n", "base              ../warm_start\n", "parameters        27,296\n"})
    EXPECT_NE(inspected.out.find(words), std::string::npos) << words << " in " << inspected.out;
  EXPECT_EQ(inspected.out.find("cannot be loaded"), std::string::npos) << inspected.out;
  const std::string moved = *folder / "moved";
  fs::copy(adapter(), moved, fs::copy_options::recursive);
  const Outcome lost = run_cohort({"inspect", moved});
  EXPECT_NE(lost.out.find("cannot be loaded  "), std::string::npos) << lost.out;
  EXPECT_NE(lost.out.find("'../warm_start' is no model folder here; --base DIR"), std::string::npos) << lost.out;
  EXPECT_EQ(run_cohort({"inspect", moved, "--base", base()}).out.find("cannot be loaded"), std::string::npos);
}

TEST_F(LoraModel, ABaseIsOnlyForAdapters) {
  const std::string text = "{\"text\": \"1\"}\n";
  Outcome refused = run_cohort({"logprobs", merged(), "--base", base()}, text);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("is no adapter's folder"), std::string::npos) << refused.err;
  EXPECT_EQ(run_cohort({"inspect", merged(), "--base", base()}).exit_code, 2);
  refused = run_cohort({"logprobs", adapter(), "--base", adapter()}, text);  // no base of itself
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_NE(refused.err.find("holds an adapter alone"), std::string::npos) << refused.err;
}

// With model.init and no warm start the base is written, too.
TEST(Lora, TheBaseOfAModelFromScratchIsSaved) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
  const Outcome outcome = run_cohort({"train", config, "--quiet", kLora, "algorithm.beta=0.1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(parse_json(read_all(folder / "runs/tiny/final/adapter_config.json"), "c")["base_model_name_or_path"], "../base");
  EXPECT_FALSE(fs::exists(folder / "runs/tiny/final_merged"));
  const Outcome scored = run_cohort({"logprobs", folder / "runs/tiny/final"}, "{\"text\": \"12\"}\n");
  EXPECT_EQ(scored.exit_code, 0) << scored.err;
}

TEST(Lora, WhatItCannotBeIsRefused) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
  for (const auto& [key, words] : std::map<std::string, std::string>{
           {"model.lora.dropout=0.1", "model.lora.dropout: found 0.1; allowed: 0, as a forward pass with dropout"},
           {"model.lora.rank=0", "model.lora.rank: found the integer 0; allowed: an integer from 1 to 1024"},
           {"model.lora.alpha=0", "model.lora.alpha: found the integer 0; allowed: a number above 0"},
           {"model.lora.target_modules=[q_proj, embed_tokens]", "target module 'embed_tokens'; allowed: q_proj, k_proj"},
           {"model.lora.target_modules=[]", "no target modules; allowed: q_proj"},
           {"run.device=cuda", "model.lora is not computed on run.device: cuda; use run.device: cpu"},
           {"algorithm.ref_model_sync_steps=2", "algorithm.ref_model_sync_steps: found 2, but with model.lora the reference is the base"},
           {"model.lora.r=8", "cohort calls it 'model.lora.rank'"},
           {"model.lora_alpha=8", "cohort calls it 'model.lora.alpha'"},
           {"model.lora.use_dora=true", "cohort does not have it"}}) {
    const Outcome outcome = run_cohort({"train", config, "--dry-run", kLora, key, "algorithm.beta=0.1"});
    EXPECT_EQ(outcome.exit_code, 2) << key;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << key << ": " << outcome.err;
  }
}

uint64_t piece(const std::vector<MemoryPiece>& pieces, const std::string& name) {
  for (const MemoryPiece& p : pieces)
    if (p.name.starts_with(name)) return p.bytes;
  ADD_FAILURE() << "no piece " << name;
  return 0;
}

// Arenas round each tensor up to 64 bytes.
void expect_near(uint64_t planned, uint64_t allocated) {
  EXPECT_LE(planned, allocated);
  EXPECT_LE(allocated, planned + planned / 50);
}

TEST(LoraMemory, ThePlanAgreesWithWhatIsAllocated) {
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    ModelConfig model;
    model.vocab_size = 300, model.hidden_size = 64, model.intermediate_size = 192, model.num_layers = 3;
    model.num_heads = 4, model.num_kv_heads = 2, model.head_size = 16, model.max_positions = 128;
    model.tie_word_embeddings = true;
    Config config;
    config.model.dtype = dtype_name(dtype);
    config.model.lora.emplace().target_modules = {"q_proj", "k_proj", "down_proj"};
    config.data.max_prompt_length = 40;
    config.rollout.max_completion_length = 24;
    config.trainer.pack_tokens = 512;
    config.trainer.prompts_per_step = 2;
    config.algorithm.beta = 0.1f;
    const auto policy = make_policy(model, dtype, config.trainer.logical_ranks);
    init_weights(*policy, 1, ex);
    start_adapter(*policy, config, ex);
    const auto plan = training_memory({model, config});
    expect_near(piece(plan, "base of adapted matrices") + piece(plan, "adapter (rank 16)"), policy->lora->bytes());
    const auto comm = make_self_comm();
    const Optimizer optimizer(*policy, config.optim, static_cast<int>(config.trainer.logical_ranks), *comm);
    expect_near(piece(plan, "optimizer"), optimizer.bytes());
    EXPECT_EQ(piece(plan, "optimizer"), static_cast<uint64_t>(policy->lora->layout.table.size) * 8);
    EXPECT_EQ(piece(plan, "gradients (1 "), static_cast<uint64_t>(policy->lora->layout.table.size) * 4);
    expect_near(piece(plan, "training activations"), TrainState(*policy, {512, 512, 0, true}).bytes());
    for (const MemoryPiece& p : plan) EXPECT_FALSE(p.name.starts_with("reference")) << "the base is the reference";
    config.trainer.gradient_checkpointing = true, config.trainer.reuse_activations = false;
    expect_near(piece(training_memory({model, config}), "training activations"), TrainState(*policy, 512, 512, true).bytes());
    EXPECT_EQ(piece(checkpoint_memory({model, [&] { config.trainer.save_steps = 1; return config; }()}, {}), "copies"),
              static_cast<uint64_t>(policy->lora->layout.table.size) * 12);
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which take memory of their own
TEST(LoraMemory, ThePlanIsWhatARunTakes) {
  expect_memory_as_planned({"model.init={hidden_size: 768, intermediate_size: 2048, num_layers: 8, num_heads: 8, num_kv_heads: 2, max_positions: 64}",
                            "model.lora={rank: 8}"});
}
#endif

}  // namespace
}  // namespace cohort
