// On-policy distillation in whole runs: who has nothing to learn from a teacher learns nothing, and who has does it with the same bits for any
// ranks and across resume.
#include <fmt/format.h>

#include "tests/cli/sharper_run.h"
#include "trainer/metrics.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

std::vector<double> reverse_kls(const std::string& run) {
  std::vector<double> values;
  std::istringstream lines(read_all(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) values.push_back(parse_json(line, "metrics.jsonl")["teacher/reverse_kl"].get<double>());
  return values;
}

TEST(Distillation, ATeacherTeachesWhatTheStudentIsNot) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", sharper_config(folder / "runs", 4));
  ASSERT_EQ(run_cohort({"train", config, "--quiet", "run.name=teacher"}).exit_code, 0);
  const std::string teacher = folder / "runs/teacher/final";
  // Its own log-probs are those that were recorded, bit for bit, so that nothing moves.
  const Outcome itself = run_cohort({"train", config, "--quiet", "run.name=itself", "trainer.warm_start=null", "model.init=null", "model.path=" + teacher,
                                     "algorithm.teacher=" + teacher, "reward=[{name: last_number, weight: 0}]"});
  ASSERT_EQ(itself.exit_code, 0) << itself.err;
  EXPECT_EQ(reverse_kls(folder / "runs/itself"), std::vector<double>(5, 0.0));
  EXPECT_TRUE(read_all(folder / "runs/itself/final/model.safetensors") == read_all(teacher + "/model.safetensors"));
  // A smaller model from scratch. Its rewards do not count: all that teaches is the teacher.
  const std::vector<std::string> student = {"trainer.warm_start=null", "algorithm.teacher=" + teacher, "run.seed=7", "model.init.num_layers=1",
                                            "reward=[{name: last_number, weight: 0}]", "trainer.max_steps=24", "trainer.save_steps=12",
                                            "optim.learning_rate=1.0e-2", "rollout.staleness=1", "algorithm.rollout_correction=token_truncate"};
  const auto train = [&](int ranks, const std::string& name, std::vector<std::string> more = {}) {
    more.insert(more.end(), student.begin(), student.end());
    more.push_back("run.name=" + name);
    return train_on_ranks(ranks, config, more);
  };
  ASSERT_EQ(train(1, "one").exit_code, 0);
  const std::vector<double> kls = reverse_kls(folder / "runs/one");
  ASSERT_EQ(kls.size(), 24u);
  EXPECT_GT(kls.front(), 0.5);
  EXPECT_FALSE(read_all(folder / "runs/one/final/model.safetensors").empty());
  ASSERT_EQ(train(2, "two").exit_code, 0);
  fs::remove_all(folder / "runs/two/final");
  ASSERT_EQ(train(1, "two", {"run.resume=" + (folder / "runs/two/checkpoints/step_12")}).exit_code, 0);
  EXPECT_EQ(reverse_kls(folder / "runs/two"), kls);
  EXPECT_TRUE(read_all(folder / "runs/two/final/model.safetensors") == read_all(folder / "runs/one/final/model.safetensors"));

  // Another teacher than the checkpoint's, and one that reads other tokens.
  const std::string other = folder / "other";
  fs::copy(teacher, other);
  const std::string weights = read_all(other + "/model.safetensors");
  write_all(other + "/model.safetensors", weights.substr(0, weights.size() - 1) + static_cast<char>(weights.back() ^ 1));
  const auto with_teacher = [&](const std::string& path, const std::string& name) {
    return run_cohort({"train", config, "--quiet", "trainer.warm_start=null", "model.init.num_layers=1", "run.seed=7", "reward=[{name: last_number, weight: 0}]",
                       "trainer.max_steps=24", "trainer.save_steps=12", "optim.learning_rate=1.0e-2", "rollout.staleness=1",
                       "algorithm.rollout_correction=token_truncate", "algorithm.teacher=" + path, "run.name=" + name,
                       "run.resume=" + (name == "one" ? folder / "runs/one/checkpoints/step_12" : std::string("auto"))});
  };
  EXPECT_REFUSED(with_teacher(other, "one"), 3, "the teacher (algorithm.teacher) has other weights than when the checkpoint was written");
  const std::string tokens = read_all(other + "/tokenizer.json");
  write_all(other + "/tokenizer.json", with_replaced(with_replaced(tokens, "<|endoftext|>", "<|end_of_it|>"), "<|endoftext|>", "<|end_of_it|>"));
  fs::remove(other + "/tokenizer_config.json");
  EXPECT_REFUSED(with_teacher(other, "new"), 3, "its token 256 is '<|end_of_it|>', the student's is '<|endoftext|>'; allowed: a teacher of the student's vocabulary");
}

// One that is an adapter is its base with the adapter merged, as where else a model only reads.
TEST(Distillation, ATeacherMayBeAnAdapterAndOneThatIsNotThereIsNamed) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", sharper_config(folder / "runs", 2));
  ASSERT_EQ(run_cohort({"train", config, "--quiet", "run.name=base"}).exit_code, 0);
  const std::vector<std::string> from_base = {"train", config, "--quiet", "trainer.warm_start=null", "model.init=null", "model.path=" + (folder / "runs/base/final")};
  const auto run = [&](std::vector<std::string> more) {
    std::vector<std::string> args = from_base;
    args.insert(args.end(), more.begin(), more.end());
    return run_cohort(args);
  };
  const Outcome lora = run({"run.name=lora", "model.lora={rank: 2, save_merged: true}", "optim.learning_rate=1.0e-2"});
  ASSERT_EQ(lora.exit_code, 0) << lora.err;
  const auto learn = [&](const std::string& teacher, const std::string& name) {
    const Outcome outcome = run({"run.name=" + name, "algorithm.teacher=" + teacher, "reward=[{name: last_number, weight: 0}]"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return reverse_kls(folder / ("runs/" + name));
  };
  const std::vector<double> by_adapter = learn(folder / "runs/lora/final", "adapter"), by_merged = learn(folder / "runs/lora/final_merged", "merged");
  EXPECT_EQ(by_adapter, by_merged);
  EXPECT_NE(by_adapter, std::vector<double>(by_adapter.size(), 0.0)) << "a teacher that is its base teaches nothing";
  const Outcome plan = run({"--dry-run", "algorithm.teacher=" + (folder / "runs/lora/final")});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;

  for (const std::string dry : {"", "--dry-run"}) {
    std::vector<std::string> more = {"run.name=none", "algorithm.teacher=" + (folder / "nowhere")};
    if (!dry.empty()) more.push_back(dry);
    EXPECT_REFUSED(run(more), 3, "algorithm.teacher: " + (folder / "nowhere") + ": no such model folder");
  }
}

}  // namespace
}  // namespace cohort
