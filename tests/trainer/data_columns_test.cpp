// Columns by other names, and files packed with gzip: what problems and examples are read from.
#include "trainer/data_columns.h"

#include "tests/core/expect_error.h"
#include "tests/core/packed.h"
#include "tests/trainer/config_cases.h"
#include "tests/trainer/dataset_file.h"
#include "trainer/sft_data.h"

namespace cohort {
namespace {

Json json(const char* text) { return parse_json(text, "test"); }

TEST(DataColumns, AreRenamedAndCopiedOutOfObjects) {
  const Json row = json(R"({"a": 1, "b": {"c": {"d": "x"}, "e": [2]}, "f.g": 3, "f": {"g": 4}})");
  const auto mapped = [&](const char* columns) { return map_columns(row, json(columns), "f:1"); };
  EXPECT_EQ(mapped("{}"), row);
  EXPECT_EQ(mapped(R"({"prompt": "a"})"), json(R"({"b": {"c": {"d": "x"}, "e": [2]}, "f.g": 3, "f": {"g": 4}, "prompt": 1})"));
  EXPECT_EQ(mapped(R"({"answer": "b.c.d"})")["answer"], "x");
  EXPECT_EQ(mapped(R"({"answer": "b.c.d"})")["b"], row["b"]);
  EXPECT_EQ(mapped(R"({"x": "f.g"})")["x"], 3) << "a column of that very name goes before what lies inside one";
  EXPECT_EQ(mapped(R"({"a": "f", "f": "a"})"), json(R"({"b": {"c": {"d": "x"}, "e": [2]}, "f.g": 3, "a": {"g": 4}, "f": 1})")) << "exchanged";
  EXPECT_EQ(mapped(R"({"b": "b.e"})")["b"], json("[2]"));
}

TEST(DataColumns, WhatIsNotThereIsRefusedWithWhatIs) {
  const auto map = [](const char* row, const char* columns) { return map_columns(json(row), json(columns), "f:1"); };
  EXPECT_ERROR(map(R"({"a": 1, "b": 2})", R"({"prompt": "question"})"), kInput,
               R"(f:1: the row has no column 'question', which data.columns calls 'prompt'; its columns are "a", "b")");
  EXPECT_ERROR(map(R"({"a": 1})", R"({"prompt": "a.b"})"), kInput, "no column 'a.b'");
  EXPECT_ERROR(map(R"({"a": [1]})", R"({"prompt": "a.0"})"), kInput, "no column 'a.0'");
  EXPECT_ERROR(map(R"({"a": {"b": 1}})", R"({"prompt": "a."})"), kInput, "no column 'a.'");
}

TEST(DataColumns, AConfigGivesNamesToAllFilesOrToOne) {
  Config config = with_data("{train: [{path: a.jsonl, columns: {prompt: problem}}, {path: b.jsonl}], columns: {prompt: question}}");
  EXPECT_EQ(columns_of(config.data.train.sources[0], config.data), json(R"({"prompt": "problem"})"));
  EXPECT_EQ(columns_of(config.data.train.sources[1], config.data), json(R"({"prompt": "question"})"));
  EXPECT_EQ(parse_config(config_to_yaml(config), "printed").data.train, config.data.train);
  for (const char* wrong : {"{train: t, columns: {prompt: 5}}", "{train: t, columns: {prompt: \"\"}}", "{train: [{path: a, columns: {prompt: [a]}}]}"})
    EXPECT_ERROR(with_data(wrong), kUsage, "allowed: the name of a column of the file, e.g. {prompt: question, answer: reward_model.ground_truth}");
  EXPECT_ERROR(with_data("{train: [{path: a, columns: b}]}"), kUsage, "columns of a source: found \"b\"; allowed: a map");
  EXPECT_ERROR(with_data("{task: {name: addition}, columns: {prompt: a}}"), kUsage, "data.columns: found {\"prompt\":\"a\"}, but the problems of data.task");
}

// GSM8K, MATH and verl as their files come; packed or not, it is one data set.
TEST_F(DatasetFile, RowsOfOtherProgramsAreProblems) {
  const std::string gsm8k = R"({"question": "1 + 1?", "answer": "1 + 1 = 2\n#### 2"})" "\n";
  const std::string math = R"({"problem": "1 + 1?", "level": "Level 1", "type": "Algebra", "solution": "It is $\\boxed{2}$."})" "\n";
  const std::string verl = R"({"data_source": "openai/gsm8k", "prompt": [{"role": "user", "content": "1 + 1?"}], "ability": "math", )"
                           R"("reward_model": {"style": "rule", "ground_truth": "2"}, "extra_info": {"split": "train", "index": 0}})" "\n";
  const auto first = [&](const std::string& text, const char* columns) { return load_jsonl(write(text), 0, json(columns)).problems.at(0); };
  EXPECT_EQ(first(gsm8k, R"({"prompt": "question"})").prompt, "1 + 1?");
  EXPECT_EQ(first(gsm8k, R"({"prompt": "question"})").columns, json(R"({"answer": "1 + 1 = 2\n#### 2"})"));
  EXPECT_EQ(first(math, R"({"prompt": "problem", "answer": "solution"})").columns,
            json(R"({"level": "Level 1", "type": "Algebra", "answer": "It is $\\boxed{2}$."})"));
  const Problem problem = first(verl, R"({"answer": "reward_model.ground_truth", "id": "extra_info.index"})");
  EXPECT_EQ(problem.messages[0]["content"], "1 + 1?");
  EXPECT_EQ(problem.columns["answer"], "2");
  EXPECT_EQ(problem.id, "0");

  const fs::path packed_file = write(packed(gsm8k + gsm8k), "data.jsonl.gz");
  EXPECT_EQ(load_jsonl(packed_file, 0, json(R"({"prompt": "question"})")).fingerprint,
            load_jsonl(write(gsm8k + gsm8k), 0, json(R"({"prompt": "question"})")).fingerprint);
  EXPECT_ERROR(load_jsonl(packed_file), kInput, R"(data.jsonl.gz:1: the row has no 'prompt'; its columns are "question", "answer"; data.columns says which is meant, e.g. data.columns={prompt: question})");
  EXPECT_ERROR(load_jsonl(write(packed(gsm8k).substr(0, 30), "cut.jsonl.gz")), kInput, "cut.jsonl.gz: the gzip file ends within its data");

  const std::string pairs = R"({"question": "q", "response": "r"})" "\n";
  const std::vector<ExampleRow> examples = load_example_rows(write(pairs), 0, json(R"({"prompt": "question", "completion": "response"})"));
  EXPECT_EQ(examples.at(0).prompt, "q");
  EXPECT_EQ(examples.at(0).completion, "r");
}

TEST_F(DatasetFile, TheConfigsNamesReachTraining) {
  const fs::path file = write(R"({"question": "q", "answer": "2"})" "\n");
  DataSection data{.train = file, .eval = file, .columns = json(R"({"prompt": "question"})")};
  EXPECT_EQ(load_data(data).train.problems.at(0).prompt, "q");
  EXPECT_EQ(load_data(data).eval.problems.at(0).prompt, "q");
  data.train = {};
  data.train.sources = {{"a", file.string()}, {"b", write(R"({"problem": "p"})" "\n", "b.jsonl").string(), 1, json(R"({"prompt": "problem"})")}};
  EXPECT_EQ(load_data(data).train.problems.at(1).prompt, "p");
}

}  // namespace
}  // namespace cohort
