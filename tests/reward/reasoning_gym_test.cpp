// The reward reasoning_gym against scores of reasoning-gym's own Python (scripts/goldens/make_reasoning_gym.py).
#include "reward/tasks/reasoning_gym.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <fstream>

#include "core/clock.h"
#include "reward/reward.h"
#include "reward/tasks/expression.h"
#include "reward/tasks/python_text.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

std::vector<Json> read_golden(const std::string& name) {
  const std::string path = std::string(GOLDEN_DIR "/reasoning_gym/") + name + ".jsonl";
  std::ifstream in(path);
  EXPECT_TRUE(in.is_open()) << path;
  std::vector<Json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(parse_json(line, path));
  return lines;
}

// The whole completion is the answer; null is a completion without answer tags.
Verdict judge(const Json& line, const std::string& task) {
  Json columns = {{"answer", line["answer"]}, {"metadata", line["metadata"]}};
  columns["metadata"]["source_dataset"] = task;
  const bool none = line["given"].is_null();
  const std::string completion = none ? "no tags" : line["given"].get<std::string>();
  const auto reward = make_reward({.name = "reasoning_gym", .options = {{"extract", none ? "tags" : "completion"}}});
  return reward->explain({.completion = completion, .columns = &columns});
}

TEST(ReasoningGym, ScoresAreThoseOfItsOwnScorers) {
  for (const tasks::Task& task : tasks::tasks()) {
    const std::vector<Json> lines = read_golden(std::string(task.name));
    EXPECT_EQ(lines.size(), 200u) << task.name;
    for (const Json& line : lines) {
      const Verdict verdict = judge(line, std::string(task.name));
      EXPECT_EQ(verdict.score, line["score"].get<double>()) << task.name << " " << line.dump() << "\n" << verdict.reason;
      EXPECT_NE(verdict.reason, "");
    }
  }
}

TEST(ReasoningGym, WhereItDiffersItDoesSoOnPurpose) {
  const std::vector<Json> lines = read_golden("differences");
  EXPECT_EQ(lines.size(), 14u);
  for (const Json& line : lines) {
    EXPECT_NE(line["score"], line["cohort"]);
    EXPECT_EQ(judge(line, line["task"]).score, line["cohort"].get<double>()) << line.dump();
  }
}

TEST(ReasoningGym, TheAnswerIsTheLastInTags) {
  for (const Json& line : read_golden("extraction")) {
    const std::string completion = line["completion"];
    const auto found = tasks::extract_answer(completion);
    EXPECT_EQ(found ? Json(*found) : Json(nullptr), line["answer"]) << completion;
  }
}

std::optional<double> score(Json options, const std::string& completion, const Json& columns) {
  return make_reward({.name = "reasoning_gym", .options = std::move(options)})->score({.completion = completion, .columns = &columns});
}

TEST(ReasoningGym, ReadsTheRowAsTheOptionsSay) {
  const Json entry = {{"answer", "15"}, {"metadata", {{"source_dataset", "chain_sum"}}}};
  EXPECT_EQ(score(nullptr, "<answer>15.0</answer>", entry), 1.0);
  EXPECT_EQ(score(nullptr, "15", entry), 0.0) << "without tags there is no answer";
  EXPECT_EQ(score({{"extract", "completion"}}, "15", entry), 1.0);
  EXPECT_EQ(score({{"task", "basic_arithmetic"}}, "<answer>15.0</answer>", entry), 0.5);
  EXPECT_EQ(score({{"column", "solution"}, {"metadata", "about"}}, "<answer>4</answer>",
                  {{"solution", 4}, {"about", {{"source_dataset", "chain_sum"}}}}),
            1.0);
  // Flat rows, and a list where reasoning-gym has the text of one.
  EXPECT_EQ(score({{"task", "countdown"}}, "<answer>2*3</answer>", {{"numbers", {3, 2}}, {"target", 6}}), 1.0);
  EXPECT_EQ(score({{"task", "number_sorting"}}, "<answer>[1, 2]</answer>", {{"answer", {1, "2"}}, {"direction", "ascending"}}), 1.0);
}

TEST(ReasoningGym, FullCreditIsForWhatIsWhollyRight) {
  const Json row = {{"numbers", {3, 2}}, {"target", 6}};
  for (const auto& [completion, partial, full] :
       {std::tuple{"<answer>2*3</answer>", 1.0, 1.0}, {"<answer>2+3</answer>", 0.05, 0.0}, {"nothing", 0.01, 0.0}}) {
    EXPECT_EQ(score({{"task", "countdown"}}, completion, row), partial) << completion;
    EXPECT_EQ(score({{"task", "countdown"}, {"credit", "full"}}, completion, row), full) << completion;
  }
  EXPECT_EQ(score({{"task", "countdown"}, {"credit", "full"}}, "<answer>6</answer>", Json::object()), std::nullopt) << "no score is not a score of 0";
}

