// Configs, data and models that `cohort` must refuse: exit code, file and line, what was found,
// what is allowed.
#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class Refused : public testing::Test {
 protected:
  // Trains with `config`, which stands in refused.yaml.
  Outcome train(const std::string& config, std::vector<std::string> overrides = {}) {
    const std::string file = write_all(folder / "refused.yaml", config);
    overrides.insert(overrides.begin(), {"train", file});
    return run_cohort(overrides);
  }
  Outcome train_on(const std::string& jsonl) {
    return train(jsonl_config(runs, write_all(folder / "train.jsonl", jsonl)), {"log.progress=false"});
  }
  TemporaryFolder folder;
  std::string runs = folder / "runs";
  std::string tiny = tiny_config(runs);
};

TEST_F(Refused, MissingConfig) {
  EXPECT_REFUSED(run_cohort({"train", folder / "absent.yaml"}), 2, "absent.yaml");
}

TEST_F(Refused, UnknownKey) {
  EXPECT_REFUSED(train(tiny + "zebra: {a: 1}\n"), 2, "refused.yaml:14", "zebra");
}

TEST_F(Refused, MisspeltKeyIsAnsweredWithTheRightOne) {
  std::string text = tiny;
  text.replace(text.find("num_generations"), 15, "num_generation");
  EXPECT_REFUSED(train(text), 2, "refused.yaml:10", "num_generation'", "num_generations");
}

TEST_F(Refused, MisspeltOverride) {
  EXPECT_REFUSED(train(tiny, {"trainer.max_step=3"}), 2, "max_step", "max_steps");
  EXPECT_REFUSED(train(tiny, {"nonsense"}), 2, "nonsense");
}

TEST_F(Refused, DuplicateKey) {
  EXPECT_REFUSED(train(tiny + "log: {progress: false}\n"), 2, "refused.yaml:14", "log");
}

TEST_F(Refused, BrokenYaml) { EXPECT_REFUSED(train("run: [\n"), 2, "refused.yaml"); }

TEST_F(Refused, AGroupOfOneHasNoAdvantage) {
  EXPECT_REFUSED(train(tiny, {"rollout.num_generations=1"}), 2, "num_generations");
}

TEST_F(Refused, AGpuThatThisBuildCannotUse) {
  EXPECT_REFUSED(train(tiny, {"run.device=cuda"}), 2, "run.device: cuda", "built without CUDA");
  EXPECT_REFUSED(train(tiny, {"run.device=cuda", "--dry-run"}), 2, "run.device: cuda", "built without CUDA");
}

TEST_F(Refused, UnknownReward) {
  EXPECT_REFUSED(train(tiny, {"reward=[{name: last_numbr}]"}), 2, "last_numbr", "last_number");
}

TEST_F(Refused, EmptyDataSet) { EXPECT_REFUSED(train_on("\n"), 3, "train.jsonl"); }

TEST_F(Refused, MissingDataSet) {
  EXPECT_REFUSED(train(jsonl_config(runs, folder / "absent.jsonl")), 3, "absent.jsonl");
}

TEST_F(Refused, BrokenLineOfADataSet) {
  EXPECT_REFUSED(train_on("{\"prompt\": \"1+1=\", \"answer\": 2}\n{\"prompt\": \"1+\n"), 3,
                 "train.jsonl:2");
}

TEST_F(Refused, PromptLongerThanTheLimit) {
  EXPECT_REFUSED(train_on("{\"prompt\": \"" + std::string(33, 'a') + "\", \"answer\": 2}\n"), 3,
                 "33", "32");
}

TEST_F(Refused, DataThatNoRewardCanJudge) {
  EXPECT_REFUSED(train_on("{\"prompt\": \"1+1=\", \"anwser\": 2}\n"), 3, "train.jsonl", "columns");
}

TEST_F(Refused, OutputOverItsOwnInput) {
  const TrainedModel trained;
  const std::string file = write_all(folder / "x.jsonl", "{\"text\": \"a\"}\n");
  EXPECT_REFUSED(run_cohort({"tokenize", trained.model(), "--input", file, "--output", file}), 2, "is the input");
  EXPECT_EQ(read_all(file), "{\"text\": \"a\"}\n");
}

TEST_F(Refused, ARefusedConfigLeavesTheRunAsItIs) {
  ASSERT_EQ(train(tiny, {"--quiet"}).exit_code, 0);
  const std::string before = read_all(runs + "/tiny/config.yaml");
  EXPECT_REFUSED(train(tiny, {"optim.learning_rate=0.5"}), 2, "learning_rate");
  EXPECT_REFUSED(train(tiny, {"data.task=null", "data.train=" + (folder / "absent.jsonl"), "run.resume=never"}), 3, "absent.jsonl");
  EXPECT_EQ(read_all(runs + "/tiny/config.yaml"), before);
  EXPECT_FALSE(fs::exists(runs + "/tiny.1"));
}

