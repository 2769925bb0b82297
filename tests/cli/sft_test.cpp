// cohort sft as a user runs it: the run directory, the same bits for any ranks and across kill and resume, what is refused.
#include <csignal>
#include <filesystem>

#include "tests/cli/sharper_run.h"
#include "trainer/metrics.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// 23 examples, so that the last step has fewer; one is too long.
std::string rows() {
  std::string text;
  for (int i = 0; i < 23; ++i)
    text += "{\"prompt\": \"" + std::to_string(i) + "+" + std::to_string(i) + "=\", \"completion\": \"" + std::to_string(2 * i) + "\"}\n";
  return text + "{\"prompt\": \"long\", \"completion\": \"" + std::string(70, 'x') + "\"}\n";
}

class SftCommand : public testing::Test {
 protected:
  SftCommand() {
    write_all(folder / "train.jsonl", rows());
    write_all(folder / "eval.jsonl", "{\"prompt\": \"5+6=\", \"completion\": \"11\"}\n{\"prompt\": \"1+6=\", \"completion\": \"7\"}\n");
    config = write_all(folder / "sft.yaml", "run: {name: sft, threads: 1, dir: " + (folder / "runs") + "}\n" +
                                                "model:\n  init: {hidden_size: 32, intermediate_size: 64, num_layers: 2, num_heads: 2, num_kv_heads: 1, max_positions: 64}\n"
                                                "  dtype: bfloat16\n"
                                                "data: {train: " + (folder / "train.jsonl") + ", eval: " + (folder / "eval.jsonl") + "}\n" +
                                                "sft: {examples_per_step: 4, num_train_epochs: 2, max_length: 64, filter_overlong: true}\n"
                                                "optim: {learning_rate: 5.0e-3, lr_scheduler_type: cosine, warmup_ratio: 0.1}\n"
                                                "trainer: {logical_ranks: 4, eval_steps: 4, save_steps: 3}\n");
  }
  Outcome sft(std::vector<std::string> args, const Watch& watch = {}) const {
    args.insert(args.begin(), {"sft", config});
    return run_cohort(args, "", watch);
  }
  Outcome on_ranks(int ranks, const std::vector<std::string>& overrides) const {
    std::vector<std::string> args = {"-n", std::to_string(ranks), "--oversubscribe", COHORT_BINARY, "sft", config, "--quiet"};
    args.insert(args.end(), overrides.begin(), overrides.end());
    if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");  // Open MPI refuses root otherwise
    return run_program("mpirun", args);
  }
  std::vector<Json> metrics(const std::string& name) const {
    std::istringstream lines(read_all(folder / ("runs/" + name + "/metrics.jsonl")));
    std::vector<Json> all;
    for (std::string line; std::getline(lines, line);) all.push_back(parse_json(line, "metrics.jsonl"));
    return all;
  }
  // Metrics that are not measured, and the final weights.
  std::string result(const std::string& name) const {
    std::string text;
    for (const Json& step : metrics(name))
      for (const auto& [key, value] : step.items())
        if (!is_measured(key)) text += key + " " + dump_json(value) + "\n";
    const std::string adapter = folder / ("runs/" + name + "/final/adapter_model.safetensors");
    return text + read_all(fs::exists(adapter) ? adapter : folder / ("runs/" + name + "/final/model.safetensors"));
  }
  TemporaryFolder folder;
  std::string config;
};

TEST_F(SftCommand, LeavesARunDirectory) {
  const Outcome outcome = sft({});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* name : {"config.yaml", "metrics.jsonl", "checkpoints/step_12/manifest.json", "final/config.json", "final/model.safetensors", "final/tokenizer.json"})
    EXPECT_TRUE(fs::exists(folder / ("runs/sft/" + std::string(name)))) << name;
  EXPECT_FALSE(fs::exists(folder / "runs/sft/completions"));
  const std::vector<Json> steps = metrics("sft");
  ASSERT_EQ(steps.size(), 12u) << "two epochs of 23 examples, 4 a step";
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i]["step"], i + 1);
    for (const char* name : {"loss", "entropy", "mean_token_accuracy", "grad_norm", "learning_rate", "num_tokens", "epoch", "timing_s/step", "perf/peak_memory_gb"})
      EXPECT_TRUE(steps[i].contains(name)) << name;
    EXPECT_EQ(steps[i].contains("eval/loss"), (i + 1) % 4 == 0);
    EXPECT_EQ(steps[i].contains("eval/mean_token_accuracy"), (i + 1) % 4 == 0);
  }
  EXPECT_DOUBLE_EQ(steps.back()["epoch"].get<double>(), 2.0) << "each example is learnt exactly twice";
  EXPECT_EQ(steps.back()["num_tokens"].get<int64_t>() % 2, 0);
  EXPECT_LT(steps.back()["loss"].get<double>(), 0.7 * steps.front()["loss"].get<double>());
  EXPECT_NE(outcome.err.find("step  1/12  loss "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("1 of 24 rows are longer than sft.max_length 64 and left out"), std::string::npos) << outcome.err;
  for (const char* word : {"eval loss before", "eval loss after", "23; 1 were too long", "steps                       12"})
    EXPECT_NE(outcome.out.find(word), std::string::npos) << word << " in " << outcome.out;
  // The model is one like any other, and a run goes on from its end as a run that is done.
  EXPECT_EQ(run_cohort({"generate", folder / "runs/sft/final", "--prompt", "2+2=", "--max-completion-length", "3"}).exit_code, 0);
  EXPECT_EQ(run_cohort({"inspect", folder / "runs/sft"}).exit_code, 0);
}