// What its own scorers give 1, or more, without the task's being done.
TEST(ReasoningGym, FullCreditIsForNothingElse) {
  struct Case {
    Json row;
    const char *task, *right, *wrong;
    double partial;  // of the wrong one
  };
  const Json sorted = {{"answer", {"1.4", "2.2"}}, {"direction", "ascending"}};
  const double more_than_one = 1.0000000000000002;
  for (const Case& c : {Case{{{"numbers", {10, 3, 7}}, {"target", 14}}, "countdown", "10 - (3 - 7)", "14 - 0*(10+3+7)", 0.05},
                        Case{{{"numbers", {10, 3, 7}}, {"target", 10}}, "countdown", "", "10+(3==7)", 1},
                        Case{{{"numbers", {10, 3, 7}}, {"target", 10}}, "countdown", "", "10 + 3//7", 1},
                        Case{{{"numbers", {2, 5, 4}}, {"target", 10}}, "countdown", "4 * 5 / 2", "2.5*4", 1},
                        Case{{{"numbers", {999999, 7, 8}}, {"target", 999999}}, "countdown", "", "999999+8-7", 1},
                        Case{{{"numbers", {8, 3, 3}}, {"target", 8}}, "countdown", "8/3*3", "8*3-3", 0.05},
                        Case{sorted, "number_sorting", "[1.4, 2.2]", "[1, 2]", 1},
                        Case{{{"sorted_words", {"a", "b"}}}, "word_sorting", "a, b", "a, b, c", 1},
                        Case{{{"answer", "abcdefghi"}}, "spell_backward", "ABCDEFGHI", "abcdefghij", more_than_one}}) {
    const auto with = [&](const char* credit, const std::string& answer) {
      return score({{"task", c.task}, {"credit", credit}, {"extract", "completion"}}, answer, c.row);
    };
    EXPECT_EQ(with("partial", c.wrong), c.partial) << c.wrong;
    EXPECT_EQ(with("full", c.wrong), 0.0) << c.wrong;
    if (*c.right != 0) {
      EXPECT_EQ(with("full", c.right), 1.0) << c.right;
    }
  }
}

TEST(ReasoningGym, RowsThatCannotBeJudgedSayWhatTheyLack) {
  const auto reason = [](Json options, const Json& columns) {
    const Verdict verdict = make_reward({.name = "reasoning_gym", .options = std::move(options)})
                                ->explain({.completion = "<answer>1</answer>", .columns = &columns});
    EXPECT_EQ(verdict.score, std::nullopt) << columns.dump();
    EXPECT_EQ(verdict.missing, Missing::row);
    return verdict.reason;
  };
  EXPECT_NE(reason(nullptr, Json::object()).find("source_dataset"), std::string::npos);
  EXPECT_NE(reason(nullptr, {{"metadata", {{"source_dataset", "sudoku"}}}}).find("'sudoku'; there are countdown, chain_sum"), std::string::npos);
  EXPECT_NE(reason({{"task", "countdown"}}, {{"numbers", {1, 2.5}}, {"target", 3}}).find("'numbers'"), std::string::npos);
  EXPECT_NE(reason({{"task", "countdown"}}, {{"numbers", {1, 2}}}).find("'target'"), std::string::npos);
  EXPECT_NE(reason({{"task", "number_sorting"}}, {{"answer", "one, two"}, {"direction", "ascending"}}).find("list of numbers"), std::string::npos);
  EXPECT_NE(reason({{"task", "number_sorting"}}, {{"answer", "[1]"}}).find("'direction'"), std::string::npos);
  EXPECT_NE(reason({{"task", "word_sorting"}}, {{"sorted_words", Json::array()}}).find("'sorted_words'"), std::string::npos);
  for (const char* task : {"chain_sum", "spell_backward", "basic_arithmetic", "letter_counting"})
    EXPECT_EQ(reason({{"task", task}}, Json::object()), "the row has no answer");
  const auto reward = make_reward({.name = "reasoning_gym"});
  EXPECT_EQ(reward->score({.completion = "x", .columns = nullptr}), std::nullopt);
}

