// cohort plan: memory, bytes and time of a run on any number of ranks, without starting one.
#include <sstream>
#include <string>

#include "cli/plan_memory.h"
#include "cli/plan_time.h"
#include "core/cpu_topology.h"
#include "model/params.h"
#include "tests/cli/run_cohort.h"
#include "trainer/memory_plan.h"
#include "trainer/traffic.h"

namespace cohort {
namespace {

const std::vector<std::string> kSpeeds = {"--gemm-gflops", "400", "--memory-gb-s", "40", "--link-gb-s", "10", "--latency-us", "2"};

Outcome plan(std::vector<std::string> args) {
  args.insert(args.begin(), "plan");
  args.insert(args.end(), kSpeeds.begin(), kSpeeds.end());
  return run_cohort(args);
}

Json plan_json(std::vector<std::string> args) {
  args.push_back("--json");
  const Outcome outcome = plan(args);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return outcome.exit_code == 0 ? outcome.records().at(0) : Json::object();
}

uint64_t piece(const Json& pieces, const std::string& name) {
  for (const Json& p : pieces)
    if (p["name"].get<std::string>().starts_with(name)) return p["bytes"].get<uint64_t>();
  return 0;
}

class Plan : public testing::Test {
 protected:
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
};

TEST_F(Plan, TellsMemoryBytesAndTime) {
  const Outcome outcome = plan({config, "--ranks", "2"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* word : {"memory of one rank of 2\n", "packed weights", "gradients (", "optimizer (own span)", "KV cache (", "together, in a step",
                           "evaluation's KV cache", "together, while evaluating", "at most", "bytes of an optimizer step", " sent", " received",
                           "rollout: decode", "exchange between ranks", "400 GFLOP/s and 40.0 GB/s", "10.00 GB/s (measured or given) and 2 us"})
    EXPECT_NE(outcome.out.find(word), std::string::npos) << word << " in " << outcome.out;
  EXPECT_EQ(outcome.out.find("fit"), std::string::npos) << "no limit was given: " << outcome.out;
}

TEST_F(Plan, IsTheOneOfTheDryRun) {
  const Outcome text = plan({config, "--ranks", "1"}), dry = run_cohort({"train", config, "--dry-run"});
  ASSERT_EQ(dry.exit_code, 0) << dry.err;
  const size_t at = text.out.find("  packed weights"), end = text.out.find("\n\n", at);
  std::istringstream plain(text.out.substr(at, end - at));
  std::string lines;  // as the dry run prints them: comments below a config
  for (std::string line; std::getline(plain, line);) lines.append("#").append(line).append("\n");
  EXPECT_NE(dry.out.find(lines), std::string::npos) << lines << "\nin " << dry.out;
}

TEST_F(Plan, JsonHoldsTheBytesOfTheReductionsPattern) {
  const Json json = plan_json({config, "--ranks", "2"});
  const ModelConfig model = planned_model(load_config(config));
  const RankTraffic traffic = largest_traffic(make_param_table(model, 2).size, DType::f32, 2, 2);
  const Json& bytes = json["bytes_per_optimizer_step"];
  EXPECT_GT(traffic.gradients_sent, 0);
  EXPECT_EQ(bytes["gradients_sent"], traffic.gradients_sent);
  EXPECT_EQ(bytes["gradients_received"], traffic.gradients_received);
  EXPECT_EQ(bytes["weights_sent"], traffic.weights_sent);
  EXPECT_EQ(bytes["weights_received"], traffic.weights_received);
  EXPECT_TRUE(json["memory"]["fits"].is_null());
  EXPECT_EQ(plan_json({config, "--ranks", "1"})["step_seconds"]["comm"], 0.0);
}

TEST_F(Plan, ThousandsOfRanksNeedNoMpi) {
  const std::vector<std::string> keys = {"trainer.logical_ranks=4096", "trainer.prompts_per_step=4096"};
  const auto on = [&](const char* ranks) { return plan_json({config, "--ranks", ranks, keys[0], keys[1]}); };
  const Json one = on("1"), many = on("4096");
  EXPECT_EQ(piece(one["memory"]["step"], "optimizer"), 4096 * piece(many["memory"]["step"], "optimizer"));
  EXPECT_GT(one["step_seconds"]["update"].get<double>(), 1000 * many["step_seconds"]["update"].get<double>() / many["ranks_per_host"].get<double>());
  EXPECT_REFUSED(plan({config, "--ranks", "4097", keys[0], keys[1]}), 2, "4097 ranks", "trainer.logical_ranks is 4096");
}

// A thread takes workspace: of the ranks, those of one host share its cores.
TEST_F(Plan, ThreadsAreTheShareOfAHostsRanks) {
  const auto workspace = [&](const char* ranks, const char* a_host) {
    const Json json = plan_json({config, "--ranks", ranks, "--ranks-per-host", a_host, "run.threads=0", "trainer.logical_ranks=64",
                                 "trainer.prompts_per_step=64"});
    for (const Json& p : json["memory"]["step"])
      if (const auto name = p["name"].get<std::string>(); name.starts_with("workspace")) return name;
    return std::string("none");
  };
  const int cores = process_topology().usable();
  EXPECT_EQ(workspace("64", "1"), fmt::format("workspace ({} threads)", cores));
  EXPECT_EQ(workspace("64", std::to_string(cores).c_str()), "workspace (1 threads)");
  EXPECT_EQ(workspace("64", "64"), fmt::format("workspace ({} threads)", std::max(1, cores / 64)));
}

TEST_F(Plan, FitsOrSaysWhatIsMissing) {
  const Json free = plan_json({config, "--ranks", "1"});
  const auto most = free["memory"]["at_most_bytes"].get<double>();
  const auto with = [&](double bytes) { return plan({config, "--ranks", "1", "--gpu-memory", fmt::format("{:.9f}", bytes / 1e9)}); };
  const Outcome roomy = with(3 * most);
  EXPECT_EQ(roomy.exit_code, 0) << roomy.err;
  EXPECT_NE(roomy.out.find("\nfits: "), std::string::npos) << roomy.out;
  // Less than what the program and the weights take: not even the smallest cache helps.
  const Outcome tight = with(0.5 * most);
  EXPECT_EQ(tight.exit_code, 6);
  EXPECT_NE(tight.out.find("\ndoes not fit: "), std::string::npos) << tight.out;
  const Json cut = plan({config, "--ranks", "1", "--gpu-memory", fmt::format("{:.9f}", 0.5 * most / 1e9), "--json"}).records().at(0);
  EXPECT_EQ(cut["memory"]["fits"], false);
  EXPECT_LE(piece(cut["memory"]["step"], "KV cache"), piece(free["memory"]["step"], "KV cache"));
}

TEST_F(Plan, WhatCannotBePlannedIsRefused) {
  EXPECT_REFUSED(plan({config}), 2, "--ranks is required");
  EXPECT_REFUSED(plan({config, "--ranks", "0"}), 2, "--ranks");
  const auto with = [&](const char* option, const char* value) { return run_cohort({"plan", config, "--ranks", "1", option, value}); };
  for (const char* value : {"nan", "inf", "-1", "0", "9.3e9", "1e18"})
    EXPECT_REFUSED(with("--gpu-memory", value), 2, fmt::format("--gpu-memory: found '{}'; allowed is a number from 0.001 to 1000000; see `cohort plan --help`", value));
  for (const char* speed : {"--gemm-gflops", "--memory-gb-s", "--link-gb-s", "--latency-us"})
    for (const char* value : {"nan", "inf", "0", "1e10"})
      EXPECT_REFUSED(with(speed, value), 2, fmt::format("{}: found '{}'; allowed is a number from 0.001 to 1000000000", speed, value));
  for (const char* length : {"--prompt-length", "--completion-length"})
    for (const char* value : {"0", "16777217", "9223372036854775807", "99999999999999999999"})
      EXPECT_REFUSED(with(length, value), 2, fmt::format("{}: found '{}'; allowed is a whole number from 1 to 16777216", length, value));
  EXPECT_REFUSED(with("--ranks-per-host", "1048577"), 2, "allowed is a whole number from 1 to 1048576");
  EXPECT_REFUSED(plan({folder / "none.yaml", "--ranks", "1"}), 2, "none.yaml");
}

// The ends of all ranges at once: whatever is allowed has a plan of finite numbers.
TEST_F(Plan, TheEndsOfTheRangesHaveAPlan) {
  const std::string most = "16777216";
  for (const char* speed : {"0.001", "1e9"}) {
    const Outcome outcome = run_cohort({"plan", config, "--ranks", "1", "--json", "--gpu-memory", "1e6", "--prompt-length", most, "--completion-length", most,
                                        "--ranks-per-host", "1048576", "--gemm-gflops", speed, "--memory-gb-s", speed, "--link-gb-s", speed, "--latency-us", speed});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Json json = outcome.records().at(0);
    EXPECT_EQ(json["memory"]["limit_bytes"], 1000000000000000);
    EXPECT_GT(json["step_seconds"]["together"].get<double>(), 0);
  }
  EXPECT_EQ(run_cohort({"plan", config, "--ranks", "1", "--gemm-gflops", "1", "--memory-gb-s", "1", "--gpu-memory", "0.001"}).exit_code, 6);
}

TEST_F(Plan, SpeedsThatAreNotGivenAreMeasured) {
  const Outcome outcome = run_cohort({"plan", config, "--ranks", "2", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json assumed = outcome.records().at(0)["assumed"];
  EXPECT_GT(assumed["gemm_gflops"].get<double>(), 0.1);
  EXPECT_GT(assumed["memory_gb_s"].get<double>(), 0.1);
  EXPECT_EQ(assumed["link_measured"], false);
  std::vector<std::string> args = {"-n", "2", "--oversubscribe", COHORT_BINARY, "plan", config, "--ranks", "2", "--json"};
  if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");  // Open MPI refuses root otherwise
  const Outcome ranks = run_program("mpirun", args);
  ASSERT_EQ(ranks.exit_code, 0) << ranks.err;
  ASSERT_EQ(ranks.records().size(), 1u) << ranks.out;
  EXPECT_EQ(ranks.records().at(0)["assumed"]["link_measured"], true);
  EXPECT_GT(ranks.records().at(0)["assumed"]["latency_us"].get<double>(), 0);
}

ModelConfig model_of_one_layer() {
  ModelConfig model;
  model.vocab_size = 256, model.hidden_size = 64, model.intermediate_size = 128, model.num_layers = 1;
  model.num_heads = 4, model.num_kv_heads = 4, model.head_size = 16, model.max_positions = 512, model.tie_word_embeddings = true;
  return model;
}

TEST(PlanMemory, PhasesAreBesideTheStepOrBeforeIt) {
  ModelConfig model = model_of_one_layer();
  model.dtype = StoredDType::f32;
  Config config;
  config.model.path = "somewhere";
  config.model.dtype = "bfloat16";
  config.data.eval = "eval.jsonl";
  config.data.max_eval_samples = 10;
  config.trainer.warm_start = WarmStartConfig{.steps = 5};
  config.trainer.save_steps = 20;
  const TrainingPlan plan{model, config};
  const RunMemory memory = plan_memory(plan, std::nullopt);
  const uint64_t page = static_cast<uint64_t>(kv_page_bytes(model, DType::bf16, 64)), pages = (512 + 256) / 64;
  EXPECT_EQ(memory.evaluation.at(0).bytes, 10 * pages * page);
  EXPECT_EQ(memory.finish.at(0).bytes, static_cast<uint64_t>(make_param_table(model, 8).size) * 4) << "the files hold float32";
  EXPECT_EQ(memory.checkpoint.at(0).bytes, static_cast<uint64_t>(make_param_table(model, 8).size) * 12) << "masters and moments";
  EXPECT_EQ(memory.most(), total_bytes(memory.step) + total_bytes(memory.checkpoint) + total_bytes(memory.evaluation));
  const TrainingPlan four{model, config, 4};
  EXPECT_EQ(plan_memory(four, std::nullopt).checkpoint.at(0).bytes, memory.checkpoint.at(0).bytes / 4) << "its own span";
  EXPECT_TRUE(checkpoint_memory(plan, 2 * static_cast<int64_t>(memory.checkpoint.at(0).bytes) - 1).empty()) << "then an update waits for the disk";
  EXPECT_GT(total_bytes(memory.warm_start), 0u);
  EXPECT_LT(total_bytes(memory.warm_start), memory.most());
  config.rollout.max_num_seqs = 4;
  EXPECT_EQ(plan_memory(plan, std::nullopt).evaluation.at(0).bytes, 4 * pages * page);

  config.data.eval.clear();
  config.model.dtype = "float32";
  config.trainer.warm_start.reset();
  config.trainer.save_steps = 0;
  const RunMemory plain = plan_memory(plan, std::nullopt);
  EXPECT_TRUE(plain.checkpoint.empty() && plain.evaluation.empty() && plain.finish.empty() && plain.warm_start.empty());
  EXPECT_EQ(plain.most(), total_bytes(plain.step));
}

TEST(PlanTime, IsArithmeticMemoryAndLinks) {
  const ModelConfig model = model_of_one_layer();
  Config config;
  config.model.dtype = "float32";
  config.trainer.prompts_per_step = 8, config.rollout.num_generations = 4, config.rollout.max_num_seqs = 64;
  const StepShape shape{.prompt_length = 100, .completion_length = 50};
  const MachineSpeed speed{.gemm_gflops = 100, .memory_gb_s = 1e9, .link_gb_s = 2, .latency_us = 0};
  const double layers = 4.0 * 64 * 64 + 3.0 * 64 * 128, head = 256.0 * 64, attention = 4.0 * 64 * 125;
  const auto at = [&](int ranks, const MachineSpeed& s, StepShape sh) {
    return predict_step({model, config, ranks}, sh, largest_traffic(make_param_table(model, 8).size, DType::f32, 8, ranks), s, 1);
  };
  const StepTime one = at(1, speed, shape);
  EXPECT_NEAR(one.prefill_s, 8 * (100 * (2 * layers + attention) + 2 * head) / 100e9 / 0.75, 1e-9);
  EXPECT_NEAR(one.decode_s, 50 * 32 * 2 * (layers + head) / 100e9 / 0.75, 1e-6);
  EXPECT_NEAR(one.update_s, (3 * (32 * 50 + 8 * 100) * (2 * layers + attention) + 6 * head * 1600) / 100e9 / 0.85, 1e-9);
  EXPECT_EQ(one.comm_s, 0);
  StepShape reused = shape;
  reused.reused = true;
  EXPECT_NEAR(at(1, speed, reused).update_s, (2 * (32 * 50 + 8 * 100) * (2 * layers + attention) + 6 * head * 1600) / 100e9 / 0.85, 1e-9);
  // What further updates, quantiles of entropies and ratios of sequences run forward before their gradients.
  const double layers_once = (32 * 50 + 8 * 100) * (2 * layers + attention), head_once = 2 * head * 1600;
  const auto update_with = [&](const AlgorithmSection& algorithm, StepShape of) {
    config.algorithm = algorithm;
    const double seconds = at(1, speed, of).update_s;
    config.algorithm = {};
    return seconds * 100e9 * 0.85;
  };
  EXPECT_NEAR(update_with({.top_entropy_quantile = 0.2}, reused), 3 * layers_once + 4 * head_once, 1);
  EXPECT_NEAR(update_with({.top_entropy_quantile = 0.2, .num_iterations = 2}, shape), 2 * (4 * layers_once + 4 * head_once), 1);
  EXPECT_NEAR(update_with({.loss_type = "gspo"}, shape), 3 * layers_once + 3 * head_once, 1) << "the first update's ratios are those of sampling";
  EXPECT_NEAR(update_with({.loss_type = "gspo", .num_iterations = 2}, shape), 2 * (3 * layers_once + 3 * head_once) + layers_once + head_once, 1);
  EXPECT_NEAR(update_with({.loss_type = "gspo", .steps_per_generation = 4}, reused), 2.75 * layers_once + 3 * head_once + 0.75 * (layers_once + head_once), 1);
  EXPECT_NEAR(update_with({.beta = 0.1f}, shape), 4 * layers_once + 4 * head_once, 1);
  const double half = 16 * 50 + 8 * 100;
  EXPECT_NEAR(update_with({.select_completions = "best", .num_selected = 2}, shape), 3 * half * (2 * layers + attention) + 3 * head_once / 2, 1);
  config.algorithm.steps_per_generation = 4;
  EXPECT_NEAR(at(1, speed, shape).optimizer_s, 4 * one.optimizer_s, 1e-15);
  config.algorithm = {};
  const StepTime four = at(4, speed, shape);
  EXPECT_NEAR(four.update_s, one.update_s / 4, 1e-12);
  EXPECT_NEAR(four.decode_s, one.decode_s / 4, 1e-9);
  const double size = static_cast<double>(make_param_table(model, 8).size);
  EXPECT_NEAR(four.comm_s, size * 0.75 * 8 / 2e9, 1e-12) << "gradients and weights, three quarters of each";
  // A machine whose memory is slow reads the weights once a token.
  const StepTime slow = at(1, {.gemm_gflops = 1e9, .memory_gb_s = 1, .link_gb_s = 1, .latency_us = 0}, shape);
  const double cached = static_cast<double>(kv_page_bytes(model, DType::f32, 1)) * 125 * 32;  // that a pass of 32 reads
  EXPECT_NEAR(slow.decode_s, 50 * ((layers + head) * 4 + cached) / 1e9 / 0.75, 1e-6);
}

}  // namespace
}  // namespace cohort