TEST_F(SftCommand, TheSameBitsForAnyRanksAndThreadsAndPassesOfMemory) {
  ASSERT_EQ(sft({"--quiet", "run.name=one"}).exit_code, 0);
  const std::string expected = result("one");
  ASSERT_EQ(sft({"--quiet", "run.name=threads", "run.threads=2", "trainer.gradient_checkpointing=true"}).exit_code, 0);
  EXPECT_TRUE(result("threads") == expected);
  for (const int ranks : {1, 2, 3}) {
    const std::string name = "ranks" + std::to_string(ranks);
    const Outcome outcome = on_ranks(ranks, {"run.name=" + name});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_TRUE(result(name) == expected) << ranks;
  }
  const Outcome compared = run_cohort({"compare", folder / "runs/one", folder / "runs/ranks3"});
  EXPECT_EQ(compared.exit_code, 0) << compared.out << compared.err;
  const Outcome replayed = run_cohort({"replay", folder / "runs/one", "--step", "12", "--quiet"});
  EXPECT_EQ(replayed.exit_code, 0) << replayed.out << replayed.err;
  EXPECT_NE(replayed.out.find("identical: the metrics of steps 10 to 12"), std::string::npos) << replayed.out;
  EXPECT_NE(replayed.out.find("weights and optimizer state after step 12"), std::string::npos) << replayed.out;
}

TEST_F(SftCommand, TheSameBitsAcrossKillAndResumeOnOtherRanks) {
  ASSERT_EQ(sft({"--quiet", "run.name=whole"}).exit_code, 0);
  const Outcome killed = sft({"run.name=killed", "trainer.save_steps=1"}, [](pid_t child, const std::string& err) {
    if (err.find("step  8/12") == std::string::npos) return false;
    kill(child, SIGKILL);
    return true;
  });
  EXPECT_EQ(killed.exit_code, -1);
  EXPECT_FALSE(fs::exists(folder / "runs/killed/final"));
  bool kept = false;  // there is a checkpoint to go on from
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "runs/killed/checkpoints"))
    kept = kept || fs::exists(entry.path() / "manifest.json");
  ASSERT_TRUE(kept);
  const Outcome resumed = on_ranks(2, {"run.name=killed"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(result("killed") == result("whole"));
}

TEST_F(SftCommand, SavesAndStopsOnRequest) {
  const std::vector<std::string> longer = {"run.name=stopped", "sft.num_train_epochs=2000", "trainer.save_steps=0"};
  const Outcome stopped = sft(longer, [](pid_t child, const std::string& err) {
    if (err.find("step     1/11500") == std::string::npos) return false;
    kill(child, SIGUSR1);
    return true;
  });
  EXPECT_EQ(stopped.exit_code, 75) << stopped.err;
  EXPECT_NE(stopped.out.find("stopped on request"), std::string::npos) << stopped.out;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "runs/stopped/checkpoints"), {}), 1);
}

