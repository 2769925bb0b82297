// Why a score is what it is: each reward that computes here says so, in words that name what it found.
#include <gtest/gtest.h>

#include "reward/reward.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

struct Case {
  const char* reward;
  Json options;
  const char* completion;
  std::optional<double> score;
  const char* reason;
};

TEST(Explain, EachRewardSaysWhy) {
  const Json columns = {{"answer", "12.50"}};
  const std::string long_text(200, 'x');
  const std::vector<Case> cases = {
      {"exact", {}, " 12.50 ", 1, "the completion is the answer"},
      {"exact", {}, "12.5", 0, "the completion is '12.5', the answer '12.50'"},
      {"exact", {}, long_text.c_str(), 0, "xxx...', the answer"},
      {"exact", {{"column", "gold"}}, "x", {}, "the row has no text or number in its column 'gold'"},
      {"last_number", {}, "it is 1,250 or -0.0125", 0, "the last number is -0.0125, the answer 12.5"},
      {"last_number", {}, "so 0.00000000125e10", 1, "the last number is 12.5"},
      {"last_number", {}, "7e30", 0, "the last number is 0.7e31"},
      {"last_number", {}, "1500", 0, "the last number is 1500"},
      {"last_number", {}, "0", 0, "the last number is 0,"},
      {"last_number", {}, "none", 0, "the completion has no number"},
      {"length", {{"min_length", 3}, {"max_length", 5}, {"unit", "words"}}, "a b", 0, "length 2; 3 to 5 is wanted"},
      {"length", {{"min_length", 3}, {"unit", "words"}}, "a b c", 1, "length 3; at least 3 is wanted"},
      {"length", {{"min_length", 3}}, "a b c", {}, "the row has no token ids"},
      {"soft_overlong", {{"max_length", 6}, {"buffer", 4}, {"unit", "words"}}, "a b c d", -0.5, "length 4; the penalty begins above 2 and is whole above 6"},
      {"keywords", {{"require", {"a", "b"}}, {"forbid", {"c"}}}, "a", 0.5, "1 of 2 required words; the first that is missing: 'b'"},
      {"keywords", {{"require", {"a", "b"}}, {"forbid", {"c"}}}, "a c", 0, "it has 'c', which is forbidden"},
      {"repetition", {{"n", 1}, {"unit", "words"}}, "a a a b", -0.5, "50.0 % of the n-grams of 1 words come again"},
      {"language", {{"target", "de"}}, "Das ist richtig so. This is wrong.", 4.0 / 7, "4 of 7 words are de; 3 are en"},
      {"language", {{"script", "latin"}}, "ab\xD0\x96\xD0\x96", 0.5, "2 of 4 letters are latin"},
      {"regex", {{"pattern", "^a+$"}}, "aaa", 1, "the pattern matches"},
      {"regex", {{"pattern", "^a+$"}}, "b", 0, "the pattern does not match"},
      {"similarity", {{"tag", "x"}}, "12.50", 0, "there is no <x> ... </x>"},
      {"similarity", {}, "12.5", 8.0 / 9, "4 of 5 characters are found, in 4 given"},
      {"format", {}, "<think>a</think><answer>b", 0, "</answer> is missing"},
      {"format", {}, "<think>a<think>b</think><answer>b</answer>", 0, "<think> stands there more than once"},
      {"format", {}, "</think><think><answer>b</answer>", 0, "</think> stands before <think>"},
      {"format", {}, "so <think>a</think><answer>b</answer>", 0, "text before <think>"},
      {"format", {}, "<think>a</think>so<answer>b</answer>", 0, "text between </think> and <answer>"},
      {"format", {}, "<think>a</think><answer> </answer>", 0, "nothing between <answer> and </answer>"},
      {"format", {}, "<think>a</think><answer>b</answer>.", 0, "text behind </answer>"},
      {"format", {}, "<think>a</think><answer>b</answer>", 1, "as wanted"},
      {"format", {{"tags", "think"}}, "<think>a</think>", 0, "no answer behind </think>"},
      {"format", {{"tags", "think"}, {"thinking", "some"}}, "<think></think>b", 0, "nothing between <think> and </think>"},
      {"format", {{"score", "share"}}, "<think>a</think>", 0.5, "2 of 4 tags stand there once"},
      {"cosine_length", {{"max_length", 4}, {"unit", "words"}, {"correct", "exact"}}, "12.50", {}, "correct at length 1 of 4: the completion is the answer"},
      {"math", {}, "\\boxed{13}", 0, ""},
  };
  for (const Case& c : cases) {
    const auto reward = make_reward({.name = c.reward, .options = c.options.is_null() ? Json::object() : c.options});
    const RewardInput input{.completion = c.completion, .columns = &columns};
    const Verdict verdict = reward->explain(input);
    if (std::string_view(c.reward) != "cosine_length") {
      EXPECT_EQ(verdict.score, c.score) << c.reward << ": " << c.completion;
    }
    EXPECT_EQ(reward->score(input), verdict.score) << c.reward;
    EXPECT_FALSE(verdict.reason.empty()) << c.reward;
    EXPECT_NE(verdict.reason.find(c.reason), std::string::npos) << c.reward << ": " << verdict.reason;
  }
}

// Found by fuzzing: chain_sum read behind the end of such a text.
TEST(Explain, AColumnThatIsNoUtf8IsReadAsIfItsBytesWereReplaced) {
  const Json columns = {{"answer", "4" + std::string(60, '\xFF')}};
  const auto explain = [&](const char* name, Json options) {
    return make_reward({.name = name, .options = std::move(options)})->explain({.completion = "4\xFF", .columns = &columns});
  };
  EXPECT_EQ(explain("exact", Json::object()).score, 0);
  EXPECT_EQ(explain("math", Json::object()).score.value_or(0), 0);
  EXPECT_LT(explain("reasoning_gym", {{"task", "chain_sum"}, {"extract", "completion"}}).score.value_or(0), 1);
}

}  // namespace
}  // namespace cohort