TEST(ReasoningGym, UnknownOptionsAndTasksAreRefused) {
  EXPECT_ERROR(make_reward({.name = "reasoning_gym", .options = {{"task", "count_down"}}}), kUsage, "did you mean 'countdown'?");
  EXPECT_ERROR(make_reward({.name = "reasoning_gym", .options = {{"extract", "box"}}}), kUsage, "allowed are tags, completion");
  EXPECT_ERROR(make_reward({.name = "reasoning_gym", .options = {{"credit", "none"}}}), kUsage, "allowed are partial, full");
  EXPECT_ERROR(make_reward({.name = "reasoning_gym", .options = {{"tasks", "row"}}}), kUsage, "did you mean 'task'?");
}

TEST(Expression, HasPythonsPrecedence) {
  const std::vector<std::pair<const char*, double>> rows = {
      {"2+3*4", 14}, {"-2**2", -4}, {"2**-1", 0.5}, {"2**3**2", 512}, {"7-2-1", 4}, {"16/4/2", 2}, {"-7//2", -4}, {"-7%3", 2},
      {"1+2^3", 0},  {"6^3|1", 5},  {"5!**2", 14400}, {"-3!", -6}, {"5!=3", 1}, {"(5==5)+3", 4}, {"1/3*3", 1}, {"--5", 5},
      {"sqrt(16)", 4}, {"4**(1/2)", 2}, {"(2\n+3)", 5}, {" 5 ", 5}, {"0**0", 1}, {"(-1)**99999999", -1}, {"5!!", 15}, {"1_000", 1000},
  };
  for (const auto& [text, value] : rows) EXPECT_EQ(tasks::evaluate_expression(text), value) << text;
  EXPECT_TRUE(std::isnan(*tasks::evaluate_expression("0/0+1")));
}

TEST(Expression, RefusesWhatHasNoValueOrIsTooLarge) {
  for (const char* text : {"", "x", "5/0", "2+\n3", "05", "5 !", "5!!!", "2 3", "2(3)", "0**-1", "(-8)**(1/3)", "2.5^1", "(", ")", "1..2", "5e",
                           "(-3)!", "1001!", "9**9**9", "9**9999999", "2**99999", "(10**9000)**9", "sqrt", "sqrt 4", "__import__('os')", "5//0", "5%0"})
    EXPECT_EQ(tasks::evaluate_expression(text), std::nullopt) << text;
  EXPECT_TRUE(tasks::evaluate_expression(std::string(60, '(') + "1" + std::string(60, ')')));
  for (const std::string& text : {std::string(5000, '('), std::string(3000, '-') + "1", std::string(70, '(') + "1" + std::string(70, ')'),
                                  std::string("1").append(5000, '+').append("1")})
    EXPECT_EQ(tasks::evaluate_expression(text), std::nullopt);
}

// The longest answers that a budget lets through, made to be slow.
TEST(Expression, HostileTextsTakeBoundedTime) {
  std::string products = "1", powers = "2", factorials = "1000!";
  while (products.size() < 4000) products += "*99999999999999999999";
  while (powers.size() < 4000) powers += "*3**999/7**998";
  while (factorials.size() < 4000) factorials += "/999!*1000!";
  const Clock::time_point start = Clock::now();
  for (const std::string& text : {products, powers, factorials}) tasks::evaluate_expression(text);
  EXPECT_LT(seconds_since(start), 5) << "it is some milliseconds where nothing else runs";
}

TEST(PythonText, NumbersAreReadAsPythonReadsThem) {
  EXPECT_EQ(tasks::parse_float(" 1_000.5 "), 1000.5);
  EXPECT_EQ(tasks::parse_float("٣"), 3.0);
  EXPECT_EQ(tasks::parse_float("-1e999"), -HUGE_VAL);
  EXPECT_EQ(tasks::parse_float("1e-999"), 0.0);
  for (const char* text : {"", "_1", "1__0", "1_", "1._5", "0x10", "snan", "1 2", "5\x1f", "+-1", "."}) EXPECT_EQ(tasks::parse_float(text), std::nullopt);
  EXPECT_TRUE(tasks::same_decimal("+01000.00", "1e3"));
  EXPECT_TRUE(tasks::same_decimal("1__0_", "10"));
  EXPECT_TRUE(tasks::same_decimal("-0", "0"));
  EXPECT_TRUE(tasks::same_decimal("1e999999999999999999", "10e999999999999999998"));
  for (const auto& [a, b] : std::vector<std::pair<const char*, const char*>>{
           {"nan", "nan"}, {"1e9999999999999999999", "1e9999999999999999999"}, {"1", "-1"}, {"1", "10"}, {"inf", "-inf"}, {"x", "x"}})
    EXPECT_FALSE(tasks::same_decimal(a, b)) << a << " " << b;
}

}  // namespace
}  // namespace cohort