// With model.lora an adapter is learnt from the examples in place of the weights: docs/lora.md.
TEST_F(SftCommand, TrainsAnAdapter) {
  ASSERT_EQ(sft({"--quiet", "run.name=base", "sft.num_train_epochs=4"}).exit_code, 0);
  const std::string base = "model.path=" + (folder / "runs/base/final");
  const std::vector<std::string> lora = {"--quiet", "model.init=null", base, "model.lora={rank: 4, save_merged: true}", "trainer.save_steps=5"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), lora.begin(), lora.end());
    return more;
  };
  const std::string weights = read_all(folder / "runs/base/final/model.safetensors");
  const Outcome one = run_cohort({"sft", config, "model.init=null", base, lora[3], "trainer.save_steps=5", "run.name=one"});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_NE(one.err.find("LoRA: rank 4 of q_proj"), std::string::npos) << one.err;
  EXPECT_TRUE(read_all(folder / "runs/base/final/model.safetensors") == weights);
  const std::vector<Json> steps = metrics("one");
  EXPECT_LT(steps[9]["loss"].get<double>(), 0.9 * steps[0]["loss"].get<double>());
  const std::string adapter = folder / "runs/one/final", merged = folder / "runs/one/final_merged";
  EXPECT_EQ(parse_json(read_all(adapter + "/adapter_config.json"), "adapter")["base_model_name_or_path"], folder / "runs/base/final");
  EXPECT_FALSE(fs::exists(adapter + "/model.safetensors"));
  const std::string line = "{\"text\": \"2+2=4\"}\n";
  const Outcome of_adapter = run_cohort({"logprobs", adapter}, line);
  ASSERT_EQ(of_adapter.exit_code, 0) << of_adapter.err;
  EXPECT_EQ(run_cohort({"logprobs", merged}, line).out, of_adapter.out) << "the very weights that were trained with";
  EXPECT_NE(run_cohort({"logprobs", folder / "runs/base/final"}, line).out, of_adapter.out);
  // The same bits for any ranks, and stopped and gone on with.
  const std::string expected = result("one");
  ASSERT_EQ(on_ranks(3, with({"run.name=ranks"})).exit_code, 0);
  EXPECT_TRUE(result("ranks") == expected);
  ASSERT_EQ(sft(with({"run.name=two", "trainer.max_steps=7", "optim.lr_scheduler_type=constant", "optim.warmup_ratio=0"})).exit_code, 0);
  const Outcome longer = on_ranks(2, with({"run.name=two", "trainer.max_steps=12", "optim.lr_scheduler_type=constant", "optim.warmup_ratio=0"}));
  ASSERT_EQ(longer.exit_code, 0) << longer.err;
  ASSERT_EQ(sft(with({"run.name=three", "trainer.max_steps=12", "optim.lr_scheduler_type=constant", "optim.warmup_ratio=0"})).exit_code, 0);
  EXPECT_TRUE(read_all(folder / "runs/two/final/adapter_model.safetensors") == read_all(folder / "runs/three/final/adapter_model.safetensors"));
}

TEST_F(SftCommand, TheDryRunPrintsAConfigThatIsOneAndMemory) {
  const Outcome outcome = sft({"--dry-run"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* part : {"num_train_epochs: 2.0", "max_steps: -1", "# memory of one rank of 1, at most:", "training activations", "at most"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << " in " << outcome.out;
  EXPECT_EQ(outcome.out.find("rollout"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "runs"));
  const std::string resolved = write_all(folder / "resolved.yaml", outcome.out);
  EXPECT_EQ(run_cohort({"sft", resolved, "--dry-run"}).out, outcome.out);
}

TEST_F(SftCommand, RefusesBeforeTheRunDirectoryIsTouched) {
  EXPECT_REFUSED(sft({"sft.filter_overlong=false"}), 3, "train.jsonl: row \"line 24\": it has 75 tokens; sft.max_length allows 64");
  EXPECT_REFUSED(sft({"rollout.temperature=0.5"}), 2, "rollout.temperature: cohort sft does not read it");
  EXPECT_REFUSED(sft({"sft.max_length=128"}), 2, "sft.max_length 128 needs as many");
  EXPECT_REFUSED(sft({"data.train=" + (folder / "none.jsonl")}), 3, "none.jsonl");
  write_all(folder / "empty.jsonl", "\n");
  EXPECT_REFUSED(sft({"data.eval=" + (folder / "empty.jsonl")}), 3, "the data set is empty");
  EXPECT_REFUSED(run_cohort({"train", config}), 2, "section sft is for cohort sft");
  EXPECT_REFUSED(run_cohort({"sft", write_all(folder / "t.yaml", tiny_config(folder / "runs"))}), 2, "section sft is missing");
  EXPECT_FALSE(fs::exists(folder / "runs"));
  // A checkpoint of other data or another config.
  ASSERT_EQ(sft({"--quiet", "trainer.max_steps=3"}).exit_code, 0);
  EXPECT_REFUSED(sft({"run.name=other", "run.resume=" + (folder / "runs/sft/checkpoints/step_3")}), 2, "sft.num_train_epochs (now 2.0, was left to trainer.max_steps)");
  write_all(folder / "train.jsonl", rows().substr(rows().find('\n') + 1));
  EXPECT_REFUSED(sft({"trainer.max_steps=3", "run.name=other", "run.resume=" + (folder / "runs/sft/checkpoints/step_3")}), 2, "data");
}

TEST_F(SftCommand, LearnsWithoutEvaluationAndFromATask) {
  const Outcome outcome = sft({"data={task: {name: reverse, seed: 3, train_size: 8, eval_size: 4}}", "--quiet"});
  EXPECT_EQ(outcome.exit_code, 2) << "a section is not replaced as a whole";
  const Outcome task = sft({"data.train=null", "data.eval=null", "data.task={name: reverse, seed: 3, train_size: 8, eval_size: 4}", "--quiet"});
  ASSERT_EQ(task.exit_code, 0) << task.err;
  EXPECT_NE(task.out.find("eval loss after"), std::string::npos) << task.out;
  const Outcome plain = sft({"data.eval=null", "trainer.eval_steps=0", "trainer.max_steps=1", "run.name=plain", "--quiet"});
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_EQ(plain.out.find("eval loss"), std::string::npos) << plain.out;
  ASSERT_EQ(metrics("plain").size(), 1u);
}

}  // namespace
}  // namespace cohort
