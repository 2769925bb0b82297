// run.resume: PATH and what else decides where a run goes on, on real ranks: the same command, given again, is always right.
#include "tests/faults/harness.h"

namespace cohort {
namespace {

constexpr int kSteps = 6;

// Equal in all steps from `first` on, and in the end.
void expect_same(const World& world, const std::string& one, const std::string& other, int64_t first, const std::string& what) {
  const RunComparison steps = compare_runs(world.run(one), world.run(other), {first, kSteps});
  EXPECT_FALSE(steps.first) << what << ": step " << steps.first->step << ", " << steps.first->where;
  EXPECT_EQ(steps.steps, kSteps - first + 1) << what;
  const std::string weights = "/final/model.safetensors";
  EXPECT_EQ(read_all(world.run(one) + weights), read_all(world.run(other) + weights)) << what;
}

// A request to save and stop comes in step `step`; then the same command is given again.
void stopped_and_again(const World& world, const std::string& name, int64_t step, std::vector<std::string> overrides) {
  overrides.push_back("trainer.save_total_limit=1");
  const Struck stopped = train_with_fault(world, name, 2, {"ask", "update", step, 1, ""}, overrides);
  EXPECT_EQ(stopped.outcome.exit_code, 75) << stopped.outcome.err;
  overrides.push_back("run.name=" + name);
  const Outcome again = train(COHORT_BINARY, 3, world.config, overrides);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.err.find("checkpoints/step_" + std::to_string(step) + ", which has come of run.resume "), std::string::npos) << again.err;
  EXPECT_EQ(again.err.find("step " + std::to_string(step) + "/"), std::string::npos) << again.err;
  EXPECT_EQ(again.err.find("are missing"), std::string::npos) << again.err;
}

TEST(QuickResume, ThePathGivenAgainGoesOnFromWhatHasComeOfIt) {
  const World world(kSteps);
  // Back to an earlier checkpoint of the run itself, which is removed meanwhile; and from one of another run.
  std::filesystem::copy(world.run("whole"), world.run("back"), std::filesystem::copy_options::recursive);
  std::filesystem::remove_all(world.run("back") + "/final");
  stopped_and_again(world, "back", 4, {"run.resume=" + world.run("back") + "/checkpoints/step_2"});
  EXPECT_FALSE(std::filesystem::exists(world.run("back") + "/checkpoints/step_2"));
  EXPECT_EQ(world.difference("back"), "");
  stopped_and_again(world, "branch", 4, {"run.resume=" + world.run("whole") + "/checkpoints/step_2"});
  expect_same(world, "whole", "branch", 3, "branch");
}

// As on two hosts that each have a disk of their own.
TEST(QuickResume, ARunDirectoryThatIsNotSharedIsToldAtOnce) {
  TemporaryFolder folder;
  const std::string config = write_all(folder / "config.yaml", faults_config("runs", 2));
  std::vector<std::string> args = {"--oversubscribe", "--bind-to", "none"};
  if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");
  for (const char* host : {"one", "other"}) {
    std::filesystem::create_directories(folder / host);
    if (host == std::string("other")) args.push_back(":");
    args.insert(args.end(), {"-n", "1", "-wdir", folder / host, COHORT_BINARY, "train", config});
  }
  const Outcome refused = run_program("mpirun", args, "", not_longer_than(std::chrono::seconds(60)));
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_NE(refused.err.find("rank 1 on " + host_name() + ": " + (folder / "other/runs/whole") + ": this host does not see what rank 0 has written there"), std::string::npos) << refused.err;
  EXPECT_EQ(refused.err.find("step 1/"), std::string::npos) << refused.err;
}

// What messages about numbers that are not finite advise.
TEST(QuickResume, ALowerLearningRateIsAnotherRunFromTheCheckpointOn) {
  const World world(kSteps);
  const std::vector<std::string> slower = {"run.resume=" + world.run("whole") + "/checkpoints/step_2", "optim.learning_rate=1.0e-5"};
  const auto run = [&](std::vector<std::string> overrides, const std::string& name) {
    overrides.push_back("run.name=" + name);
    return train(COHORT_BINARY, 1, world.config, overrides);
  };
  const Outcome refused = run(slower, "slower");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("optim.learning_rate (now 1.0e-05, was 0.0001)"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("run.name=NEW run.resume=" + world.run("whole") + "/checkpoints/step_2 run.allow_changes=[optim.learning_rate]"), std::string::npos)
      << refused.err;
  std::vector<std::string> allowed = slower;
  allowed.push_back("run.allow_changes=[optim.learning_rate]");
  EXPECT_EQ(run(allowed, "whole").exit_code, 2) << "not in the run that has gone on otherwise";
  const Outcome changed = run(allowed, "slower");
  EXPECT_EQ(changed.exit_code, 0) << changed.err;
  EXPECT_NE(changed.err.find("run.allow_changes: optim.learning_rate (now 1.0e-05, was 0.0001): another run from step 3 on"), std::string::npos) << changed.err;
  const Json lineage = parse_json(read_all(world.run("slower") + "/checkpoints/step_6/manifest.json"), "manifest")["lineage"];
  EXPECT_EQ(lineage[0]["step"], 2);
  EXPECT_EQ(lineage[0]["changes"].size(), 1u);
  stopped_and_again(world, "slower2", 5, allowed);
  expect_same(world, "slower", "slower2", 3, "a lower rate");
  const RunComparison whole = compare_runs(world.run("whole"), world.run("slower"), {3, kSteps});
  EXPECT_TRUE(whole.first && whole.first->step == 3 && whole.first->where.find("learning_rate") != std::string::npos) << "it has changed nothing";
}

TEST(QuickResume, MetricsThatWereCutAreTold) {
  const World world(kSteps);
  EXPECT_EQ(train_with_fault(world, "cut", 2, {"ask", "update", 4, 0, ""}, {}).outcome.exit_code, 75);
  const std::string file = world.run("cut") + "/metrics.jsonl", text = read_all(file);
  // The first line is whole, the second is not one, a third is cut short.
  write_all(file, text.substr(0, text.find('\n') + 1) + "{\"step\": \n" + text.substr(0, 9));
  const Outcome resumed = train(COHORT_BINARY, 1, world.config, {"run.name=cut"});
  EXPECT_EQ(resumed.exit_code, 0);
  EXPECT_NE(resumed.err.find("metrics.jsonl: steps 2 to 4 of 1 to 4 are missing: the file was cut or changed since"), std::string::npos) << resumed.err;
  EXPECT_NE(resumed.err.find("metrics.jsonl:2: "), std::string::npos) << resumed.err;
  EXPECT_NE(resumed.err.find("the file as it was is kept as " + file + ".1"), std::string::npos) << resumed.err;
  expect_same(world, "whole", "cut", 5, "cut");
}

TEST(QuickResume, ARunThatMustBeSavedByATimeStopsBeforeIt) {
  const World world(kSteps);
  const auto run = [&](const std::string& steps, const std::string& by) {
    return train(COHORT_BINARY, 2, world.config, {"run.name=by", "trainer.max_steps=" + steps, "trainer.save_steps=0", "trainer.checkpoint_must_save_by=" + by,
                                                  "log.completions_steps=1000"});
  };
  const auto start = std::chrono::steady_clock::now();
  const Outcome stopped = run("1000000", "00:00:00:06");
  EXPECT_EQ(stopped.exit_code, 75) << stopped.err;
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_NE(stopped.err.find("trainer.checkpoint_must_save_by 00:00:00:06: saving step "), std::string::npos) << stopped.err;
  const std::optional<std::filesystem::path> saved = newest_checkpoint(world.run("by") + "/checkpoints");
  ASSERT_TRUE(saved);
  const int64_t step = std::stoll(saved->filename().string().substr(5));
  EXPECT_GT(step, 0);
  const Outcome again = run(std::to_string(step + 1), "00:01:00:00");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.err.find("resuming from"), std::string::npos) << again.err;
}

}  // namespace
}  // namespace cohort
