// The tables of options are what rewards read: names, words, ranges, defaults, and what must be given; each option does something; and the
// pages that people read know all of them.
#include "reward/option_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/check.h"
#include "core/files.h"
#include "reward/reward.h"

namespace cohort {
namespace {

// Options with which check_reward takes each reward, beside or with `option`.
Json enough(const std::string& reward, const std::string& option = "") {
  if (reward == "soft_overlong") return {{"max_length", 100}, {"buffer", 10}};
  if (reward == "cosine_length") return {{"max_length", 100}};
  if (reward == "keywords") return {{"require", {"x"}}};
  if (reward == "regex") return {{"pattern", "x"}};
  if (reward == "language") return option == "target" ? Json{{"target", "de"}} : Json{{"script", "latin"}};
  if (reward == "code") return {{"sandbox", "local"}};
  if (reward == "command") return {{"command", {"true"}}};
  if (reward == "http") return {{"url", "http://127.0.0.1/x"}};
  if (reward == "library") return {{"path", "./x.so"}};
  if (reward == "model") return {{"path", "m"}};
  if (reward == "judge") return {{"path", "m"}, {"template", "{completion}"}};
  return Json::object();
}

// What check_reward says; "": it takes the options.
std::string refusal(const std::string& reward, const Json& options) {
  try {
    check_reward({.name = reward, .options = options});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}
std::string refusal_of(const std::string& reward, const OptionRow& row, const Json& value) {
  Json options = enough(reward, row.name);
  options[row.name] = value;
  return refusal(reward, options);
}

Json numeric(const OptionRow& row, double value) {
  if (row.type == OptionType::integer) return static_cast<int64_t>(value);
  return value;
}

// What no option of the type may be.
std::vector<Json> wrong_values(const OptionRow& row) {
  std::vector<Json> wrong = {nullptr, true};
  if (row.type == OptionType::value) return std::vector<Json>(1, 3);  // a JSON Schema may be true
  if (row.type == OptionType::number || row.type == OptionType::integer) {
    if (std::isfinite(row.bounds.low)) wrong.push_back(numeric(row, row.bounds.low - 1));
    if (std::isfinite(row.bounds.high)) wrong.push_back(numeric(row, row.bounds.high + 1));
    if (row.type == OptionType::integer) wrong.emplace_back(1.5), wrong.emplace_back(UINT64_MAX);
    wrong.emplace_back("1");
    return wrong;
  }
  wrong.emplace_back(3), wrong.emplace_back(""), wrong.push_back(Json::array({""}));
  if (row.type != OptionType::map) wrong.push_back(Json::object());
  return wrong;
}

TEST(OptionTable, IsComplete) {
  for (const std::string& reward : reward_names()) {
    SCOPED_TRACE(reward);
    EXPECT_EQ(refusal(reward, enough(reward)), "");
    EXPECT_GT(reward_summary(reward).size(), 10u);
    std::set<std::string> seen;
    const std::string refused = refusal(reward, {{"nonsense_", 1}});
    for (const OptionRow& row : reward_options(reward)) {
      EXPECT_TRUE(seen.insert(row.name).second) << row.name;
      EXPECT_GT(row.help.size(), 3u) << row.name;
      EXPECT_EQ(row.help.find('\n'), std::string::npos);
      EXPECT_NE(row.allowed().back(), ' ') << row.name << ": a number without a range";
      EXPECT_EQ(row.type == OptionType::word, !row.words.empty()) << row.name;
      EXPECT_TRUE(row.standard.is_null() || !row.needed) << row.name;
      EXPECT_NE(refused.find(", " + row.name), std::string::npos) << refused;
    }
  }
}

// A row that the reward does not read would take any value.
TEST(OptionTable, IsWhatTheRewardReads) {
  for (const std::string& reward : reward_names()) {
    for (const OptionRow& row : reward_options(reward)) {
      SCOPED_TRACE(reward + "." + row.name);
      for (const Json& value : wrong_values(row)) {
        const std::string refused = refusal_of(reward, row, value);
        EXPECT_NE(refused.find(row.name), std::string::npos) << value << ": " << refused;
      }
      for (const std::string& word : row.words) EXPECT_EQ(refusal_of(reward, row, word), "");
      if (!row.standard.is_null()) {
        EXPECT_EQ(refusal_of(reward, row, row.standard), "");
      }
      for (const double edge : {row.bounds.low, row.bounds.high}) {  // another check may find it too little or much beside the others
        if (!std::isfinite(edge)) continue;
        const std::string refused = refusal_of(reward, row, numeric(row, edge));
        EXPECT_EQ(refused.find(row.allowed()), std::string::npos) << refused;
      }
      if (!row.needed) continue;
      Json options = enough(reward);
      options.erase(row.name);
      EXPECT_NE(refusal(reward, options).find("'" + row.name), std::string::npos) << refusal(reward, options);
    }
  }
}

// One option of a reward that computes here, and a completion to which it makes a difference.
struct Change {
  const char *reward, *option;
  Json value;
  const char* completion;
  Json columns = {{"answer", "5"}, {"other", "6"}};
  Json base = {};  // beside `enough`
};

std::optional<double> score(const std::string& reward, const Json& options, const Change& change) {
  const std::vector<int32_t> ids = {1, 2, 1, 2, 1, 2, 1, 2};
  return make_reward({.name = reward, .options = options})->score({.completion = change.completion, .columns = &change.columns, .ids = ids});
}

TEST(OptionTable, EachOptionChangesAScore) {
  const Json words = {{"unit", "words"}};
  const Json sorted = {{"answer", "a, b"}, {"metadata", {{"source_dataset", "word_sorting"}, {"sorted_words", {"a", "b"}}}},
                       {"more", {{"source_dataset", "letter_counting"}}}};
  const std::vector<Change> changes = {
      {"last_number", "column", "other", "5"},
      {"exact", "column", "other", "5"},
      {"format", "tags", "think", "<think>a</think>b"},
      {"format", "score", "share", "<think>a</think>b"},
      {"format", "thinking", "some", "<think></think><answer>b</answer>"},
      {"math", "column", "other", "\\boxed{5}"},
      {"math", "mode", "strict", "it is 5"},
      {"math", "decimals", "round", "\\boxed{\\pi}", {{"answer", "3.14"}}},
      {"math", "percent", "either", "\\boxed{25}", {{"answer", "25\\%"}}},
      {"length", "min_length", 20, "a"},
      {"length", "max_length", 2, "a"},
      {"length", "unit", "words", "a", {}, {{"max_length", 2}}},
      {"soft_overlong", "max_length", 9, "a", {}, {{"buffer", 4}}},
      {"soft_overlong", "buffer", 6, "a", {}, {{"max_length", 10}}},
      {"soft_overlong", "unit", "words", "a", {}, {{"max_length", 8}, {"buffer", 4}}},
      {"cosine_length", "max_length", 9, "5"},
      {"cosine_length", "min_value_wrong", -2, "6"},
      {"cosine_length", "max_value_wrong", -0.75, "6"},
      {"cosine_length", "min_value_correct", 0.25, "5"},
      {"cosine_length", "max_value_correct", 2, "5"},
      {"cosine_length", "unit", "words", "5"},
      {"cosine_length", "correct", "exact", "it is 5"},
      {"cosine_length", "column", "other", "5"},
      {"cosine_length", "mode", "strict", "it is 5"},
      {"cosine_length", "decimals", "round", "\\boxed{\\pi}", {{"answer", "3.14"}}},
      {"cosine_length", "percent", "either", "\\boxed{25}", {{"answer", "25\\%"}}},
      {"repetition", "n", 1, "a"},
      {"repetition", "max_penalty", -2, "a"},
      {"repetition", "unit", "words", "a"},
      {"keywords", "require", Json{"y"}, "x"},
      {"keywords", "forbid", Json{"x"}, "x"},
      {"keywords", "case", "insensitive", "X"},
      {"regex", "pattern", "y", "x"},
      {"regex", "mode", "full", "xx"},
      {"regex", "part", "answer", "x</think>y"},
      {"regex", "case", "insensitive", "X"},
      {"language", "script", "greek", "a"},
      {"language", "target", "en", "This is the right answer."},
      {"language", "part", "thinking", "a</think>\xCE\xB1"},
      {"json", "schema", {{"type", "string"}}, "1"},
      {"similarity", "column", "other", "5"},
      {"similarity", "tag", "answer", "<answer>5</answer>"},
      {"reasoning_gym", "task", "letter_counting", "<answer>b, a</answer>", sorted},
      {"reasoning_gym", "column", "other", "<answer>5</answer>", {{"answer", "5"}, {"other", "6"}, {"metadata", {{"source_dataset", "letter_counting"}}}}},
      {"reasoning_gym", "metadata", "more", "<answer>b, a</answer>", sorted},
      {"reasoning_gym", "extract", "completion", "<answer>a, b</answer>", sorted},
      {"reasoning_gym", "credit", "full", "<answer>b, a</answer>", sorted},
  };
  std::set<std::string> tried;
  for (const Change& change : changes) {
    SCOPED_TRACE(fmt::format("{}.{}", change.reward, change.option));
    tried.insert(fmt::format("{}.{}", change.reward, change.option));
    Json options = enough(change.reward, change.option);
    if (change.base.is_object()) options.update(change.base);
    const std::optional<double> before = score(change.reward, options, change);
    ASSERT_TRUE(before);
    options[change.option] = change.value;
    EXPECT_NE(score(change.reward, options, change), before) << *before;
  }
  // The others start something, and have tests of their own.
  const std::set<std::string> others = {"code", "command", "http", "library", "model", "judge"};
  for (const std::string& reward : reward_names())
    for (const OptionRow& row : reward_options(reward))
      EXPECT_TRUE(others.contains(reward) || tried.contains(fmt::format("{}.{}", reward, row.name))) << reward << "." << row.name;
}

// The pages that explain rewards: each option and each word of it stands there, and where options have a table, with its default.
TEST(OptionTable, ThePagesKnowEveryOption) {
  std::string docs;
  for (const char* file : {"rewards.md", "outside-rewards.md", "code-reward.md", "reward-models.md"})
    docs += read_file(std::string(SOURCE_DIR) + "/docs/" + file);
  for (const std::string& reward : reward_names()) {
    for (const OptionRow& row : reward_options(reward)) {
      SCOPED_TRACE(reward + "." + row.name);
      EXPECT_NE(docs.find("`" + row.name + "`"), std::string::npos);
      for (const std::string& word : row.words) EXPECT_NE(docs.find(word), std::string::npos) << word;
      const std::string standard = row.standard.is_string() ? row.standard.get<std::string>()
                                   : row.standard.is_number_float() ? fmt::format("{}", row.standard.get<double>()) : row.standard.dump();
      if (reward != "command" && reward != "http" && reward != "code") continue;
      if (row.standard.is_number() && docs.find("| `" + row.name + "` |") != std::string::npos) {
        EXPECT_NE(docs.find(fmt::format("| `{}` | {} |", row.name, standard)), std::string::npos) << standard;
      }
    }
  }
}

}  // namespace
}  // namespace cohort
