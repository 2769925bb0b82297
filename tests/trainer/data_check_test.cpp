// cohort data check: each finding has a row that makes it, and data without faults has none.
#include "trainer/data_check.h"

#include "tests/core/expect_error.h"
#include "tests/trainer/dataset_file.h"

namespace cohort {
namespace {

class DataCheckTest : public DatasetFile {
 protected:
  DataReport check(const std::string& train, const std::string& eval = "", DataCheckSetting setting = {}) {
    std::vector<CheckedSource> sources = {{write(train, "train.jsonl")}};
    if (!eval.empty()) sources.push_back({write(eval, "eval.jsonl"), Json::object(), true});
    return check_data(sources, setting);
  }
  static const DataFinding* find(const DataReport& report, const std::string& kind) {
    const auto found = std::ranges::find(report.findings, kind, &DataFinding::kind);
    return found == report.findings.end() ? nullptr : &*found;
  }
  void expect(const DataReport& report, const std::string& kind, bool error, int64_t count, const std::string& place) {
    const DataFinding* finding = find(report, kind);
    ASSERT_NE(finding, nullptr) << kind << " in\n" << report_text(report);
    EXPECT_EQ(finding->error, error);
    EXPECT_EQ(finding->count, count);
    EXPECT_NE(finding->places.at(0).find(place), std::string::npos) << finding->places.at(0);
  }
};

constexpr const char* kGood =
    "{\"prompt\": \"3+4=\", \"answer\": \"7\"}\n"
    "{\"prompt\": \"3-4=\", \"answer\": -1}\n"
    "{\"prompt\": \"\\u00e9?\", \"answer\": \"12345\"}\n";

TEST_F(DataCheckTest, GoodDataHasLengthsAndNoFindings) {
  const DataReport report = check("{\"prompt\": \"3+4=\", \"answer\": \"7\"}\n{\"prompt\": \"3-4=\", \"answer\": \"-1\"}\n\n{\"prompt\": \"\\u00e9?\", \"answer\": \"12345\"}\n",
                                  "{\"prompt\": \"1+1=\", \"answer\": \"2\"}\n");
  EXPECT_TRUE(report.findings.empty()) << report_text(report);
  ASSERT_EQ(report.files.size(), 2u);
  const FileSummary& file = report.files[0];
  EXPECT_EQ(file.rows, 3);
  EXPECT_EQ(file.columns.at(1).name, "prompt");
  EXPECT_EQ(file.columns.at(0).types, (std::map<std::string, int64_t>{{"string", 3}}));
  EXPECT_EQ(file.prompt.min, 2) << "characters, not bytes";
  EXPECT_EQ(file.prompt.max, 4);
  EXPECT_EQ(file.answer.total, 1 + 2 + 5);
  EXPECT_FALSE(file.eval);
  EXPECT_TRUE(report.files[1].eval);
  const Json json = report_json(report);
  EXPECT_EQ(json["files"][0]["prompt_length"]["median"], 4);
  EXPECT_EQ(json["errors"], 0);
  EXPECT_NE(report_text(report).find("nothing found"), std::string::npos);
}

TEST_F(DataCheckTest, BadLinesAreListedAndTheOthersRead) {
  const DataReport report = check(
      "{\"prompt\": \"a\"}\nnonsense\n{\"prompt\": \"b\", \"id\": 1}\n{\"question\": \"c\"}\n{\"prompt\": \"d\", \"id\": 1}\n{\"prompt\": \"e\"}\n");
  EXPECT_EQ(report.files[0].rows, 3);
  EXPECT_EQ(report.files[0].bad_lines, 3);
  expect(report, "bad_line", true, 3, "train.jsonl:2: invalid JSON");
  EXPECT_NE(find(report, "bad_line")->places.at(1).find("train.jsonl:4: the row has no 'prompt'; its columns are \"question\""), std::string::npos);
  EXPECT_NE(find(report, "bad_line")->places.at(2).find("train.jsonl:5: the id \"1\" is already that of line 3"), std::string::npos);
  std::string many;
  for (int i = 0; i < 50; ++i) many += "[]\n";
  const DataReport all_bad = check(many);
  EXPECT_EQ(find(all_bad, "bad_line")->count, 50);
  EXPECT_EQ(find(all_bad, "bad_line")->places.size(), 10u);
  EXPECT_NE(report_text(all_bad).find("  and 40 more\n"), std::string::npos);
  expect(check("\n\n"), "empty", true, 1, "train.jsonl");
  EXPECT_ERROR(check_data({{folder / "absent.jsonl"}}, {}), kInput, "absent.jsonl");
}

TEST_F(DataCheckTest, RepeatedPromptsWithOneOrSeveralAnswers) {
  const DataReport report = check(
      "{\"prompt\": \"a b\", \"answer\": \"1\"}\n{\"prompt\": \"c\"}\n{\"prompt\": \"a b\", \"answer\": \"1\"}\n{\"prompt\": \"a b\", \"answer\": \"2\"}\n"
      "{\"prompt\": \" A\\tb\\n\", \"answer\": \"1\"}\n{\"prompt\": \"\\uff41 b\"}\n");
  expect(report, "duplicate", false, 2, "train.jsonl:3 repeats ");
  expect(report, "contradiction", false, 1, "train.jsonl:1 and ");
  expect(report, "near_duplicate", false, 2, "train.jsonl:5 repeats ");
  EXPECT_EQ(find(check(kGood), "near_duplicate"), nullptr) << "3+4 is not 3-4";
  EXPECT_EQ(report.errors(), 0);
}

TEST_F(DataCheckTest, EvaluationThatTrainingSees) {
  const char* eval = "{\"prompt\": [{\"role\": \"system\", \"content\": \"Be short.\"}, {\"role\": \"user\", \"content\": \"What IS  it?\"}]}\n";
  expect(check("{\"prompt\": \"x\"}\n{\"prompt\": \"what is it?\"}\n", eval), "leak", true, 1, "eval.jsonl:1 is ");
  EXPECT_EQ(find(check("{\"prompt\": \"what is it\"}\n", eval), "leak"), nullptr);
  EXPECT_EQ(find(check(kGood, "{\"prompt\": \"3*4=\"}\n"), "leak"), nullptr);
}

TEST_F(DataCheckTest, ColumnsThatAreNotInEveryRowOrOfOneType) {
  const DataReport report = check("{\"prompt\": \"a\", \"answer\": \"1\"}\n{\"prompt\": \"b\", \"answer\": 2, \"level\": 1}\n{\"prompt\": \"c\", \"answer\": \"\", \"level\": 1}\n");
  expect(report, "missing_column", false, 1, "\"level\" is not in ");
  EXPECT_NE(find(report, "missing_column")->places[0].find("train.jsonl:1"), std::string::npos);
  expect(report, "mixed_types", false, 1, "\"answer\": 1 number, 2 string");
  expect(report, "empty_answer", false, 1, "train.jsonl:3");
  expect(check("{\"prompt\": \" \\n\"}\n"), "blank_prompt", false, 1, "train.jsonl:1");
}

TEST_F(DataCheckTest, TokensOfPromptsThroughTheTemplate) {
  const std::vector<std::string> special = {"<|endoftext|>"};
  const Tokenizer tokenizer = Tokenizer::from_json(byte_tokenizer_json(special), "test");
  const ChatTemplate chat = ChatTemplate::parse("{% for m in messages %}[{{ m['content'] }}]{% endfor %}", "test"), none = ChatTemplate::load("/dev/null");
  DataCheckSetting setting{.tokenizer = &tokenizer, .chat_template = &chat, .config = {.max_prompt_length = 4}};
  const std::string rows = "{\"prompt\": \"\\u00e9\"}\n{\"prompt\": [{\"role\": \"user\", \"content\": \"abc\"}], \"answer\": \"wxyz\"}\n";
  const DataReport report = check(rows, "", setting);
  EXPECT_EQ(report.files[0].prompt.min, 2) << "bytes are this tokenizer's tokens";
  EXPECT_EQ(report.files[0].prompt.max, 5);
  EXPECT_EQ(report.files[0].answer.max, 4);
  expect(report, "too_long", true, 1, "train.jsonl:2 (5 tokens)");
  setting.config.max_prompt_length = 5;
  EXPECT_EQ(find(check(rows, "", setting), "too_long"), nullptr);
  setting.chat_template = &none;
  expect(check(rows, "", setting), "bad_line", true, 1, "train.jsonl:2: the row has messages as its prompt, but the model has no chat template");
}

TEST_F(DataCheckTest, ExamplesOfFineTuning) {
  const DataReport report = check(
      "{\"prompt\": \"p\", \"completion\": \"one\"}\n{\"prompt\": \"p\", \"completion\": \"other\"}\n{\"prompt\": \"p\", \"completion\": \"one\"}\n"
      "{\"messages\": [{\"role\": \"user\", \"content\": \"hello\"}, {\"role\": \"assistant\", \"content\": \"hi\"}]}\n",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}, {\"role\": \"assistant\", \"content\": \"ho\"}]}\n");
  EXPECT_EQ(report.files[0].answer.rows, 4);
  expect(report, "duplicate", false, 1, "train.jsonl:3 repeats ");
  EXPECT_EQ(find(report, "contradiction"), nullptr);
  expect(report, "leak", true, 1, "eval.jsonl:1 is ");
}

TEST(DataCheck, LengthsAreOfTheNearestRank) {
  EXPECT_EQ(summarize_lengths({}).rows, 0);
  const LengthSummary one = summarize_lengths({7});
  EXPECT_EQ(one.median, 7);
  EXPECT_EQ(one.percentile_95, 7);
  std::vector<int64_t> hundred;
  for (int64_t i = 100; i >= 1; --i) hundred.push_back(i);
  const LengthSummary many = summarize_lengths(hundred);
  EXPECT_EQ(many.median, 50);
  EXPECT_EQ(many.percentile_95, 95);
  EXPECT_EQ(many.total, 5050);
}

}  // namespace
}  // namespace cohort
