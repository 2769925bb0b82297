// The whole check: extraction, scores and reasons, budgets, and the reward's options.
#include <gtest/gtest.h>

#include <ctime>
#include <thread>
#include <vector>

#include "core/check.h"
#include "reward/math/extract.h"
#include "reward/math/judge.h"
#include "reward/reward.h"

namespace cohort {
namespace {

struct Row {
  std::string completion, flexible, strict;  // the answers that are found; "" none
};

TEST(MathExtract, Table) {
  const std::vector<Row> rows = {
      {"So \\boxed{5}.", "5", "5"},
      {"\\boxed{\\frac{1}{2}} and done", "\\frac{1}{2}", "\\frac{1}{2}"},
      {"\\boxed{ \\{1, 2\\} }", " \\{1, 2\\} ", " \\{1, 2\\} "},
      {"\\boxed {5}", "5", "5"},
      {"\\boxed 5 ", "5", "5"},
      {"\\fbox{5}", "5", "5"},
      {"First \\boxed{6}. Wait... \\boxed{68}", "68", "68"},
      {"\\boxed{1} and \\boxed{2}", "1 , 2", "1 , 2"},
      {"$\\boxed{1}$, $\\boxed{2}$", "1 , 2", "1 , 2"},
      {"\\boxed{1}\n\n\\boxed{2}", "2", "2"},
      {"\\boxed{5 and nothing closes", "5", ""},
      {"\\boxed{}", "", ""},
      {"\\boxed{3} and then \\boxed{4", "3", "3"},
      {"#### 42", "42", "42"},
      {"####42", "42", "42"},
      {"a\n####  $42\nb", "$42", "$42"},
      {"#### **42**", "42", "42"},
      {"#### Step 3\nThe answer is 7", "7", "7"},
      {"\\boxed{1}\n#### 2", "2", "2"},
      {"#### 2\n\\boxed{1}", "1", "1"},
      {"<answer>5</answer>", "5", "5"},
      {"<answer>x</answer> <answer> 6 </answer>", "6", "6"},
      {"<answer>It is \\boxed{7}</answer>", "7", "7"},
      {"<answer>The answer is 7.</answer> 8", "7", "7"},
      {"The answer is 5.", "5", "5"},
      {"the ANSWER IS: **5**", "5", "5"},
      {"Answer: 5", "5", "5"},
      {"The correct option is C.", "C", "C"},
      {"The correct choice is: (B)", "(B)", "(B)"},
      {"The answer is negative 3", "negative 3", "negative 3"},
      {"**Answer:**\n\n$$5$$", "5", "5"},
      {"The answer to 2 + 3 is 5 because 2 + 3 = 5", "5", "5"},
      {"The final answer is $x = 5$. I hope it is correct.", "x = 5", "x = 5"},
      {"The answer is $x=1$ and $x=2$.", "x=1 , x=2", "x=1 , x=2"},
      {"The answer is $18 per day.", "$18 per day", "$18 per day"},
      {"The answer is 1.5 m.", "1.5 m", "1.5 m"},
      {"The answer is 5.. Really.", "5", "5"},
      {"The answer is $\\$5.50$.", "\\$5.50", "\\$5.50"},
      {"The answer is 3. The answer is 4.", "4", "4"},
      {"\u7B54\u6848\u662F 12\u3002", "12", "12"},
      {"<think>The answer is 3.</think>The answer is 4.", "4", "4"},
      {"<think>\\boxed{3}</think> It is 4.", "4", ""},
      {"So 2 + 3 = 5.", "5", ""},
      {"Result (see above):-5 !?", "-5", ""},
      {"Result (see above) =-5 !?", "-5", ""},
      {"Result (see above) [-5 !?", "-5", ""},
      {"Result (see above) 3,-5 !?", "-5", ""},
      {"Result (see above): \u22125 !?", "\u22125", ""},
      {"Result (see above): 7-5 !?", "5", ""},
      {"Result (see above): 7\u22125 !?", "5", ""},
      {"Result (see above): top-10 !?", "10", ""},
      {"Result (see above):-$5 !?", "-$5", ""},
      {"It costs $18 today and $20 tomorrow.", "$20", ""},
      {"We get $x = 5$.", "x = 5", ""},
      {"We get \\(x = 5\\), then \\[y = 6\\]", "y = 6", ""},
      {"I have 5 apples.", "5", ""},
      {"So the area is 36π.", "36π", ""},
      {"So the area is 36 π cm^2.", "36 π cm^2", ""},
      {"With r = 1 the area is π.", "π", ""},
      {"So the side is 2 √3 here", "2 √3", ""},
      {"So the length is 6 + 2√5.", "6 + 2√5", ""},
      {"Clearly 4 - sqrt(3)/2 remains.", "4 - sqrt(3)/2", ""},
      {"There are 5! ways.", "5!", ""},
      {"So there are 5!", "5", ""},
      {"There are 5 million people.", "5 million", ""},
      {"That is 25 percent of it.", "25 percent", ""},
      {"That is 25 % of it.", "25 %", ""},
      {"The train leaves at 8:40 a.m. today", "8:40 a.m.", ""},
      {"Clearly the ratio is 3:2.", "3:2", ""},
      {"It takes 2 1/2 of them", "2 1/2", ""},
      {"The area is 25 cm^2.", "25 cm^2", ""},
      {"The area is 25 cm^2 in all.", "25", ""},
      {"The vertex is (3, -4).", "(3, -4)", ""},
      {"So the set is (-∞, 2) ∪ (3, 5].", "(-∞, 2) ∪ (3, 5]", ""},
      {"A total (1,234) of them", "(1,234)", ""},
      {"So she has 42 (40 + 2).", "42 (40 + 2)", ""},
      {"So she has 42 (and not 43).", "42 (and not 43)", ""},
      {"It takes 90 minutes.", "90 minutes", ""},
      {"We need x > 5.", "x > 5", ""},
      {"We need 2 < x ≤ 5 here", "2 < x ≤ 5", ""},
      {"It must be > 5.", "> 5", ""},
      {"See a->5 and <b>6</b>", "6", ""},
      {"We drew a 12x10 grid.", "10", ""},
      {"It grew 5x faster.", "5", ""},
      {"The derivative is 6x^2 there", "6x^2", ""},
      {"Therefore, the total is 121 minutes.", "121 minutes", ""},
      {"So in the end there are **280 cookies**.", "280", ""},
      {"Thus (C) is the correct answer.", "(C)", ""},
      {"The answer is option (C).", "option (C)", "option (C)"},
      {"The wrong answer is 5.", "", ""},
      {"The correct answer is 7. A common wrong answer is 5.", "7", "7"},
      {"A wrong answer is 5. It must be 7.", "7", ""},
      {"5, 6 and -7", "5, 6 and -7", ""},
      {"about 3/4 of it", "\\approx 3/4", ""},
      {"", "", ""},
      {"   ", "", ""},
      {"Yes.", "Yes", ""},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(math::extract_answer(row.completion, true).text, row.flexible) << row.completion;
    EXPECT_EQ(math::extract_answer(row.completion, false).text, row.strict) << row.completion;
  }
}

TEST(MathExtract, AGoldMayBeAWholeSolution) {
  EXPECT_EQ(math::extract_gold("48/2 = <<48/2=24>>24\n#### 72").text, "72");
  EXPECT_EQ(math::extract_gold("We get $\\boxed{\\frac12}$.").text, "\\frac12");
  EXPECT_EQ(math::extract_gold(" \\frac12 ").text, "\\frac12");
  EXPECT_EQ(math::extract_gold("").text, "");
}

// One candidate, chosen before anything is compared: naming many numbers does not help.
TEST(MathJudge, AListOfGuessesIsNoAnswer) {
  for (const char* completion : {"The answer is 5 or 6.", "\\boxed{5, 6}", "\\boxed{5} or \\boxed{6}", "5 or 6",
                                 "<answer>5 6</answer>", "The answer is 5. The answer is 6."})
    EXPECT_EQ(math::judge(completion, "5", {}).score, 0.0) << completion;
}

TEST(MathJudge, AGoldThatCannotBeReadCannotBeJudged) {
  for (const char* gold :
       {"", "  ", "\\frac{1}{", "\\nosuchcommand{3}", "((1)", "1 +", "\\boxed{", "2 3", "= =", "\\int_0^1 x dx"}) {
    const Verdict v = math::judge("\\boxed{5}", gold, {});
    EXPECT_EQ(v.score, std::nullopt) << gold;
    EXPECT_NE(v.reason.find("the gold answer"), std::string::npos) << v.reason;
    EXPECT_NE(v.reason.find("cannot be read: "), std::string::npos) << v.reason;
  }
}

TEST(MathJudge, ReasonsSayWhatWasFoundAndWhy) {
  const auto reason = [](const char* completion, const char* gold) { return math::judge(completion, gold, {}).reason; };
  EXPECT_EQ(reason("\\boxed{0.5}", "1/2"), "the answer '0.5' (the last box) equals the gold 1/2");
  EXPECT_EQ(reason("The answer is 2x+1.", "2x"),
            "the answer '2x+1' (\"answer is\"), read as (2*x + 1), is not the gold 2*x");
  EXPECT_EQ(reason("\\boxed{\\frac{1}{}}", "2"),
            "the answer '\\frac{1}{}' (the last box) cannot be read: a value is missing");
  EXPECT_EQ(math::judge("no idea", "2", {.flexible = false}).reason, "no answer was found");
  EXPECT_EQ(reason("(A)", "B"), "the answer '(A)' (the last number) is not the choice B");
}

// What is too large is refused at once, whatever it would come to.
TEST(MathJudge, EveryInputEndsSoon) {
  const auto repeated = [](const std::string& piece, size_t bytes) {
    std::string text;
    while (text.size() < bytes) text += piece;
    return text;
  };
  std::vector<std::string> answers = {"5^{5^{5^{5^5}}}",
                                      "9^{9^{9^9}}",
                                      "2^{2^{2^{2^{2^{2^2}}}}}",
                                      "10^{10^{10}}",
                                      "(10^{4000})^{4000}",
                                      "1e999999999",
                                      "1e-999999999",
                                      "((((99999999!)!)!)!)",
                                      "1000!^{1000}",
                                      "\\binom{10000}{1000}^{100}",
                                      "(a+b+c+d+e+f+g+h)^{64}",
                                      "(x+y+z+1)^{40}(x-y-z-1)^{40}",
                                      "\\frac{(a+b+c+d)^{30}}{(a-b-c-d)^{30}}+\\frac{(a+2b+c+d)^{30}}{(a-3b-c-d)^{31}}",
                                      "\\sqrt{" + std::string(600, '7') + "}",
                                      "\\sqrt[3]{" + std::string(600, '7') + "}",
                                      "\\sin(10^{30})",
                                      "\\sin(10^{300})",
                                      "e^{e^{e^{e^{e^{e}}}}}",
                                      "\\ln\\ln\\ln\\ln 2",
                                      "\\tan\\frac{\\pi}{2}",
                                      "0^0",
                                      "0^{-1}",
                                      "\\log_1 5",
                                      "1/0",
                                      "\\sqrt[0]{5}",
                                      repeated("(", 4000),
                                      repeated("{", 4000),
                                      repeated("\\frac", 4000),
                                      repeated("\\frac{1}{", 4000),
                                      repeated("-", 4000),
                                      repeated("2^", 4000),
                                      repeated("|", 4000),
                                      repeated("\\sqrt", 4000),
                                      repeated("\\sin ", 4000),
                                      repeated("x^y+", 4000) + "1",
                                      repeated("\\pm 1 + ", 4000) + "1",
                                      repeated("\\{", 4000),
                                      repeated("1,", 4000),
                                      repeated("\\sqrt{2}+\\pi,", 4000),
                                      repeated("x!", 4000),
                                      repeated("'", 4000),
                                      repeated("\\text{a", 4000),
                                      repeated("\\begin{matrix}", 4000),
                                      repeated("(x+1)", 4000),
                                      repeated("\\sin x\\cos y+", 4000) + "1",
                                      repeated("[0,1]\\cup", 4000) + "[0,1]",
                                      repeated("x<1 or ", 4000) + "x<1",
                                      std::string(4096, '9'),
                                      std::string(5000, '9'),
                                      repeated("\\sqrt{2}^{\\sqrt{2}}+", 4000) + "1",
                                      repeated("\\ln 2,", 4000),
                                      repeated("1<", 4000) + "x"};
  for (const std::string& answer : answers) {
    for (const std::string& gold : {answer, std::string("7"), std::string("x+\\sin y"), answers[1]}) {
      const std::clock_t start = std::clock();
      math::judge("\\boxed{" + answer + "}", gold, {});
      math::judge(answer, gold, {});
      // Two checks of 50 ms each; sanitizers cost ten times that.
      EXPECT_LT(std::clock() - start, CLOCKS_PER_SEC) << answer.substr(0, 60) << " | " << gold.substr(0, 60);
    }
  }
  EXPECT_EQ(math::judge("\\boxed{5^{5^{5^5}}}", "5^{5^{5^5}}", {}).score, 1.0);
  EXPECT_EQ(math::judge("\\boxed{5^{5^{5^{5^5}}}}", "7", {}).score, 0.0);
}

// Quadratic work would not end within the test's time limit.
TEST(MathJudge, HostileCompletionsTakeLinearTime) {
  for (const std::string piece : {"\\boxed{",
                                  "\\boxed{1} and ",
                                  "#### ",
                                  "<answer>",
                                  "</answer>",
                                  "answer ",
                                  "the answer is ",
                                  "$",
                                  "$1",
                                  "\\(",
                                  "1",
                                  "1,",
                                  "= ",
                                  "\\[1\\]",
                                  "{",
                                  "</think>",
                                  "answer: $",
                                  "**",
                                  " ",
                                  "\n"}) {
    std::string text;
    while (text.size() < (2u << 20)) text += piece;
    const std::clock_t start = std::clock();
    math::judge(text, "8", {});
    EXPECT_LT(std::clock() - start, 2 * CLOCKS_PER_SEC) << piece;
  }
}

TEST(MathJudge, ScoresAreAPureFunctionOnAnyThread) {
  const std::vector<std::pair<std::string, std::string>> pairs = {{"\\boxed{\\sin 18^\\circ}", "\\frac{\\sqrt5-1}{4}"},
                                                                  {"\\boxed{2^{n+1}}", "2\\cdot 2^n"},
                                                                  {"\\boxed{x\\ln x}", "x\\ln y"},
                                                                  {"\\boxed{(x+1)^9}", "(1+x)^9"}};
  const std::vector<double> expected = {1, 1, 0, 1};
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 20; ++round)
        for (size_t i = 0; i < pairs.size(); ++i)
          wrong[t] += math::judge(pairs[i].first, pairs[i].second, {}).score != expected[i];
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

std::optional<double> score(Json options, std::string_view completion, const Json& columns) {
  return make_reward({.name = "math", .options = std::move(options)})
      ->score({.completion = completion, .columns = &columns});
}

TEST(MathReward, ReadsItsColumnAndOptions) {
  EXPECT_EQ(score({}, "\\boxed{1/2}", {{"answer", "0.5"}}), 1.0);
  EXPECT_EQ(score({}, "\\boxed{7}", {{"answer", 7}}), 1.0);
  EXPECT_EQ(score({}, "\\boxed{7}", {{"answer", 7.5}}), 0.0);
  EXPECT_EQ(score({}, "\\boxed{7}", {{"answer", nullptr}}), std::nullopt);
  EXPECT_EQ(score({}, "\\boxed{7}", {{"answer", Json::array()}}), std::nullopt);
  EXPECT_EQ(score({}, "\\boxed{7}", {{"solution", "7"}}), std::nullopt);
  EXPECT_EQ(score({{"column", "solution"}}, "\\boxed{7}", {{"solution", "7"}}), 1.0);
  EXPECT_EQ(score({{"mode", "strict"}}, "It is 7", {{"answer", "7"}}), 0.0);
  EXPECT_EQ(score({{"mode", "flexible"}}, "It is 7", {{"answer", "7"}}), 1.0);
  EXPECT_EQ(score({{"decimals", "round"}}, "\\boxed{\\pi}", {{"answer", "3.14"}}), 1.0);
  EXPECT_EQ(score({}, "\\boxed{\\pi}", {{"answer", "3.14"}}), 0.0);
  EXPECT_EQ(score({{"percent", "either"}}, "\\boxed{25}", {{"answer", "25\\%"}}), 1.0);
  const Json columns = {{"answer", "7"}};
  const Verdict v = make_reward({.name = "math"})->explain({.completion = "\\boxed{8}", .columns = &columns});
  EXPECT_EQ(v.score, 0.0);
  EXPECT_EQ(v.reason, "the answer '8' (the last box), read as 8, is not the gold 7");
}

TEST(MathReward, RefusesWhatItDoesNotKnow) {
  const auto refusal = [](Json options) -> std::string {
    try {
      make_reward({.name = "math", .options = std::move(options)});
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::kUsage);
      return e.what();
    }
    ADD_FAILURE() << "was not refused";
    return "";
  };
  EXPECT_EQ(refusal({{"mode", "strickt"}}),
            "reward 'math': 'mode' is 'strickt'; did you mean 'strict'? allowed are flexible, strict");
  EXPECT_EQ(refusal({{"mode", 5}}), "reward 'math': 'mode' is '5'; allowed are flexible, strict");
  EXPECT_NE(refusal({{"decimals", "rounded"}}).find("allowed are exact, round"), std::string::npos);
  EXPECT_NE(refusal({{"percent", "x"}}).find("allowed are exact, either"), std::string::npos);
  EXPECT_NE(refusal({{"tolerance", 0.1}}).find("unknown option 'tolerance'"), std::string::npos);
}

double score_of(const std::string& completion, const std::string& gold) {
  return math::judge(completion, gold, {}).score.value_or(-1);
}

TEST(MathJudge, RemarksInBracketsSayTheValueAgainOrNothing) {
  for (const char* answer : {"42 (40 + 2)", "42 (or 84/2)", "42 (forty-two)", "42 (rounded down)", "42 (B)", "42 [40 + 2]", "42 (i.e., 6 * 7)", "42 (about 41.9)", "42 (not 43)", "42 (rather than 43)"})
    EXPECT_EQ(score_of(std::string("The answer is ") + answer + ".", "42"), 1) << answer;
  for (const char* answer : {"42 (43)", "42 (or 43)", "43 (about 42)", "43 (or 42)", "40 (42)", "42 (x)", "42 (42x)", "42 (or -42)", "$42 (40 + 2)$", "43 (not 42)"})
    EXPECT_EQ(score_of(std::string("The answer is ") + answer + ".", "42"), 0) << answer;
  EXPECT_EQ(score_of("\\boxed{42 (40 + 2)}", "1764"), 0) << "one reading";
  EXPECT_EQ(score_of("The answer is $42 (40 + 2)$.", "1764"), 1) << "a product";
  EXPECT_EQ(score_of("\\boxed{3 (x + 1)}", "3x + 3"), 1);
  EXPECT_EQ(score_of("\\boxed{(x + 1) (x + 1)}", "(x+1)^2"), 1);
  EXPECT_EQ(score_of("\\boxed{5 km (5000 m)}", "5 km"), 1);
  EXPECT_EQ(score_of("\\boxed{5 km (500 m)}", "5 km"), 0);
  EXPECT_EQ(score_of("\\boxed{3 (mod 7)}", "3"), 0) << "a class is no number";
}

// Whatever the gold is written like, which chooses the points.
TEST(MathJudge, FunctionsAgreeForNegativeSymbolsTooOrAreDifferent) {
  for (const char* half : {"\\frac{\\pi}{2}", "\\pi/2", "0.5\\pi", "\\frac12\\pi", "\\frac{2\\pi}{4}", "\\pi - \\frac{\\pi}{2}", "\\frac{3\\pi}{6}", "90^\\circ"}) {
    EXPECT_EQ(score_of("\\boxed{\\arctan x + \\arctan \\frac{1}{x}}", half), 0) << half;
    EXPECT_EQ(score_of("\\boxed{\\arcsin x + \\arccos x}", half), 1) << half;
  }
  for (const char* x : {"x", "1x", "x + 0", "2x - x", "\\frac{2x}{2}", "x \\cdot 1", "y"}) {
    const std::string name = std::string(x) == "y" ? "y" : "x";
    EXPECT_EQ(score_of("\\boxed{\\sqrt{" + name + "^2}}", x), 0) << x;
    EXPECT_EQ(score_of("\\boxed{\\arctan(\\tan " + name + ")}", x), 0) << x;
    EXPECT_EQ(score_of("\\boxed{\\tan(\\arctan " + name + ")}", x), 1) << x;
  }
}

TEST(MathJudge, CommasInBracketsStandBetweenMembers) {
  for (const auto& [answer, gold] : {std::pair{"(0,0,0)", "(0,0)"}, {"(0,0,0,0)", "(0,0)"}, {"(3,0,4)", "(3,4)"}, {"(-2,0,3,0)", "(-2,3)"}, {"(1,5,2)", "(1.5,2)"}, {"{1,2,5}", "{1.2,5}"},
                                     {"\\{1,2,5\\}", "\\{1.2,5\\}"}, {"(1,0)", "1"}, {"(0,5)", "0.5"}, {"(0,0)", "0"}})
    EXPECT_EQ(score_of(answer, gold), 0) << answer << " for " << gold;
  EXPECT_EQ(score_of("(1,5; 2)", "(1.5, 2)"), 1);
  EXPECT_EQ(score_of("1,5", "1.5"), 1);
  EXPECT_EQ(score_of("\\frac{1,5}{2}", "0.75"), 1);
}

TEST(MathJudge, RaisedSignsAndLoweredDigitsAreRead) {
  EXPECT_EQ(score_of("10⁻³", "10"), 0);
  EXPECT_EQ(score_of("5⁻¹", "5"), 0);
  EXPECT_EQ(score_of("3×10⁻³", "0.003"), 1);
  EXPECT_EQ(score_of("x⁻¹", "\\frac{1}{x}"), 1);
  EXPECT_EQ(score_of("x²³", "x^{23}"), 1);
  EXPECT_EQ(score_of("10⁺²", "100"), 1);
  EXPECT_EQ(score_of("x₁", "x_1"), 1);
  EXPECT_EQ(score_of("x₁₂ + 1", "1 + x_{12}"), 1);
  EXPECT_EQ(score_of("\\boxed{5⁻}", "5"), 0);
}

TEST(MathJudge, WordsBehindAValueThatChangeItAreNoUnit) {
  for (const char* answer : {"5 plus x", "5 minus one", "5 times two", "5 thirds", "5 below zero", "5\\text{ squared}", "5\\text{ and a half}", "5\\text{ or six}", "5\\text{ or more}",
                             "5\\text{ factorial}", "5\\text{ negative}", "5\\text{ is wrong}", "5\\text{x}"})
    EXPECT_EQ(score_of("\\boxed{" + std::string(answer) + "}", "5"), 0) << answer;
  for (const char* text : {"The answer is > 5.", "The answer is >= 5", "Answer: > 5", "The answer is 5 thirds."}) EXPECT_EQ(score_of(text, "5"), 0) << text;
  for (const char* answer : {"5 apples", "5 square feet", "5 times", "5 more apples", "5 quarters", "> The answer is 5", "Well.\n> 5"})
    EXPECT_EQ(score_of(answer, "5"), 1) << answer;
}

TEST(MathJudge, HedgesAndDenialsAreNoAnswers) {
  for (const char* text : {"(A) or (B)", "(A), (B)", "A or B", "A and B", "(A)(B)", "A. B. C.", "\\text{(A)} or \\text{(B)}", "The answer is (A) or (B).", "(A) / (B)"})
    for (const char* gold : {"A", "B"}) EXPECT_EQ(score_of(text, gold), 0) << text << " for " << gold;
  EXPECT_EQ(score_of("The answer is (A) 42.", "A"), 1);
  for (const char* text : {"The answer is not 31.", "The answer can't be 31. So it is 38.", "The answer isn't 31.", "The answer cannot be 31; it is 38.", "The answer is never 31"})
    EXPECT_EQ(score_of(text, "31"), 0) << text;
  EXPECT_EQ(score_of("The answer can't be 31. So it is 38.", "38"), 1);
  EXPECT_EQ(score_of("Let the answer be $N$. Then $N = 31$.", "31"), 1);
  EXPECT_EQ(score_of("\\boxed{62\\frac{1}{2}\\%}", "62"), 0);
  EXPECT_EQ(score_of("\\boxed{62\\frac{1}{2}\\%}", "62.5\\%"), 1);
  EXPECT_EQ(score_of("The answer is 1.414 (about $\\sqrt{2}$).", "\\sqrt{2}"), 0);
}

}  // namespace
}  // namespace cohort
