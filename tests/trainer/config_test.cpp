// Reading configs: every type into its place, defaults, scalars as YAML says; random edits give errors only.
#include "trainer/config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <set>

#include "core/check.h"
#include "core/files.h"
#include "tests/trainer/config_cases.h"
#include "trainer/config_names.h"
#include "trainer/config_schema.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

TEST(Config, ReadsEveryTypeIntoItsPlace) {
  const Config config = parse(R"(
run: {name: "a b", seed: 18446744073709551615, threads: 3}
model:
  init: {hidden_size: 64, num_heads: 2, rope_theta: 500000, max_positions: 128}
data:
  task: {name: reverse, seed: 7, train_size: 100, chat: true}
  max_prompt_length: 32
  shuffle: false
reward:
  - {name: last_number, weight: 0.5, column: result}
  - name: exact
  - {label: other, name: exact, column: b}
rollout: {temperature: 1, top_p: 0.95, max_completion_length: 64}
algorithm: {loss_type: dr_grpo, epsilon_high: -1}
optim: {learning_rate: 1e-6, adam_epsilon: 1.0e-8}
trainer:
  warm_start: {steps: 10}
comm: {timeout_s: 1.5, interface: '^docker,lo'}
)");
  EXPECT_EQ(config.run.name, "a b");
  EXPECT_EQ(config.run.seed, UINT64_MAX);
  EXPECT_EQ(config.run.threads, 3);
  ASSERT_TRUE(config.model.init.has_value());
  EXPECT_EQ(config.model.init->hidden_size, 64);
  EXPECT_EQ(config.model.init->num_layers, ModelInitConfig().num_layers);
  EXPECT_EQ(config.model.init->rope_theta, 500000.0f);
  ASSERT_TRUE(config.data.task.has_value());
  EXPECT_EQ(config.data.task->name, "reverse");
  EXPECT_EQ(config.data.task->train_size, 100);
  EXPECT_TRUE(config.data.task->chat);
  EXPECT_FALSE(config.data.shuffle);
  ASSERT_EQ(config.reward.size(), 3u);
  EXPECT_EQ(config.reward[0].name, "last_number");
  EXPECT_EQ(config.reward[0].reward(), "last_number");
  EXPECT_EQ(config.reward[0].weight, 0.5);
  EXPECT_EQ(config.reward[0].options, Json({{"column", "result"}}));
  EXPECT_EQ(config.reward[1].weight, 1.0);
  EXPECT_EQ(config.reward[1].options, Json::object());
  EXPECT_EQ(config.reward[2].name, "other");
  EXPECT_EQ(config.reward[2].reward(), "exact");
  EXPECT_EQ(config.reward[2].options, Json({{"column", "b"}}));
  EXPECT_EQ(config.rollout.temperature, 1.0f);
  EXPECT_EQ(config.rollout.top_p, 0.95f);
  EXPECT_EQ(config.algorithm.loss_type, "dr_grpo");
  EXPECT_EQ(config.optim.learning_rate, 1e-6f);
  EXPECT_EQ(config.optim.adam_epsilon, 1e-8f);
  ASSERT_TRUE(config.trainer.warm_start.has_value());
  EXPECT_EQ(config.trainer.warm_start->steps, 10);
  EXPECT_EQ(config.comm.timeout_s, 1.5);
  EXPECT_EQ(config.comm.interface, "^docker,lo");
  EXPECT_EQ(config.run_dir(), std::filesystem::path("runs/a b"));
}

TEST(Config, WhatIsNotGivenHasItsDefault) {
  const Config config = parse(kMinimal), standard;
  EXPECT_EQ(config.run, standard.run);
  EXPECT_EQ(config.rollout, standard.rollout);
  EXPECT_EQ(config.algorithm, standard.algorithm);
  EXPECT_EQ(config.optim, standard.optim);
  EXPECT_EQ(config.trainer, standard.trainer);
  EXPECT_EQ(config.comm, standard.comm);
  EXPECT_EQ(config.log, standard.log);
}

TEST(Config, NullLeavesOptionalKeysAndMapsOut) {
  const Config config = parse(
      "model: {path: m, init: null}\ndata: {train: t, eval: ~, task: null}\n"
      "reward: [{name: exact}]\ntrainer: {warm_start: null}\n");
  EXPECT_FALSE(config.model.init || config.data.task || config.trainer.warm_start);
  EXPECT_EQ(config.data.eval, "");
}

TEST(Config, CudaAndFastAreValues) {
  const Config config = with("run: {device: cuda, numerics: fast}");
  EXPECT_EQ(config.run.device, "cuda");
  EXPECT_EQ(config.run.numerics, "fast");
}

