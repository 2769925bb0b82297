// The table of options is what rewards read: names, words, ranges, and which are needed; and what the docs say.
#include "reward/option_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/files.h"
#include "reward/reward.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

// Options with which check_reward takes each reward.
Json enough(const std::string& reward) {
  if (reward == "soft_overlong") return {{"max_length", 100}, {"buffer", 10}};
  if (reward == "cosine_length") return {{"max_length", 100}};
  if (reward == "code") return {{"sandbox", "local"}};
  if (reward == "command") return {{"command", Json::array({"true"})}};
  if (reward == "http") return {{"url", "http://127.0.0.1/x"}};
  if (reward == "library") return {{"path", "./x.so"}};
  if (reward == "keywords") return {{"require", Json::array({"x"})}};
  return Json::object();
}
// Rewards that start something are checked without it; the others are made.
std::string refusal(const std::string& reward, Json options) {
  try {
    check_reward({.name = reward, .options = std::move(options)});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}
std::string refusal_of(const OptionRow& row, const Json& value) {
  Json options = enough(std::string(row.reward));
  options[std::string(row.name)] = value;
  return refusal(std::string(row.reward), std::move(options));
}

TEST(OptionTable, EveryOptionIsOfAReward) {
  const std::vector<std::string> rewards = reward_names();
  std::set<std::string> seen;
  for (const OptionRow& row : reward_option_rows()) {
    EXPECT_NE(std::ranges::find(rewards, row.reward), rewards.end()) << row.reward;
    EXPECT_TRUE(seen.insert(fmt::format("{}.{}", row.reward, row.name)).second) << row.reward << "." << row.name;
    EXPECT_FALSE(row.help.empty());
  }
  for (const std::string& reward : rewards) {
    EXPECT_EQ(refusal(reward, enough(reward)), "");
    Json unknown = enough(reward);
    unknown["nonsense_"] = 1;
    const std::string refused = refusal(reward, unknown);
    for (const OptionRow* row : options_of_reward(reward)) EXPECT_NE(refused.find(fmt::format(", {}", row->name)), std::string::npos) << refused;
  }
}

TEST(OptionTable, IsWhatRewardsRead) {
  for (const OptionRow& row : reward_option_rows()) {
    SCOPED_TRACE(fmt::format("{}.{}", row.reward, row.name));
    if (row.kind == OptionKind::word) {
      for (const std::string& word : option_words(row)) EXPECT_EQ(refusal_of(row, word), "");
      EXPECT_NE(refusal_of(row, "nonsense_").find(fmt::format("allowed are {}", option_range(row))), std::string::npos) << refusal_of(row, "nonsense_");
    }
    if (row.kind == OptionKind::number || row.kind == OptionKind::whole) {
      const bool whole = row.kind == OptionKind::whole;
      const auto value = [&](double number) { return whole ? Json(static_cast<int64_t>(number)) : Json(number); };
      const double beyond = whole ? 1 : 1e-3 * (row.high - row.low);
      EXPECT_NE(refusal_of(row, value(row.low - beyond)).find("allowed is a"), std::string::npos);
      EXPECT_NE(refusal_of(row, value(row.high + beyond)).find("allowed is a"), std::string::npos);
      EXPECT_NE(refusal_of(row, "nonsense_").find("allowed is a"), std::string::npos);
    }
    if (row.needed) {
      Json options = enough(std::string(row.reward));
      options.erase(std::string(row.name));
      EXPECT_NE(refusal(std::string(row.reward), options), "");
    }
  }
}

// What a person reads of each option stands in the docs, with its default where that is in a table.
TEST(OptionTable, TheDocsKnowEveryOption) {
  std::string docs;
  for (const char* file : {"rewards.md", "outside-rewards.md", "code-reward.md"}) docs += read_file(std::string(SOURCE_DIR) + "/docs/" + file);
  for (const OptionRow& row : reward_option_rows()) {
    EXPECT_NE(docs.find(fmt::format("`{}`", row.name)), std::string::npos) << row.reward << "." << row.name;
    if (row.kind == OptionKind::word)
      for (const std::string& word : option_words(row)) EXPECT_NE(docs.find(word), std::string::npos) << row.reward << "." << row.name << ": " << word;
  }
  for (const OptionRow& row : reward_option_rows()) {
    if (row.reward != "command" && row.reward != "http") continue;  // their tables have a row for each
    if (row.standard) EXPECT_NE(docs.find(fmt::format("| `{}` | {} |", row.name, option_default(row))), std::string::npos) << row.reward << "." << row.name;
  }
}

}  // namespace
}  // namespace cohort
