// cohort rm as a user runs it, and its model as a reward: the same bits for any ranks and across kill and resume, what is refused.
#include <csignal>
#include <filesystem>

#include "tests/cli/sharper_run.h"
#include "trainer/metrics.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// Sums, right and wrong; the last pair is too long.
std::string pairs() {
  std::string text;
  for (int i = 0; i < 23; ++i)
    text += "{\"prompt\": \"" + std::to_string(i) + "+1=\", \"chosen\": \"" + std::to_string(i + 1) + "\", \"rejected\": \"" + std::to_string(i) + "!\"}\n";
  return text + "{\"prompt\": \"long\", \"chosen\": \"" + std::string(70, 'x') + "\", \"rejected\": \"y\"}\n";
}

class RmCommand : public testing::Test {
 protected:
  RmCommand() {
    write_all(folder / "train.jsonl", pairs());
    write_all(folder / "eval.jsonl", "{\"prompt\": \"5+1=\", \"chosen\": \"6\", \"rejected\": \"5!\"}\n");
    config = write_all(folder / "rm.yaml", "run: {name: rm, threads: 1, dir: " + (folder / "runs") + "}\n" +
                                               "model:\n  init: {hidden_size: 32, intermediate_size: 64, num_layers: 2, num_heads: 2, num_kv_heads: 1, max_positions: 64}\n"
                                               "  dtype: bfloat16\n"
                                               "data: {train: " + (folder / "train.jsonl") + ", eval: " + (folder / "eval.jsonl") + "}\n" +
                                               "rm: {pairs_per_step: 4, num_train_epochs: 2, max_length: 64, filter_overlong: true, center_rewards_coefficient: 0.01}\n"
                                               "optim: {learning_rate: 5.0e-3, lr_scheduler_type: cosine}\n"
                                               "trainer: {logical_ranks: 4, eval_steps: 4, save_steps: 3}\n");
  }
  Outcome rm(std::vector<std::string> args, const Watch& watch = {}) const {
    args.insert(args.begin(), {"rm", config});
    return run_cohort(args, "", watch);
  }
  Outcome on_ranks(int ranks, const std::vector<std::string>& overrides) const {
    std::vector<std::string> args = {"-n", std::to_string(ranks), "--oversubscribe", COHORT_BINARY, "rm", config, "--quiet"};
    args.insert(args.end(), overrides.begin(), overrides.end());
    if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");  // Open MPI refuses root otherwise
    return run_program("mpirun", args);
  }
  // Metrics that are not measured, and the final weights.
  std::string result(const std::string& name) const {
    std::istringstream lines(read_all(folder / ("runs/" + name + "/metrics.jsonl")));
    std::string text;
    for (std::string line; std::getline(lines, line);) {
      const Json metrics = parse_json(line, "metrics.jsonl");
      for (const auto& [key, value] : metrics.items())
        if (!is_measured(key)) text += key + " " + dump_json(value) + "\n";
    }
    return text + read_all(folder / ("runs/" + name + "/final/model.safetensors"));
  }
  TemporaryFolder folder;
  std::string config;
};