TEST(Config, OptionsAreTypedAsYamlSays) {
  const Json value = yaml_to_json(YAML::Load("{a: 1, b: -1.5, c: true, d: text, e: '1', f: [1, "
                                             "[2.0]], g: {h: 1e3}, i: 9223372036854775807}"),
                                  {"x"});
  EXPECT_EQ(
      value.dump(),
      R"({"a":1,"b":-1.5,"c":true,"d":"text","e":"1","f":[1,[2.0]],"g":{"h":1000.0},"i":9223372036854775807})");
  EXPECT_TRUE(value["g"]["h"].is_number_float());
  EXPECT_ERROR(yaml_to_json(YAML::Load("a: 9223372036854775808"), {"x"}), kUsage,
               "x:1: found the integer 9223372036854775808; it does not fit");
  EXPECT_ERROR(yaml_to_json(YAML::Load("a: 1e999"), {"x"}), kUsage, "does not fit into a double");
  EXPECT_ERROR(yaml_to_json(YAML::Load("[1,\n\n010]"), {"x"}), kUsage, "x:3: found 010, which");
}

TEST(Config, PlainScalarsAreWhatYamlSays) {
  const auto all = [](PlainKind kind, std::initializer_list<const char*> texts) {
    for (const char* text : texts) EXPECT_EQ(plain_kind(text), kind) << text;
  };
  all(PlainKind::null, {"", "~", "null", "Null", "NULL"});
  all(PlainKind::boolean, {"true", "false"});
  all(PlainKind::integer, {"0", "-0", "7", "-12", "1234567890123456789012"});
  all(PlainKind::real, {"1.0", "-0.5", ".5", "5.", "1e-6", "1.0e-6", "1E+3", "-1.e5"});
  all(PlainKind::text, {"a", "-", ".", "..", "e5", "1e", "1e+", "1.2.3", "2024-01-01", "1-2", "--1",
                        "0y", "nan", "inf", "x_1", "a/b", "1 2"});
  all(PlainKind::ambiguous,
      {"yes",   "No",    "ON",   "off",  "y",   "True", "FALSE", "010",  "-010",  "00",  "01.5",
       "1_000", "1_0.5", "0x1F", "0o17", "0b1", "+5",   "+0.5",  ".inf", "-.INF", ".NaN"});
}

TEST(Config, AnEmptyFileOrAListIsNoConfig) {
  EXPECT_ERROR(parse(""), kUsage, "f.yaml: the config is empty");
  EXPECT_ERROR(parse("- a\n"), kUsage,
               "f.yaml:1: a config must be a map of keys and values, found a list");
  EXPECT_ERROR(parse("run:\n\tname: a\n"), kUsage, "f.yaml:2: a tab");
}

TEST(Config, AFileThatCannotBeReadIsAMistakeOfTheCommandLine) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path();
  EXPECT_ERROR(load_config(folder / "cohort-absent.yaml"), kUsage, "cohort-absent.yaml");
  EXPECT_ERROR(load_config(folder), kUsage, folder.string());
}

TEST(Config, EveryFileOfConfigsIsValid) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::filesystem::path(SOURCE_DIR) / "configs")) {
    const std::string folder = entry.path().parent_path().filename();
    if (entry.path().extension() != ".yaml" || folder == "pipelines") continue;  // tests/pipeline
    SCOPED_TRACE(entry.path());
    const Config config = load_config(entry.path(), {}, ConfigUse::recorded);
    if (folder == "configs") {
      EXPECT_EQ(config.run.name, entry.path().stem());
    }
    EXPECT_EQ(config_to_yaml(parse_config(config_to_yaml(config), "printed", {}, ConfigUse::recorded)),
              config_to_yaml(config));
    ++files;
  }
  EXPECT_GE(files, 10);
}

// Edits by pieces of configs: whatever comes out is a config or an Error of exit code 2.
TEST(Config, RandomEditsGiveErrorsOnly) {
  const std::string document =
      read_file(std::filesystem::path(SOURCE_DIR) / "configs/quickstart.yaml");
  const std::vector<std::string> pieces = {
      "[",        "]",  "{",   "}",  ": ",   "- ",   ", ",     "\n",   "\n  ", "null",
      "~",        "-1", "1e9", "\"", "'",    "#",    "reward", "init", "name", "task",
      "rollout:", "x",  "0",   ".",  "true", "\xFF", "[]",     "{}"};
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  int accepted = 0, refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text = document;
    for (int edits = 1 + static_cast<int>(random() % 3); edits > 0; --edits) {
      const size_t at = random() % (text.size() + 1);
      if (random() % 2 == 0) text.erase(at, random() % 8);
      if (random() % 3 != 0)
        text.insert(std::min(at, text.size()), pieces[random() % pieces.size()]);
    }
    try {
      parse(text);
      ++accepted;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage) << error.what();
      EXPECT_EQ(std::string(error.what()).rfind("f.yaml:", 0), 0u) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(accepted, 100);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace cohort