TEST_F(Refused, AStartThatIsRefusedLeavesNothingBehind) {
  const auto untouched = [&](const Outcome& outcome, int code, const char* words) {
    EXPECT_REFUSED(outcome, code, words);
    EXPECT_FALSE(fs::exists(runs)) << words;
  };
  const std::string quiet = "log.progress=false";
  untouched(train(tiny, {quiet, "data.max_prompt_length=2"}), 3, "prompt");
  untouched(train(tiny, {quiet, "rollout.stop_token_ids=[1000]"}), 2, "rollout.stop_token_ids: found 1000");
  untouched(train(tiny, {quiet, "rollout.kv_cache_gb=1.0e-6"}), 2, "one sequence of up to");
  untouched(train(tiny, {quiet, "rollout.kv_cache_gb=1000000", "rollout.max_completion_length=1000000",
                         "rollout.num_generations=4096", "trainer.prompts_per_step=16", "rollout.max_num_seqs=65536",
                         "model.init.max_positions=1048576"}),
            6, "rollout.kv_cache_gb is 1000000, and the KV cache would take");
  untouched(train(jsonl_config(runs, write_all(folder / "t.jsonl", "{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}]}\n")), {quiet}), 3,
            "chat template");
  untouched(train(jsonl_config(runs, folder / "absent.jsonl"), {quiet}), 3, "absent.jsonl");
}

TEST_F(Refused, AResumeThatIsRefusedChangesNothing) {
  const std::string row = "{\"prompt\": \"1+1=\", \"answer\": 2}\n";
  ASSERT_EQ(train_on(row).exit_code, 0);
  const std::string before = read_all(runs + "/tiny/config.yaml");
  EXPECT_REFUSED(train_on(row + row), 2, "training data differ");
  EXPECT_EQ(read_all(runs + "/tiny/config.yaml"), before);
  EXPECT_FALSE(fs::exists(runs + "/tiny.1"));
}

TEST_F(Refused, OptionsThatAreNoNumbers) {
  const TrainedModel trained;
  for (const char* option : {"--temperature", "--top-p", "--min-p"})
    EXPECT_REFUSED(run_cohort({"generate", trained.model(), "--prompt", "a", option, "nan"}), 2, "nan");
}

TEST_F(Refused, RunDirectoryBelowAFile) {
  write_all(folder / "file", "");
  EXPECT_REFUSED(train(tiny_config(folder / "file/runs")), 2, "file/runs");
}

TEST_F(Refused, MissingModelFolder) {
  EXPECT_REFUSED(run_cohort({"generate", folder / "absent", "--prompt", "a"}), 3, "absent");
  EXPECT_REFUSED(run_cohort({"inspect", folder / "absent"}), 3, "absent");
  const std::string text = tiny;
  const size_t init = text.find("  init:"), end = text.find('\n', init);
  EXPECT_REFUSED(train(text.substr(0, init) + "  path: " + (folder / "absent") + text.substr(end)),
                 3, "absent");
}

TEST_F(Refused, TruncatedWeights) {
  const TrainedModel trained;
  const std::string file = trained.model() + "/model.safetensors";
  fs::resize_file(file, fs::file_size(file) - 1);
  EXPECT_REFUSED(run_cohort({"generate", trained.model(), "--prompt", "a"}), 3, file);
}

TEST_F(Refused, WeightsOfAnotherShape) {
  const TrainedModel trained;
  const std::string file = trained.model() + "/config.json";
  Json config = parse_json(read_all(file), file);
  config["intermediate_size"] = 96;
  write_all(file, config.dump());
  EXPECT_REFUSED(run_cohort({"generate", trained.model(), "--prompt", "a"}), 3, "64", "96",
                 "model.layers.0.mlp");
}

TEST_F(Refused, MissingInputFile) {
  const TrainedModel trained;
  EXPECT_REFUSED(run_cohort({"tokenize", trained.model(), "--input", folder / "absent.jsonl"}), 3,
                 "absent.jsonl");
}

TEST_F(Refused, ImportOfWhatIsNoGguf) {
  const std::string file = write_all(folder / "broken.gguf", "GGUX");
  EXPECT_REFUSED(run_cohort({"import", file, folder / "out"}), 3, "broken.gguf");
  EXPECT_FALSE(fs::exists(folder / "out/config.json"));
}

}  // namespace
}  // namespace cohort