TEST_F(RmCommand, TheSameBitsForAnyRanksAndAcrossKillAndResume) {
  const Outcome one = rm({"trainer.gradient_checkpointing=true", "run.threads=2"});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  for (const char* word : {"eval accuracy before", "eval accuracy after         100.0 %", "pairs                       23; 1 were too long", "steps                       12"})
    EXPECT_NE(one.out.find(word), std::string::npos) << word << " in " << one.out;
  const Outcome json = rm({"run.name=json", "trainer.max_steps=1", "log.format=json", "--quiet"});
  ASSERT_EQ(json.exit_code, 0) << json.err;
  EXPECT_EQ(json.records().at(0)["event"], "summary") << json.out;
  EXPECT_EQ(json.records().at(0)["pairs"], 23) << json.out;
  EXPECT_NE(one.err.find("accuracy 1.000"), std::string::npos) << one.err;
  const std::string expected = result("rm");
  for (const char* name : {"loss", "accuracy", "margin", "mean_reward", "min_reward", "max_reward", "grad_norm", "eval/accuracy", "eval/loss", "epoch"})
    EXPECT_NE(expected.find(std::string(name) + " "), std::string::npos) << name;
  for (const int ranks : {2, 3}) {
    const std::string name = "ranks" + std::to_string(ranks);
    const Outcome outcome = on_ranks(ranks, {"run.name=" + name});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_TRUE(result(name) == expected) << ranks;
  }
  const Outcome killed = rm({"run.name=killed", "trainer.save_steps=1"}, [](pid_t child, const std::string& err) {
    if (err.find("step  8/12") == std::string::npos) return false;
    kill(child, SIGKILL);
    return true;
  });
  EXPECT_EQ(killed.exit_code, -1);
  ASSERT_FALSE(fs::exists(folder / "runs/killed/final"));
  const Outcome resumed = on_ranks(4, {"run.name=killed"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(result("killed") == expected);
  const Outcome replayed = run_cohort({"replay", folder / "runs/rm", "--step", "12", "--quiet"});
  EXPECT_EQ(replayed.exit_code, 0) << replayed.out << replayed.err;
  EXPECT_EQ(run_cohort({"inspect", folder / "runs/rm/final"}).exit_code, 0);
}

TEST_F(RmCommand, PairsThatTeachNothingAreTold) {
  const std::string equal = "{\"prompt\": \"1+1=\", \"chosen\": \"2\", \"rejected\": \"2\"}\n";
  write_all(folder / "train.jsonl", pairs() + equal + equal);
  const Outcome some = rm({"--quiet", "trainer.max_steps=1"});
  EXPECT_EQ(some.exit_code, 0) << some.err;
  EXPECT_NE(some.err.find("train.jsonl: in 2 of 25 pairs 'chosen' and 'rejected' are the same; they teach nothing"), std::string::npos) << some.err;
  EXPECT_EQ(some.err.find("eval.jsonl"), std::string::npos) << some.err;
  write_all(folder / "train.jsonl", equal + equal);
  EXPECT_REFUSED(rm({"--quiet", "run.name=none"}), 3, "train.jsonl: 'chosen' and 'rejected' are the same in each of its 2 pairs");
  EXPECT_FALSE(fs::exists(folder / "runs/none")) << "before the run directory is touched";
}

// Its end is where another begins, and what another run is rewarded by.
TEST_F(RmCommand, ItsModelIsAReward) {
  ASSERT_EQ(rm({"--quiet"}).exit_code, 0);
  const std::string model = folder / "runs/rm/final";
  const Outcome more = rm({"--quiet", "run.name=more", "model.init=null", "model.path=" + model, "trainer.max_steps=2", "optim.learning_rate=1e-4"});
  ASSERT_EQ(more.exit_code, 0) << more.err;
  EXPECT_NE(more.out.find("eval accuracy before        100.0 %"), std::string::npos) << more.out;

  const std::string rewards = write_all(folder / "score.yaml", "reward: [{name: model, path: " + model + "}]\n");
  std::string input;
  for (int i = 0; i < 40; ++i)
    input += "{\"prompt\": \"" + std::to_string(i) + "+1=\", \"completion\": \"" + (i % 2 == 0 ? std::to_string(i + 1) : std::to_string(i) + "!") + "\"}\n";
  input += "{\"prompt\": \"x\", \"completion\": \"" + std::string(80, 'x') + "\"}\n";
  const Outcome scored = run_cohort({"score", rewards, "--explain", "run.threads=1"}, input);
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  const std::vector<Json> lines = scored.records();
  double right = 0, wrong = 0;
  for (size_t i = 0; i < 40; ++i) (i % 2 == 0 ? right : wrong) += lines[i]["reward"].get<double>();
  EXPECT_GT(right, wrong + 20);
  EXPECT_NE(lines[0]["explain"]["model"].get<std::string>().find("the logit at token"), std::string::npos) << lines[0];
  EXPECT_EQ(lines[40]["outcome"]["model"], "none");
  EXPECT_NE(lines[40]["explain"]["model"].get<std::string>().find("the reward model reads 64"), std::string::npos) << lines[40];
  EXPECT_EQ(run_cohort({"score", rewards, "--explain", "run.threads=3"}, input).out, scored.out);

  const std::string train = write_all(folder / "train.yaml", sharper_config(folder / "runs", 3));
  const std::vector<std::string> by_model = {"reward=[{name: model, path: " + model + ", weight: 0.5}, {name: exact}]", "--quiet"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), by_model.begin(), by_model.end());
    return more;
  };
  for (const int ranks : {1, 3}) {
    const Outcome outcome = train_on_ranks(ranks, train, with({"run.name=rl" + std::to_string(ranks)}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  EXPECT_TRUE(result("rl1") == result("rl3"));
  EXPECT_NE(result("rl1").find("rewards/model/mean "), std::string::npos);
  // A dry run counts it; a checkpoint remembers the weights.
  std::vector<std::string> dry = with({"--dry-run"});
  dry.insert(dry.begin(), {"train", train});
  const Outcome planned = run_cohort(dry);
  EXPECT_NE(planned.out.find("reward 'model': weights"), std::string::npos) << planned.out << planned.err;
  fs::remove_all(folder / "runs/rm/final");
  fs::copy(folder / "runs/more/final", folder / "runs/rm/final", fs::copy_options::recursive);
  std::vector<std::string> resumed = with({"run.name=other", "run.resume=" + (folder / "runs/rl1/checkpoints/step_3")});
  resumed.insert(resumed.begin(), {"train", train});
  EXPECT_REFUSED(run_cohort(resumed), 3, "a model among the rewards has other weights than when the checkpoint was written");
}

TEST_F(RmCommand, RefusesBeforeTheRunDirectoryIsTouched) {
  EXPECT_REFUSED(rm({"rm.filter_overlong=false"}), 3, "train.jsonl: row \"line 24\": a conversation has 75 tokens; rm.max_length allows 64");
  EXPECT_REFUSED(rm({"rollout.temperature=0.5"}), 2, "rollout.temperature: cohort rm does not read it");
  EXPECT_REFUSED(rm({"sft.max_length=32"}), 2, "cohort rm does not read it: it is of another command");
  EXPECT_REFUSED(rm({"rm.max_length=128"}), 2, "rm.max_length 128 needs as many");
  EXPECT_REFUSED(rm({"run.device=cuda"}), 2, "where reward models are not trained; allowed: cpu");
  EXPECT_REFUSED(run_cohort({"train", config}), 2, "section rm is for cohort rm");
  EXPECT_REFUSED(run_cohort({"rm", write_all(folder / "t.yaml", tiny_config(folder / "runs"))}), 2, "section rm is missing");
  const Outcome dry = rm({"--dry-run"});
  ASSERT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_EQ(run_cohort({"rm", write_all(folder / "resolved.yaml", dry.out), "--dry-run"}).out, dry.out);
  EXPECT_FALSE(fs::exists(folder / "runs"));
}

TEST_F(RmCommand, LearnsFromATask) {
  const Outcome task = rm({"data.train=null", "data.eval=null", "data.task={name: reverse, seed: 3, train_size: 16, eval_size: 4}", "--quiet"});
  ASSERT_EQ(task.exit_code, 0) << task.err;
  EXPECT_NE(task.out.find("eval accuracy after"), std::string::npos) << task.out;
}

}  // namespace
}  // namespace cohort
