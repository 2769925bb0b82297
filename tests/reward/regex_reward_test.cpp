// The reward regex: what matches, what is refused, and that neither pattern nor completion makes it hang.
#include <gtest/gtest.h>

#include <string>

#include "core/check.h"
#include "reward/reward.h"

namespace cohort {
namespace {

std::optional<double> score(const Json& options, std::string_view completion) {
  return make_reward({.name = "regex", .options = options})->score({.completion = completion});
}

std::string refusal(const Json& options) {
  try {
    make_reward({.name = "regex", .options = options});
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kUsage);
    return e.what();
  }
  ADD_FAILURE() << "was not refused: " << options;
  return "";
}

#define EXPECT_SAYS(message, words) EXPECT_NE((message).find(words), std::string::npos) << (message)

TEST(RegexReward, SearchesOrMatchesAll) {
  const Json search = {{"pattern", "a|ab"}}, full = {{"pattern", "a|ab"}, {"mode", "full"}};
  EXPECT_EQ(score(search, "xxaxx"), 1.0);
  EXPECT_EQ(score(search, "xxx"), 0.0);
  EXPECT_EQ(score(full, " ab\n"), 1.0) << "the second alternative, white space aside";
  EXPECT_EQ(score(full, "abc"), 0.0);
  EXPECT_EQ(score(full, "xa"), 0.0);
  EXPECT_EQ(score({{"pattern", "a.b"}}, "a\nb"), 0.0);
  EXPECT_EQ(score({{"pattern", "(?s)a.b"}}, "a\nb"), 1.0);
  EXPECT_EQ(score({{"pattern", "(?m)^b$"}}, "a\nb\nc"), 1.0);
  EXPECT_EQ(score({{"pattern", "^$"}}, "  "), 1.0);
}

TEST(RegexReward, CaseAndCharactersAreUnicodes) {
  EXPECT_EQ(score({{"pattern", "stra\u00DFe \u00C9"}}, "STRASSE \u00E9"), 0.0);
  EXPECT_EQ(score({{"pattern", "\u00C9t\u00E9"}, {"case", "insensitive"}}, "\u00E9T\u00C9"), 1.0);
  EXPECT_EQ(score({{"pattern", "a"}}, "A"), 0.0);
  EXPECT_EQ(score({{"pattern", "^.\\w$"}}, "\u4E2D\u00E9"), 1.0);
  EXPECT_EQ(score({{"pattern", "^a.b$"}}, "a\xFF" "b"), 1.0) << "what is no UTF-8 counts as a replacement character";
}

TEST(RegexReward, TheAnswerFollowsTheLastThought) {
  const Json answer = {{"pattern", "\\d+"}, {"mode", "full"}, {"part", "answer"}};
  EXPECT_EQ(score(answer, "<think>5</think> x </think> 12 "), 1.0);
  EXPECT_EQ(score(answer, "<think>5</think> none"), 0.0);
  EXPECT_EQ(score(answer, "12"), 1.0) << "no thought at all";
  EXPECT_EQ(score({{"pattern", "5"}}, "<think>5</think> none"), 1.0);
}

// Each would take years, or the square of a long completion, without limits. The test's own time is the bound.
TEST(RegexReward, NothingHangs) {
  const std::string as(200'000, 'a');
  // [bc] and not b, which PCRE2 would look for first.
  for (const char* pattern : {"(a+)+$", "(a|aa)+[bc]", "(a*)*[bc]", "a*[bc]", "a*?a*?a*?[bc]", "(?=(a+))\\1*[bc]", "^(.*a){20}[bc]", "(?R)?a(?R)?[bc]",
                              "(a?){50}a{50}[bc]", "(?:a|(?1)[bc]|(a))*[bc]"})
    EXPECT_EQ(score({{"pattern", pattern}}, as + "!"), 0.0) << pattern;
  EXPECT_EQ(score({{"pattern", "a+!"}}, as + "!"), 1.0) << "and what is long and easy matches";
  EXPECT_EQ(score({{"pattern", "(?s)^.*!$"}}, as + "!"), 1.0);
}

// What one item does without a callout behind it counts too. There is a match at the end of each text, which only a search
// of too many steps finds, so a 0 tells that the steps ran out, on machines of any speed.
TEST(RegexReward, WorkWithinAnItemCounts) {
  const std::string word(59'999, 'a'), words = word + " " + word + " " + word + " " + word;
  const auto as = [](size_t count) { return std::string(count, 'a'); };
  EXPECT_EQ(score({{"pattern", "\\w{60000}"}}, words + " a" + word), 0.0);
  EXPECT_EQ(score({{"pattern", "(?x)\\w {60000} # a word"}}, words + " a" + word), 0.0);
  EXPECT_EQ(score({{"pattern", "(?i)(a*)\\1{50}[bc]"}}, as((256 << 10) + 1) + "b"), 0.0);
  EXPECT_EQ(score({{"pattern", "(?i)(?<n>a*)\\k<n>{50}[bc]"}}, as((256 << 10) + 1) + "b"), 0.0);
  EXPECT_EQ(score({{"pattern", "(?i)(.+)\\1[bc]"}}, as(40'000) + "\naab"), 0.0);
  // What is little, or is there at once, matches.
  EXPECT_EQ(score({{"pattern", "\\w{60000}"}}, "a" + words), 1.0);
  EXPECT_EQ(score({{"pattern", "^\\x{20000}$"}}, "\U00020000"), 1.0);
  std::string numbers;
  for (int i = 0; i < 30'000; ++i) numbers += "no 12 3 ";
  EXPECT_EQ(score({{"pattern", "\\d{4}"}}, numbers + "1234"), 1.0);
  EXPECT_EQ(score({{"pattern", "<(\\w+)>(?s).*</\\1>"}}, numbers + "<b>" + numbers + "</b>"), 1.0);
  EXPECT_EQ(score({{"pattern", "\\b(\\w+) \\1\\b"}}, numbers.substr(0, 50'000) + " the the"), 1.0);
}

TEST(RegexReward, BadOptionsAreRefused) {
  EXPECT_SAYS(refusal(Json::object()), "needs the option 'pattern'");
  EXPECT_SAYS(refusal({{"pattern", ""}}), "'pattern' is \"\"; allowed is a text that is not empty");
  EXPECT_SAYS(refusal({{"pattern", 5}}), "'pattern' is 5; allowed is a text");
  EXPECT_SAYS(refusal({{"pattern", "(a"}}), "does not compile: missing closing parenthesis at byte 2");
  EXPECT_SAYS(refusal({{"pattern", "\\C"}}), "does not compile");
  EXPECT_SAYS(refusal({{"pattern", "\xFF"}}), "does not compile");
  EXPECT_SAYS(refusal({{"pattern", std::string(51, '(') + std::string(51, ')')}}), "does not compile");
  EXPECT_SAYS(refusal({{"pattern", std::string(20'000, 'a')}}), "a pattern of 20000 bytes; allowed are 16384");
  EXPECT_SAYS(refusal({{"pattern", "[" + std::string(1'500, 'a') + "]"}}), "an item, such as a class, of 1502 bytes; allowed are 1024");
  EXPECT_SAYS(refusal({{"pattern", "(?<=a{256})b"}}), "looks back over 256 characters; allowed are 255");
  EXPECT_SAYS(refusal({{"pattern", "a\\X{2}"}}), "has \\X, of which the time cannot be bounded");
  EXPECT_SAYS(refusal({{"pattern", "a"}, {"mode", "match"}}), "allowed are search, full");
  EXPECT_SAYS(refusal({{"pattern", "a"}, {"part", "thinking"}}), "allowed are all, answer");
  EXPECT_SAYS(refusal({{"pattern", "a"}, {"patern", "b"}}), "patern");
}

}  // namespace
}  // namespace cohort
