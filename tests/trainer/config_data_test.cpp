// Sources of data, the curriculum and the keys of evaluation: what they take, and what contradicts.
#include "tests/trainer/config_cases.h"
#include "trainer/evaluate.h"

namespace cohort {
namespace {

TEST(ConfigData, OneFileOrAListOfSources) {
  const Config config = with_data("{train: [{path: d/math.jsonl, weight: 3}, {name: code, path: c.jsonl}], eval: [{path: d/aime.jsonl}, "
                                  "{path: x.jsonl, name: gsm8k}]}");
  EXPECT_EQ(config.data.train.sources, (std::vector<DataSource>{{"math", "d/math.jsonl", 3}, {"code", "c.jsonl", 1}}));
  EXPECT_EQ(config.data.train.path, "");
  EXPECT_EQ(config.data.eval.sources, (std::vector<DataSource>{{"aime", "d/aime.jsonl", 1}, {"gsm8k", "x.jsonl", 1}}));
  EXPECT_EQ(with_data("{train: a.jsonl}").data.train, DataFiles("a.jsonl"));
  EXPECT_EQ(parse(kMinimal, {"data.train=[{path: b.jsonl}]"}).data.train.sources.size(), 1u);
  EXPECT_EQ(parse("model: {path: m}\ndata: {train: [{path: b.jsonl}]}\nreward: [{name: exact}]\n", {"data.train=c.jsonl"}).data.train,
            DataFiles("c.jsonl"));
}

TEST(ConfigData, SourcesThatAreWrongAreRefused) {
  const auto refused = [](const std::string& data, const char* message) {
    EXPECT_ERROR(with_data(data), kUsage, "f.yaml:2: data.");
    EXPECT_ERROR(with_data(data), kUsage, message);
  };
  refused("{train: []}", "data.train: found a list; it has 0 entries; allowed: the path of a JSONL file, null, or a list like [{name: math, path: "
                         "math.jsonl, weight: 1.0}]");
  refused("{train: [a.jsonl]}", "data.train: found \"a.jsonl\" as an entry; allowed: the path");
  refused("{train: {path: a}}", "data.train: found a map");
  refused("{train: [{name: a}]}", "data.train: a source without 'path'");
  refused("{train: [{path: a, wieght: 2}]}", "data.train: unknown key 'wieght' of a source; did you mean 'weight'? allowed: name, path, weight");
  refused("{train: t, eval: [{path: a, weight: 2}]}", "data.eval: unknown key 'weight' of a source; allowed: name, path");
  refused("{train: [{path: a, weight: 0}]}", "data.train: weight of a source: found 0; allowed: a number above 0 and at most 1000000");
  refused("{train: [{path: a, weight: -1.5}]}", "found -1.5");
  refused("{train: [{path: a, weight: x}]}", "found \"x\"; allowed: a number above 0");
  refused("{train: [{path: a, weight: 1.0e+9}]}", "allowed: a number above 0 and at most 1000000");
  refused("{train: [{path: \"\"}]}", "path of a source: found \"\"; allowed: a text that is not empty");
  refused("{train: [{path: a, name: \"b/c\"}]}", "name of a source: found \"b/c\"; allowed: letters, digits");
  refused("{train: [{path: \"a b.jsonl\"}]}", "the file's own name 'a b' cannot be a part of metrics' names; give the source a 'name'");
  refused("{train: [{path: x/a.jsonl}, {path: y/a.jsonl}]}", "two sources are called 'a', and their metrics would have one name");
  refused("{train: [{path: 5}]}", "data.train: path of a source: found 5; allowed: a text");
}

TEST(ConfigData, TheCurriculumNeedsARangeAndAReward) {
  const auto refused = [](const std::string& curriculum, const char* message) {
    EXPECT_ERROR(with_data("{train: t, curriculum: " + curriculum + "}"), kUsage, message);
  };
  refused("{}", "f.yaml:2: data.curriculum: min_pass_rate 0 and max_pass_rate 1 skip no problem; allowed: another range");
  refused("{min_pass_rate: 0.5, max_pass_rate: 0.25}", "data.curriculum.min_pass_rate 0.5 is more than max_pass_rate 0.25");
  refused("{max_pass_rate: 0.9, metric: last_number}", "data.curriculum.metric: found 'last_number'; allowed: one of exact");
  refused("{max_pass_rate: 1.5}", "data.curriculum.max_pass_rate: found the number 1.5; allowed: a number from 0 to 1");
  refused("{max_pass_rate: 0.9, skip_epochs: 0}", "data.curriculum.skip_epochs: found the integer 0");
  const Config config = with_data("{train: t, curriculum: {max_pass_rate: 0.9, metric: exact}}");
  EXPECT_EQ(config.data.curriculum, (CurriculumConfig{.metric = "exact", .max_pass_rate = 0.9}));
  EXPECT_FALSE(with_data("{train: t, curriculum: null}").data.curriculum);
}

TEST(ConfigEvaluation, NeedsCompletionsThatDiffer) {
  expect_refused({
      {"rollout: {num_generations_eval: 4}", "rollout.num_generations_eval: found 4 with rollout.eval_temperature 0, where all completions of a "
                                             "problem are one; allowed: 1, or an eval_temperature above 0"},
      {"trainer: {eval_pass_at_k: [1, 2]}", "trainer.eval_pass_at_k: found 2 with rollout.num_generations_eval 1; allowed: at most that"},
      {"trainer: {greater_is_better: false}", "trainer.greater_is_better: found false, but trainer.metric_for_best_model names no metric"},
      {"trainer: {metric_for_best_model: eval/accuracy}", "found eval/accuracy, but there is no data.eval to measure it on"},
  });
  const std::string evaluated = "model: {path: m}\ndata: {train: t, eval: e}\nreward: [{name: exact}]\nrollout: {num_generations_eval: 4, eval_temperature: 1.0}\n";
  EXPECT_ERROR(parse(evaluated + "trainer: {metric_for_best_model: eval/pass@3}\n"), kUsage,
               "f.yaml:5: trainer.metric_for_best_model: found 'eval/pass@3'; did you mean 'eval/pass@1'? allowed: eval/accuracy, eval/avg@4, eval/pass@1, "
               "eval/pass@2, eval/pass@4, eval/maj@4, eval/reward, eval/mean_length, eval/clipped_ratio");
  EXPECT_NO_THROW(parse(evaluated + "trainer: {metric_for_best_model: eval/mean_length, greater_is_better: false}\n"));
  EXPECT_NO_THROW(parse(evaluated + "trainer: {eval_pass_at_k: [3, 4], metric_for_best_model: eval/pass@3}\n"));
}

TEST(ConfigEvaluation, TheMetricsOfSeveralSetsHaveTheirNames) {
  Config config = minimal_config();
  config.data.eval.sources = {{"aime", "a"}, {"gsm8k", "g"}};
  const std::vector<std::string> names = eval_metric_names(config);
  EXPECT_EQ(names.front(), "eval/aime/accuracy");
  EXPECT_EQ(names[4], "eval/gsm8k/accuracy");
  EXPECT_EQ(names.back(), "eval/accuracy");
  EXPECT_EQ(eval_setting(config).pass_at_k, std::vector<int64_t>{1});
  config.rollout.num_generations_eval = 12;
  EXPECT_EQ(eval_setting(config).pass_at_k, (std::vector<int64_t>{1, 2, 4, 8, 12}));
  config.trainer.eval_pass_at_k = {5, 1, 5};
  EXPECT_EQ(eval_setting(config).pass_at_k, (std::vector<int64_t>{1, 5}));
}

}  // namespace
}  // namespace cohort
