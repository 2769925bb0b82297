// The reward `similarity` against difflib.SequenceMatcher(None, completion, answer, autojunk=False).ratio().
#include <gtest/gtest.h>

#include "reward/reward.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

std::optional<double> score(std::string_view completion, const Json& answer, const Json& options = Json::object()) {
  const Json columns = {{"answer", answer}};
  return make_reward({.name = "similarity", .options = options})->score({.completion = completion, .columns = &columns});
}

struct Pair {
  const char *completion, *answer;
  double ratio;
};

TEST(Similarity, IsDifflibsRatio) {
  const Pair pairs[] = {
      {"cba", "abc", 0.3333333333333333},
      {"abc", "abc", 1.0},
      {"abcd", "bcda", 0.75},
      {"private Thread currentThread;", "private volatile Thread currentThread;", 0.8656716417910447},
      {"esuoh a", "a house", 0.14285714285714285},
      {"aaaa", "aa", 0.6666666666666666},
      {"x", "y", 0.0},
      {"abxcdyef", "abcdef", 0.8571428571428571},
      {"tide", "diet", 0.25},
      {"diet", "tide", 0.5},
      {"ca babac", "abab cb", 0.6666666666666666},
      {"aaccba", "aaaaa", 0.5454545454545454},
      {"baaaabbabb", "ababba", 0.625},
      {"caccc cb  bacac a c a", "bb", 0.17391304347826086},
      {"bbbbbabb", "ba", 0.4},
      {"babbabbbaaa", "bbaaabaabbbbaaabbaaabaab", 0.5142857142857142},
      {"abbab", "acbbccbbbbbbaabcacbb", 0.4},
      {"bbb", "bab", 0.6666666666666666},
      {"ccbbbccbbcacabcbbc", "bbcccbbbc", 0.4444444444444444},
      {"bbacbbbcacaabbbcacccbacc", "cbbcccbcaaacbccaa", 0.4878048780487805},
      {"a bbab", "cb b", 0.4},
      {"b", "abbcac c ac", 0.16666666666666666},
      {"babbbbabbbbaabbaaa", "abababbbbabb", 0.6},
      {"bbaccbcbbbbabbbbabaaccb", "baababcc", 0.45161290322580644},
  };
  for (const Pair& pair : pairs) EXPECT_DOUBLE_EQ(score(pair.completion, pair.answer).value(), pair.ratio) << pair.completion << " | " << pair.answer;
}

TEST(Similarity, LooksBetweenTags) {
  const Json tag = {{"tag", "reversed_text"}};
  EXPECT_EQ(score("Sure! <reversed_text>\n cba \n</reversed_text> there", "abc", tag), score("cba", "abc"));
  EXPECT_EQ(score("<reversed_text>abc</reversed_text><reversed_text>x</reversed_text>", " abc ", tag), 1.0) << "the first counts";
  EXPECT_EQ(score("abc", "abc", tag), 0.0);
  EXPECT_EQ(score("<reversed_text>abc", "abc", tag), 0.0);
  EXPECT_EQ(score("</reversed_text>abc<reversed_text>", "abc", tag), 0.0);
  EXPECT_EQ(score("<reversed_text></reversed_text>", "abc", tag), 0.0);
}

TEST(Similarity, CountsCharactersAndNotBytes) {
  EXPECT_DOUBLE_EQ(score("äx", "ä").value(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(score("\xff", "\xef\xbf\xbd").value(), 1.0) << "invalid bytes are U+FFFD";
}

TEST(Similarity, LongTextsAreNotCompared) {
  const std::string most(1000, 'a'), more(1001, 'a');
  EXPECT_EQ(score(most, most), 1.0);
  EXPECT_EQ(score(more, most), 0.0);
  EXPECT_EQ(score(most, more), std::nullopt);
}

TEST(Similarity, RowsWithoutAnAnswerAreNotJudged) {
  EXPECT_EQ(score("a", ""), std::nullopt);
  EXPECT_EQ(score("a", Json::array()), std::nullopt);
  EXPECT_EQ(score("12", 12), 1.0);
}

TEST(Similarity, RefusesWhatItDoesNotKnow) {
  EXPECT_ERROR(make_reward({.name = "similarity", .options = {{"tags", "a"}}}), kUsage, "did you mean 'tag'?");
  EXPECT_ERROR(make_reward({.name = "similarity", .options = {{"tag", "<a>"}}}), kUsage, "tag: found '<a>'; allowed: a name");
  EXPECT_ERROR(make_reward({.name = "similarity", .options = {{"tag", 1}}}), kUsage, "tag");
}

}  // namespace
}  // namespace cohort
