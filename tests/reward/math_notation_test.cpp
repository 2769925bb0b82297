// Notations beside textbook LaTeX: what models write, and what other places write.
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "reward/math/judge.h"

namespace cohort {
namespace {

double score_of(const std::string& completion, const std::string& gold) {
  return math::judge(completion, gold, {}).score.value_or(-1);
}

// What models write beside textbook LaTeX.
TEST(MathJudge, NotationsOfModels) {
  for (const auto& [gold, answer, score] : std::vector<std::tuple<std::string, std::string, double>>{
           {"\\frac{a}{b}", "\\frac ab", 1}, {"\\frac{x}{2}", "\\frac x2", 1}, {"\\frac{a}{b}c", "\\frac abc", 1}, {"\\frac{a}{b}", "\\frac ba", 0}, {"\\frac{\\pi}{2}", "\\frac\\pi2", 1},
           {"0.5", "0{.}5", 1}, {"0.5", "0{,}5", 1}, {"1234", "1{,}234", 1}, {"12.5\\%", "12{.}5\\%", 1}, {"5", "0{.}5", 0}, {"42", "42\\ ", 1}, {"42", "\\ 42\\\\", 1},
           {"40 euro", "40\\text{ €}", 1}, {"40 euro", "\\text{€}40", 1}, {"40 dollars", "40\\text{ €}", 0}, {"45^\\circ", "45{}^\\circ", 1}, {"3:5", "3\\colon5", 1},
           {"e^2", "\\exp\\{2\\}", 1}, {"e^2", "\\exp\\{2, 3\\}", 0}, {"(3,-4)", "P(3,-4)", 1}, {"(3,-4)", "p(3,-4)", 0}, {"12", "AB = 12", 1}, {"12", "ab = 12", 0},
           {"1011_2", "1011_{\\text{two}}", 1}, {"1011_2", "1011_{\\text{three}}", 0}, {"19", "m+n=7+12=19", 1}, {"19", "m+n=19", 0}, {"19", "m+n=7+11=19", 0}, {"19", "m+n=x+12=19", 0},
           {"\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix} 1 & 2 \\\\[4pt] 3 & 4 \\end{pmatrix}", 1},
           {"\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix} 1 & 2 \\\\[4] 3 & 4 \\end{pmatrix}", 0}})
    EXPECT_EQ(score_of("\\boxed{" + answer + "}", gold), score) << answer << " for " << gold;
  for (const auto& [gold, answer, score] : std::vector<std::tuple<std::string, std::string, double>>{
           {"1/2", "one half", 1}, {"1000000", "one million", 1}, {"2.5", "two and a half", 1}, {"2.5", "2 and a half", 1}, {"5", "five apples", 1}, {"5", "five or six", 0}, {"25\\%", "twenty-five percent", 1},
           {"5 dollars", "five euros", 0}, {"$15.50", "15 dollars and 50 cents", 1}, {"42", "__42__", 1}, {"two and a half", "2.5", 1}, {"two and a half", "3.5", 0}, {"x = 5, y = 6", "5, 6", 1},
           {"x = 5, y = 6", "6, 5", 0}, {"x = 5, y = 6", "y = 6, x = 5", 1}, {"x = 5, x = 6", "6, 5", 1}, {"C", "option (C)", 1}, {"C", "option (D)", 0}, {"12", "12 (C)", 1}})
    EXPECT_EQ(score_of("The answer is " + answer + ".", gold), score) << answer << " for " << gold;
}

// What stands in \\text{...} is judged as the same words outside of it are.
TEST(MathJudge, WordsInTextHedgeDenyAndChange) {
  for (const char* answer : {"12 \\text{ (or 38)}", "12 \\text{ (or 36, 38)}", "12\\text{, maybe 38}", "12 \\text{ but maybe 38}", "12\\ (\\text{or }38)", "12 \\quad\\text{(alternatively }38)",
                             "12 (else 38)", "12 \\text{ (if not, 38)}", "12 \\text{ [or 38]}", "12 \\text{ (38 is possible)}", "12 \\text{ (wrong)}", "12 \\text{ at most}", "12 \\text{ times } x",
                             "12 \\text{ doubled}", "12 \\text{ halved}", "12 \\text{ (or twelve and a half)}", "1 2", "12 \\text{ dozen}", "12 \\text{ tens}", "12 \\text{ score}", "12 \\text{ gross}",
                             "\\approx 12", "\\sim 12", "\\text{about } 12", "\\text{roughly } 12", "\\text{almost } 12", "\\text{around } 12", "x \\approx 12", "12 (maybe)", "12 \\text{ (at least)}"})
    EXPECT_EQ(score_of("\\boxed{" + std::string(answer) + "}", "12"), 0) << answer;
  for (const char* answer : {"12 \\text{ (or twelve)}", "12 \\text{ (rounded down)}", "12 \\text{ (since } 8 + 4 = 12)", "12 \\text{ times}", "12 \\text{ liters per 100 km}", "12\\text{ m/s}^2",
                             "12\\text{ kg m s^{-2}}", "12 \\text{ two-digit numbers}", "12 (\\text{or } 24/2)", "12 \\approx 12.0"})
    EXPECT_EQ(score_of("\\boxed{" + std::string(answer) + "}", "12"), 1) << answer;
  for (const auto& [gold, text, score] : std::vector<std::tuple<std::string, std::string, double>>{
           {"12", "The answer is 12 if x is even, and 13 otherwise.", 0}, {"12", "The answer is $12$ if $x$ is even, and $13$ otherwise.", 0}, {"12", "The answer is 12 for even x.", 1},
           {"B", "The answer is (B), or maybe (C).", 0}, {"B", "The answer is (B) 37, or (C) 38.", 0}, {"B", "\\boxed{\\textbf{(B)}\\ 37 \\textbf{ (C)}\\ 38}", 0}, {"D", "The answer is (D) Both (A) and (C).", 1},
           {"B", "The answer is (B), but maybe (C).", 0}, {"B", "\\boxed{(B)\\text{ or else }(C)}", 0}, {"C", "\\boxed{(B)\\text{ or else }(C)}", 0},
           {"37", "\\boxed{3 7}", 0}, {"1234", "\\boxed{12 34}", 0}, {"1234", "\\boxed{1 2 3 4}", 0}, {"1234", "\\boxed{1 234}", 1}, {"x + 1", "\\boxed{x+1}", 1}, {"72", "The answer is 6 dozen.", 1},
           {"72", "So there are 6 dozen eggs", 1}, {"3.14", "\\boxed{\\approx 3.14}", 1}, {"12.5 m", "The answer is about 12.5 m.", 1}, {"12", "The answer is about $12$.", 0}, {"x = 12", "\\boxed{x \\approx 12}", 0},
           {"about 12", "The answer is 12.", 1}, {"37", "\\boxed{37} is wrong. The right answer is 38.", 0}, {"38", "\\boxed{37} is wrong. The right answer is 38.", 1}, {"37", "$\\boxed{37}$ is incorrect.", 0},
           {"6", "$6$ is a lower bound for the answer.", 0}, {"6", "Clearly 6 is an upper bound.", 0}, {"42", "I think 42. \\boxed{}", 0}, {"42", "I think 42.\n\\[\\boxed{ }\\]", 0},
           {"42", "I shall write it in \\boxed{}. The answer is 42.", 1}})
    EXPECT_EQ(score_of(text, gold), score) << text << " for " << gold;
}

TEST(MathJudge, WaysToWriteTheAnswerDown) {
  for (const auto& [gold, text, score] : std::vector<std::tuple<std::string, std::string, double>>{
           {"C", "The answer is **C**: it cannot be B.", 1}, {"B", "The answer is **C**: it cannot be B.", 0}, {"C", "Option C is correct.", 1}, {"C", "So, C is the correct answer.", 1},
           {"C", "Option C is not correct.", 0}, {"C", "Neither A nor C is correct.", 0}, {"C", "The correct answer is (C) $\\frac12$.", 1}, {"1/2", "The correct answer is (C) $\\frac12$.", 1},
           {"D", "The correct answer is (C) $\\frac12$.", 0}, {"70", "The answer is 70 (35 of each).", 1}, {"2450", "The answer is 70 (35 of each).", 0}, {"12", "The answer is `12`.", 1}, {"12", "The answer is _12_.", 1},
           {"37", "\\boxed{37 (not 38)}", 1}, {"37", "\\boxed{38 (not 37)}", 0}, {"37", "\\boxed{37 (not 37)}", 0}, {"37", "\\boxed{37 (not \\frac{74}{2})}", 0},
           {"70", "The answer is **70 pencils!**", 1}, {"70", "\\boxed{70 pencils!}", 1}, {"70", "\\boxed{71 pencils!}", 0}, {"70", "\\boxed{70!}", 0}, {"6(n!)", "\\boxed{6 n!}", 1},
           {"2\\pi", "\\boxed{2\\pi \\text{ m/s}}", 1}, {"2\\pi \\text{ m/s}", "\\boxed{2\\pi \\text{ m}}", 0}, {"6", "\\boxed{6 \\text{ times as many}}", 1},
           {"3\\times10^8 m/s", "\\boxed{3\\times 10^{8} \\text{ m/s}}", 1}, {"3\\times10^8 m/s", "\\boxed{300{,}000 \\text{ km/s}}", 1}, {"3\\times10^8 \\text{ m/s}", "\\boxed{3\\times10^{8} m/s}", 1},
           {"3\\times10^8 m/s", "\\boxed{3\\times10^8 \\text{ kg}}", 0}, {"\\frac{1}{2} m/s^2", "\\boxed{0.5 \\text{ m/s}^2}", 1}, {"\\frac{x}{2} m/s", "\\boxed{\\frac{xm}{2s}}", 1}, {"30", "\uFF11\uFF10\uFF1A\uFF13\uFF10", 0},
           {"42", "\uFF14\uFF12", 1}, {"42", "\\boxed{\uFF14\uFF12}", 1}, {"42", "\uFF0D\uFF14\uFF12", 0}, {"4.2", "\uFF14\uFF0E\uFF12", 1}, {"1234", "\uFF11\uFF0C\uFF12\uFF13\uFF14", 1}, {"234", "\uFF11\uFF0C\uFF12\uFF13\uFF14", 0}})
    EXPECT_EQ(score_of(text, gold), score) << text << " for " << gold;
}

TEST(MathJudge, NotationsOfOtherPlaces) {
  for (const auto& [gold, answer, score] : std::vector<std::tuple<std::string, std::string, double>>{
           {"(1, 2)", "]1, 2[", 1}, {"[1, 2)", "[1, 2[", 1}, {"(1, 2)", "]1, 2]", 0}, {"(-3, 1)", "|x + 1| < 2", 1}, {"(-3, 1)", "|x + 1| \\le 2", 0},
           {"(-3, 1)", "2 > |x + 1|", 1}, {"(-\\infty, 1) \\cup (3, \\infty)", "|x - 2| > 1", 1}, {"\\mathbb{R}", "|x| > -1", 1},
           {"(-\\infty, 2) \\cup (2, 5]", "x \\le 5, x \\ne 2", 1}, {"\\frac{3}{4}", "{3 \\over 4}", 1}, {"10", "{5 \\choose 2}", 1}, {"\\overline{AB}", "\\overline{AB}", 1},
           {"\\frac{1}{7}", "0.\\dot{1}4285\\dot{7}", 1}, {"\\frac{1}{3}", "0.\\dot{3}", 1}, {"76 inches", "6 feet 4 inches", 1}, {"90 minutes", "1 hour 30 minutes", 1},
           {"76 inches", "4 inches 6 feet", 0}, {"76 inches", "6 feet 4 seconds", 0}, {"8:40 PM", "8:40\\text{ p.m.}", 1}, {"8:40 PM", "8:40 am", 0}, {"8:40 PM", "8:41 PM", 0},
           {"3:2", "3 to 2", 1}, {"3:2", "2 to 3", 0}, {"\\frac{13}{3}", "4 and 1/3", 1}, {"4, 1/3", "4 and 1/3", 1}, {"46", "{46}", 1}, {"46", "{46, 47}", 0}})
    EXPECT_EQ(score_of("\\boxed{" + answer + "}", gold), score) << answer << " for " << gold;
}

}  // namespace
}  // namespace cohort
