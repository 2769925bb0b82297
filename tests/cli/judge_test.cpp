// The reward `judge` as a user meets it: a model that has learnt to judge, the same scores for any batch, threads and ranks, and verdicts that
// cannot be read.
#include "tests/cli/sharper_run.h"
#include "trainer/metrics.h"

namespace cohort {
namespace {

class JudgeCommand : public testing::Test {
 protected:
  // A model that answers "<score>9</score>" to what ends with 1, "<score>2</score>" to 2, and nonsense to 3.
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    std::string rows;
    for (int i = 0; i < 60; ++i) {
      const char* answer = i % 3 == 0 ? "<score>9</score>" : i % 3 == 1 ? "<score>2</score>" : "no score";
      rows += "{\"prompt\": \"Rate " + std::to_string(i) + ":" + std::to_string(i % 3 + 1) + "=\", \"completion\": \"" + answer + "\"}\n";
    }
    write_all(*folder / "rows.jsonl", rows);
    const std::string config = write_all(*folder / "sft.yaml", "run: {name: judge, dir: " + (*folder / "runs") + "}\n" +
                                                                   "model: {init: {hidden_size: 64, intermediate_size: 128, num_layers: 2, num_heads: 2, num_kv_heads: 1, max_positions: 96}, dtype: float32}\n"
                                                                   "data: {train: " + (*folder / "rows.jsonl") + "}\n" +
                                                                   "sft: {examples_per_step: 20, max_length: 64}\ntrainer: {max_steps: 150}\noptim: {learning_rate: 3.0e-3}\n");
    outcome = run_cohort({"sft", config, "--quiet"});
    model = *folder / "runs/judge/final";
  }
  static void TearDownTestSuite() { delete folder; }
  void SetUp() override { ASSERT_EQ(outcome.exit_code, 0) << outcome.err; }

  static std::string reward(const std::string& more = "") {
    return "[{name: judge, path: " + model + ", template: \"Rate {prompt}:{completion}=\", max_prompt_length: 40, max_completion_length: 20" + more + "}]";
  }
  static inline TemporaryFolder* folder = nullptr;
  static inline Outcome outcome;
  static inline std::string model;
};

TEST_F(JudgeCommand, VerdictsAreReadOrCounted) {
  const std::string config = write_all(*folder / "score.yaml", "reward: " + reward() + "\n");
  std::string input, reversed;
  for (int i = 0; i < 42; ++i) {
    const std::string line = "{\"prompt\": \"" + std::to_string(i) + "\", \"completion\": \"" + std::to_string(i % 3 + 1) + "\"}\n";
    input += line, reversed = line + reversed;
  }
  const std::string longer = "{\"prompt\": \"0\", \"completion\": \"" + std::string(50, '1') + "\"}\n";
  const Outcome scored = run_cohort({"score", config, "--explain", "run.threads=1"}, input + longer);
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  const std::vector<Json> lines = scored.records();
  ASSERT_EQ(lines.size(), 43u);
  for (size_t i = 0; i < 42; ++i) {
    EXPECT_EQ(lines[i]["reward"], i % 3 == 0 ? Json(0.9) : i % 3 == 1 ? Json(0.2) : Json()) << i << lines[i];
    EXPECT_EQ(lines[i]["outcome"]["judge"], i % 3 == 2 ? "unreadable" : "judged") << i;
  }
  EXPECT_NE(lines[2]["explain"]["judge"].get<std::string>().find("of the judge's answer: \"no score\""), std::string::npos) << lines[2];
  EXPECT_NE(lines[42]["explain"]["judge"].get<std::string>().find("the judge reads 40"), std::string::npos) << lines[42];
  // Sampled, a judge says what it says whatever it is asked beside.
  const std::string sampling = write_all(*folder / "sampling.yaml", "reward: " + reward(", temperature: 1.5, seed: 5, max_num_seqs: 3") + "\n");
  const std::vector<Json> one = run_cohort({"score", sampling, "--explain"}, input).records(),
                          other = run_cohort({"score", sampling, "--explain", "run.threads=3"}, reversed).records();
  ASSERT_EQ(one.size(), 42u);
  for (size_t i = 0; i < 42; ++i) EXPECT_EQ(one[i], other[41 - i]) << i;
  EXPECT_NE(one, std::vector<Json>(lines.begin(), lines.begin() + 42)) << "and it is sampled";
}

TEST_F(JudgeCommand, ARunIsTheSameOnAnyRanks) {
  const std::string config = write_all(*folder / "train.yaml", sharper_config(*folder / "runs", 3));
  std::string results[2];
  for (const int ranks : {1, 2}) {
    const std::string name = "rl" + std::to_string(ranks);
    const Outcome trained = train_on_ranks(ranks, config, {"run.name=" + name, "reward=" + reward()});
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    std::istringstream lines(read_all(*folder / ("runs/" + name + "/metrics.jsonl")));
    for (std::string line; std::getline(lines, line);) {
      const Json metrics = parse_json(line, "metrics.jsonl");
      for (const auto& [key, value] : metrics.items())
        if (!is_measured(key)) results[ranks - 1] += key + " " + dump_json(value) + "\n";
    }
    results[ranks - 1] += read_all(*folder / ("runs/" + name + "/final/model.safetensors"));
  }
  EXPECT_TRUE(results[0] == results[1]);
  EXPECT_NE(results[0].find("rewards/judge/outcome/unreadable "), std::string::npos);
  const Outcome planned = run_cohort({"train", config, "--dry-run", "reward=" + reward()});
  EXPECT_NE(planned.out.find("reward 'judge': KV cache, activations"), std::string::npos) << planned.out << planned.err;
}

TEST_F(JudgeCommand, RefusesOptionsThatDoNotFitTheModel) {
  const std::string config = write_all(*folder / "score.yaml", "reward: " + reward() + "\n");
  EXPECT_REFUSED(run_cohort({"score", config, "reward=" + reward(", system: x")}, ""), 2, "'system' is a message, but", "has no chat template");
  EXPECT_REFUSED(run_cohort({"score", config, "reward=[{name: judge, path: " + model + ", template: \"{completion}\", max_completion_length: 96}]"}, ""), 2,
                 "'max_completion_length' is 96;", "has 96 positions");
  EXPECT_REFUSED(run_cohort({"score", config, "reward=[{name: judge, path: " + (*folder / "none") + ", template: \"{completion}\"}]"}, ""), 3, "no such model folder");
  EXPECT_REFUSED(run_cohort({"score", config, "reward=[{name: judge, path: " + std::string(GOLDEN_DIR) + "/reward_model/llama, template: \"{completion}\"}]"}, ""), 3,
                 "is a reward model: it scores texts and cannot write any");
}

}  // namespace
}  // namespace cohort
