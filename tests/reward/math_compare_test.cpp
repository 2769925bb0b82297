// The math reward's comparison, kind by kind: what counts as the same answer, and what does not.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reward/math/judge.h"

namespace cohort {
namespace {

struct Row {
  std::string gold;
  std::vector<std::string> same, other;
};

void check(const std::vector<Row>& rows, const math::JudgeOptions& options = {}) {
  for (const Row& row : rows) {
    for (const std::string& answer : row.same) {
      const Verdict v = math::judge_answer(answer, row.gold, options);
      EXPECT_EQ(v.score, 1.0) << row.gold << " | " << answer << " | " << v.reason;
    }
    for (const std::string& answer : row.other) {
      const Verdict v = math::judge_answer(answer, row.gold, options);
      EXPECT_EQ(v.score, 0.0) << row.gold << " | " << answer << " | " << v.reason;
    }
  }
}

TEST(MathCompare, NumbersAreEqualByValueAndNoDigitIsLost) {
  check({
      {"42",
       {"42", "42.0", "+42", "$42$", "\\boxed{42}", "42.", "84/2", "0042", "\\text{42}", "4.2e1"},
       {"43", "-42", "4.2", "42.000001", ""}},
      {"-5", {"-5", "\u22125", "- 5", "-5.0", "\\text{-}5", "-\\frac{10}{2}"}, {"5", "--5"}},
      {"11,\\! 111,\\! 100", {"11111100"}, {"11"}},
      {"1234567",
       {"1,234,567", "1{,}234{,}567", "1\\,234\\,567", "1 234 567", "1.234.567"},
       {"1,234,568", "1234", "1, 234, 567", "1.234567"}},
      {"1234.5", {"1,234.5", "1.234,5", "1,234.50"}, {"12345"}},
      {"1.5",
       {"1,5", "3/2", "1\\frac12", "1 1/2", "1\u00BD", "\\frac{3}{2}", "15e-1"},
       {"15", "1, 5", "1.05", "\\frac{1}{5}"}},
      {"1234", {"1,234"}, {"1, 234"}},
      {"9007199254740993", {"9007199254740993.0"}, {"9007199254740992"}},
      {"0.1", {".1", "1/10", "0.10", "1e-1", "10^{-1}"}, {"0.1000000001", "1"}},
      {"\\frac{1}{3}",
       {"0.\\overline{3}", "0.333...", "0.(3)", "1/3", "\\frac13", "\\frac 1 3", "2/6"},
       {"0.333", "0.33", "0.3", "33\\%"}},
      {"1", {"0.\\bar{9}", "0.\\overline{9}", "100\\%"}, {"0.999999"}},
      {"1e-7", {"0.0000001", "10^{-7}", "1 \\times 10^{-7}"}, {"3e-7", "0"}},
      {"-\\frac{3}{4}", {"\\frac{-3}{4}", "\\frac{3}{-4}", "-3/4", "-0.75", "-(3/4)"}, {"\\frac{3}{4}"}},
      {"\\frac{7}{3}",
       {"2\\frac{1}{3}", "2 1/3", "2\\tfrac13", "-\\frac{-7}{3}"},
       {"2 \\cdot \\frac{1}{3}", "\\frac{21}{3}"}},
      {"0", {"-0", "0.0", "0/5"}, {"1/0", "0/0", "\\emptyset"}},
      {"1011_2", {"1011_{2}", "(1011)_2"}, {"1011", "1011_3", "1010_2"}},
  });
}

TEST(MathCompare, PercentMoneyAndUnits) {
  check({
      {"25\\%", {"25%", "25 percent", "0.25", "1/4", "25.0 \\%"}, {"25", "0.25\\%", "2.5"}},
      {"25", {"25"}, {"25\\%", "25%"}},
      {"\\$5.50", {"5.50", "5.5", "$5.50", "5.50 dollars", "\\$5.5", "550 cents"}, {"5.5 euros", "\\$5.05", "550"}},
      {"-\\$5", {"-5", "-$5", "\\$-5"}, {"5"}},
      {"1.2 million", {"1200000", "1.2 \\times 10^6", "1,200,000", "1.2\\text{ million}"}, {"1.2", "1.2 billion"}},
      {"5 cm", {"5", "5cm", "5\\text{ cm}", "5\\,\\mathrm{cm}", "50 mm", "0.05 m"}, {"5 kg", "5 m", "5 cm^2", "6 cm"}},
      {"5", {"5 cm", "5 apples", "5\\text{ ways}"}, {"6 apples"}},
      {"12 apples", {"12", "12 apple", "12 red apples"}, {"12 oranges", "13 apples"}},
      {"36 km/h",
       {"10 m/s", "36\\text{ km/h}", "36 \\frac{\\text{km}}{\\text{h}}", "36 kilometers per hour"},
       {"36 m/s", "36 km"}},
      {"10\\text{ m}^2",
       {"10 square meters", "10 m^2", "10\\,\\mathrm{m}^{2}", "100000 cm^2"},
       {"10\\text{ m}^3", "10 m"}},
      {"5m", {"5m", "5 m", "m \\cdot 5"}, {"5n"}},
      {"90^\\circ", {"90", "90°", "90 degrees", "\\frac{\\pi}{2}", "90^{\\circ}"}, {"\\pi", "9^\\circ"}},
      {"90 degrees", {"\\pi/2 rad", "\\frac{\\pi}{2}\\text{ radians}"}, {"90 rad", "\\pi rad", "90 m"}},
      {"\\pi/2 rad", {"90^\\circ", "\\pi/2"}, {"45 degrees", "90"}},
      {"30^\\circ", {"30^\\circ 0'"}, {"30^\\circ 15'"}},
      {"25^\\circ C", {"25°C", "25"}, {"25°F"}},
      {"3:2", {"3 : 2", "6:4", "3/2"}, {"2:3"}},
  });
  math::JudgeOptions either;
  either.compare.percent_either = true;
  check({{"25\\%", {"25", "0.25", "25%"}, {"2500"}}, {"25", {"25%"}, {"0.25%"}}}, either);
}

TEST(MathCompare, ADecimalGoldIsExactUnlessToldOtherwise) {
  check({{"3.14", {"3.140"}, {"3.1416", "\\pi", "22/7"}}, {"\\pi", {}, {"3.14", "3.14159265358979"}}});
  check({{"\\approx 3.14", {"3.14", "\\pi", "3.1416"}, {"3.2", "3.15"}},
         {"x = \\frac{2}{3} \\approx 0.67", {"2/3", "0.67"}, {"0.66", "0.6"}},
         {"\\approx -0.67", {"-0.67", "-2/3"}, {"-0.6", "0.67"}}});
  // The last digit of a literal with an exponent; a fraction and a repeating decimal have none.
  check({{"\\approx 1.2e-5", {"1.2e-5", "0.0000118", "1.24e-5"}, {"0", "0.4", "1.3e-5", "1.26e-5"}},
         {"\\approx 1.2e5", {"120000", "124999"}, {"126000", "114000"}},
         {"\\approx 5", {"5", "5.2"}, {"5.6"}},
         {"\\approx \\frac13", {"\\frac13", "2/6"}, {"0.5", "0", "0.33"}},
         {"\\approx 0.\\overline{3}", {"1/3"}, {"0", "0.5"}},
         {"x = \\pi \\approx 22/7", {"\\pi"}, {"3", "3.5"}},
         {"\\approx 2 \\cdot 3", {"6"}, {"6.4"}}});
  math::JudgeOptions round;
  round.compare.round = true;
  check({{"3.14", {"\\pi", "22/7", "3.1416", "3.14"}, {"3.146", "3.1"}},
         {"0.33", {"1/3"}, {"0.3"}},
         {"1.2e-5", {"0.0000118"}, {"0", "1.3e-5"}},
         {"5", {"5"}, {"5.2"}},
         {"\\pi", {}, {"3.14"}}},
        round);
}

TEST(MathCompare, SurdsPowersAndConstantsAreExact) {
  check({
      {"2\\sqrt{2}",
       {"\\sqrt{8}", "\\sqrt8", "2\\sqrt2", "2*sqrt(2)", "2\u221A2", "\\frac{4}{\\sqrt{2}}", "8^{1/2}", "2^{3/2}",
        "\\sqrt{2}+\\sqrt{2}"},
       {"2.828", "\\sqrt{2}", "4"}},
      {"\\frac{\\sqrt{6}+\\sqrt{2}}{4}",
       {"\\frac{\\sqrt{2+\\sqrt{3}}}{2}", "\\cos 15^\\circ", "\\sin 75°"},
       {"\\frac{\\sqrt{6}-\\sqrt{2}}{4}"}},
      {"\\sqrt{5}-2", {"\\frac{1}{\\sqrt5+2}", "\\sqrt{9-4\\sqrt5}"}, {"0.2360679774997896964"}},
      {"2i", {"\\sqrt{-4}", "2\\mathrm{i}", "i\\cdot 2", "-2i^3"}, {"-2i", "2"}},
      {"-1", {"i^2", "e^{i\\pi}", "\\cos\\pi"}, {"1", "i"}},
      {"\\frac{\\pi}{4}",
       {"\\pi/4", "0.25\\pi", "\\arctan 1", "\\frac14\\pi", "pi/4", "\u03C0/4"},
       {"0.785", "\\frac{\\pi}{3}", "45"}},
      {"e^2", {"e\\cdot e", "\\exp(2)", "(e)^{2}"}, {"7.389", "2e"}},
      {"\\ln 8", {"3\\ln 2", "\\ln(2)+\\ln(4)", "3 \\log_e 2"}, {"\\ln 6", "\\ln 2^2"}},
      {"3", {"\\log_2 8", "\\log_{2}(8)", "log2(8)", "\\frac{\\ln 8}{\\ln 2}", "\\log 1000"}, {"\\log_2 9", "\\ln 8"}},
      {"2^{100}", {"1267650600228229401496703205376", "4^{50}", "2^{99}+2^{99}"}, {"2^{99}"}},
      {"120", {"5!", "\\binom{10}{3}", "\\binom{10}{7}", "5 \\cdot 4!"}, {"6!", "\\binom{10}{4}"}},
      {"x^{1/3}", {"\\sqrt[3]{x}"}, {"x^{1/2}"}},
      {"-2", {"\\sqrt[3]{-8}", "(-8)^{1/3}", "\\lfloor -1.5 \\rfloor"}, {"\\sqrt[3]{8}"}},
  });
}

TEST(MathCompare, IntervalsUnionsAndInequalities) {
  check({
      {"(1, 3]",
       {"\\left(1,3\\right]", "1 < x \\le 3", "3 \\ge x > 1", "x \\in (1,3]", "\\{x \\mid 1 < x \\leq 3\\}",
        "(1,2] \\cup (2,3]"},
       {"[1,3]", "(1,3)", "(1,4]", "1<x<3"}},
      {"(-\\infty, 2) \\cup (5, \\infty)",
       {"(5,\\infty)\\cup(-\\infty,2)", "x<2 \\text{ or } x>5", "(-inf,2) U (5,inf)", "\\mathbb{R} \\setminus [2,5]"},
       {"(2,5)", "(-\\infty,2]\\cup(5,\\infty)", "x<2 \\text{ and } x>5"}},
      {"[2, \\infty)",
       {"x \\ge 2", "x>=2", "2x \\geq 4", "[2,+\\infty)", "-x \\le -2"},
       {"x > 2", "x \\le 2", "(2, \\infty)"}},
      {"\\mathbb{R}", {"(-\\infty,\\infty)", "\\text{all real numbers}"}, {"\\emptyset"}},
      {"\\{x : x > 2\\}", {"x > 2", "(2, \\infty)"}, {"x < 2"}},
      {"x \\neq 1", {"(-\\infty,1)\\cup(1,\\infty)", "x \\ne 1", "\\mathbb{R}\\setminus\\{1\\}"}, {"x = 1"}},
      {"x + y > 2", {"y > 2 - x", "2x + 2y > 4", "2 < x + y"}, {"x + y \\ge 2", "x + y < 2", "x + y > 3"}},
      {"x > 2", {"x>2", "2<x"}, {"y < 2", "x < 2"}},
      {"[1,2]", {"[1, 2]"}, {"(1,2)", "[2,1]", "\\{1,2\\}"}},
      {"[\\sqrt2, \\pi]", {"[\\sqrt{2},\\pi]"}, {"[1.414, 3.14]"}},
  });
}

TEST(MathCompare, SetsListsTuplesMatrices) {
  check({
      {"\\{1, 2, 3\\}",
       {"\\{3,2,1\\}", "{1,2,3}", "1, 2, 3", "\\{1,1,2,3\\}", "1, 2 and 3"},
       {"(1,2,3)", "\\{1,2\\}", "\\{1,2,4\\}"}},
      {"1, -2", {"-2, 1", "x = 1 \\text{ or } x = -2", "\\{1,-2\\}", "1 and -2", "x=1,-2"}, {"1", "1, 2", "(1,-2)"}},
      {"(1, 2)",
       {"(1,2)", "\\left( 1 , 2 \\right)", "(x,y)=(1,2)", "x=1, y=2", "\\langle 1,2\\rangle", "(1.0, 4/2)"},
       {"(2,1)", "[1,2]", "\\{1,2\\}", "(1,2,3)", "x=2, y=1"}},
      {"(1,234)", {"(1, 234)", "(1,234)"}, {"1234"}},
      {"\\pm 3", {"3, -3", "x=\\pm3", "-3 \\text{ or } 3", "\u00B13"}, {"3", "\\pm 4"}},
      {"1 \\pm \\sqrt2", {"1+\\sqrt2, 1-\\sqrt2", "\\frac{2\\pm\\sqrt8}{2}"}, {"\\pm\\sqrt2"}},
      {"\\emptyset", {"\\{\\}", "\\varnothing", "{}", "no solution"}, {"0", "\\{0\\}"}},
      {"\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}",
       {"\\begin{bmatrix}1&2\\\\3&4\\end{bmatrix}", "[[1,2],[3,4]]",
        "\\left(\\begin{array}{cc}1&2\\\\3&\\frac{8}{2}\\end{array}\\right)"},
       {"\\begin{pmatrix}1&3\\\\2&4\\end{pmatrix}", "\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}", "(1,2,3,4)"}},
      {"\\begin{pmatrix}1\\\\2\\end{pmatrix}",
       {"(1,2)", "\\begin{bmatrix}1\\\\2\\end{bmatrix}"},
       {"(2,1)", "\\begin{pmatrix}1&2\\end{pmatrix}"}},
  });
}

TEST(MathCompare, EquationsAndNames) {
  check({
      {"y = 2x + 3",
       {"y=3+2x", "2x - y + 3 = 0", "2y = 4x + 6", "2x+3", "y - 3 = 2x", "f(x) = 2x+3"},
       {"y = 2x", "y = 3x + 2", "x = 2y + 3", "y = 2X + 3"}},
      {"5",
       {"x = 5", "5 = x", "x = 2 + 3 = 5", "f(2) = 5", "\\text{Area} = 5", "2 + 3 = 5", "x+1=6 \\implies x=5"},
       {"x^2 = 5", "2x = 5", "x + y = 5", "x = 6", "xy = 5"}},
      {"2", {"x=2"}, {"x^2=2", "2x=2", "x+y=2"}},
      {"x = 5", {"5", "x=5.0", "\\text{x} = 5"}, {"y = 5", "x = -5", "x \\ne 5"}},
      {"x^2+y^2=4", {"x^2+y^2-4=0", "\\frac{x^2}{4}+\\frac{y^2}{4}=1"}, {"x^2+y^2=2", "4"}},
      {"x=3, y=4", {"y=4, x=3", "x = 3 \\text{ and } y = 4"}, {"x=4, y=3", "x=3"}},
  });
}

TEST(MathCompare, PolynomialsAndFunctions) {
  check({
      {"x^2-1",
       {"(x-1)(x+1)", "-1+x^2", "x*x-1", "x**2 - 1", "\\left(x+1\\right)\\left(x-1\\right)", "\\frac{x^3-x}{x}",
        "-(1-x^2)"},
       {"x^2+1", "X^2-1", "y^2-1", "x^2", "2x-1"}},
      {"2x", {"x+x", "x2", "2\\cdot x"}, {"2X", "x^2", "2"}},
      {"ab", {"$ba$", "a b", "b \\cdot a"}, {"a+b", "AB", "ac", "ba", "b a", "\\text{ba}"}},
      {"$ab$", {"ba", "ab"}, {"AB"}},
      {"x_1+x_2", {"x_2+x_1", "x_{1}+x_{2}"}, {"x_1+x_3"}},
      {"\\frac{1}{x+1}+\\frac{1}{x+2}", {"\\frac{2x+3}{x^2+3x+2}", "\\frac{2x+3}{(x+1)(x+2)}"}, {"\\frac{2}{2x+3}"}},
      {"\\sin 2x", {"2\\sin x\\cos x", "\\sin(2x)", "2 \\cos x \\sin x"}, {"2\\sin x", "\\sin^2 x"}},
      {"\\tan^{-1} x", {"\\arctan x", "\\operatorname{arctan}(x)"}, {"\\cot x", "\\frac{1}{\\tan x}"}},
      {"\\sin^2 x", {"1-\\cos^2 x", "(\\sin x)^2"}, {"\\sin x^2"}},
      {"2^{n+1}", {"2\\cdot 2^n", "2^n\\cdot 2", "2^n+2^n"}, {"2^n+1", "2^{n}"}},
      {"e^{2x}", {"(e^x)^2", "\\exp(2x)"}, {"e^{x^2}", "2e^x"}},
      {"|x|", {"\\sqrt{x^2}", "\\left|x\\right|"}, {"x"}},
      {"\\ln(xy)", {"\\ln x+\\ln y"}, {"\\ln(x+y)"}},
      {"(x+y)^{20}", {"(y+x)^{20}", "(x+y)^{10}(x+y)^{10}"}, {"(x+y)^{19}"}},
      {"\\theta+1", {"1+\\theta", "\u03B8+1"}, {"\\phi+1"}},
      {"\\overline{AB}", {"\\overline{AB}"}, {"\\overline{AC}"}},
      {"\\binom{n}{2}", {"\\frac{n(n-1)}{2}"}, {"\\frac{n(n+1)}{2}"}},
      {"n!", {"n!"}, {"n", "m!"}},
      {"\\vec{v}+\\vec{w}", {"\\vec{w}+\\vec{v}"}, {"\\vec{v}"}},
  });
}

TEST(MathCompare, WordsNumeralsAndLabelsAreNoProducts) {
  check({
      {"IX", {"IX", "$IX$", "I X"}, {"XI", "$XI$", "VI", "X I"}},
      {"pot", {"pot", "Pot"}, {"top", "\\text{top}", "$top$", "t o p"}},
      {"ACB", {"ACB", "\\mathrm{ACB}"}, {"ABC", "\\mathrm{CAB}", "A B C"}},
      {"no", {"No"}, {"on", "$on$"}},
      {"A B C", {"ABC", "A B C"}, {"C B A", "CBA"}},
      {"pot, dog", {"dog, pot"}, {"top, god"}},
      {"(IX, 2)", {"(IX,2)"}, {"(XI, 2)"}},
      {"x = IX", {"IX"}, {"XI", "x = XI"}},
      {"ii", {"ii"}, {"-1", "i^2"}},
      {"xy", {"y \\cdot x", "xy", "2xy/2"}, {"yx"}},
  });
}

TEST(MathCompare, AnInequalityNamesItsSymbol) {
  check({
      {"x>3", {"(3,\\infty)", "3<x", "2x>6"}, {"y>3", "n > 3", "X>3"}},
      {"1<x<2", {"(1,2)", "2>x>1", "\\{z \\mid 1<z<2\\}"}, {"1<z<2", "y \\in (1,2)"}},
      {"x \\ge 3 or x<1", {"x<1 or x\\ge 3"}, {"y \\ge 3 or y<1"}},
  });
}

TEST(MathCompare, WhatThePrecisionCannotTellIsNotEqual) {
  check({
      {"1", {"\\sin^2 3+\\cos^2 3"}, {"\\tanh(300)", "\\cos(10^{-60})", "\\tanh(80)"}},
      {"\\sinh(300)", {}, {"\\cosh(300)"}},
      {"300", {"\\ln(e^{300})"}, {"\\ln(e^{300}+1)"}},
      {"10^{100}", {"\\sqrt{10^{200}}"}, {"\\sqrt{10^{200}+\\sqrt2}", "\\sqrt{10^{200}+1}"}},
      {"\\sin 1", {}, {"\\sin(1+10^{-200})"}},
      {"\\lceil x \\rceil", {"-\\lfloor -x \\rfloor"}, {"\\lfloor x \\rfloor+1"}},
      {"\\lfloor x \\rfloor + 1", {"\\lfloor x + 1 \\rfloor", "1+\\lfloor x \\rfloor"}, {"\\lceil x \\rceil"}},
      {"|x-5|", {"|5-x|"}, {"5-x", "x-5"}},
  });
}

TEST(MathCompare, AnAnswerThatSaysSomethingFalseIsWrong) {
  check({
      {"5", {"4+1=5", "5=5", "x=2+3=5"}, {"4=5", "5=4", "2+2=5", "x=4=5", "4+1=5=3"}},
      {"x=5", {"x=10/2=5"}, {"x=4=5"}},
  });
}

TEST(MathCompare, PowersOfOneLetterRatiosRemaindersAndSigns) {
  check({
      {"e^{x+y}", {"e^xe^y", "e^ye^x"}, {"e^xe^x", "e^{xy}"}},
      {"e^{2x}", {"e^xe^x"}, {"e^xe^y"}},
      {"x^n e^x", {"x^ne^x"}, {"x^{ne}x"}},
      {"i \\cdot 2^x", {"2^xi"}, {"2^{xi}"}},
      {"1:2:3", {"2:4:6", "1:2:3"}, {"1:3:2", "0:0:0", "2:4", "x=1:2:4", "1:2:0"}},
      {"1", {"7 \\bmod 3", "7 mod 3", "-2 \\bmod 3"}, {"8 \\bmod 3", "7 \\bmod 0"}},
      {"-3", {"negative 3", "minus 3", "Negative 3"}, {"negative 4", "3"}},
      {"negative", {"negative", "Negative"}, {"positive", "-1"}},
  });
}

TEST(MathCompare, ChoicesAndWords) {
  check({
      {"B",
       {"(B)", "B.", "B)", "\\text{B}", "\\textbf{(B)}", "\\textbf{(B) }12", "(B) 12", "Option B", "b",
        "\\mathrm{(B)}"},
       {"A", "(C)", "\\text{A}", "AB", "(A) B"}},
      {"(C) 17", {"C", "17", "(C)", "(C) 17"}, {"D", "18", "(D) 17"}},
      {"17", {"(C) 17", "C. 17"}, {"(C) 18"}},
      {"Yes", {"yes", "\\text{Yes}", "YES.", "Yes!"}, {"no", "yes and no"}},
      {"no solution", {"\\text{No solution}", "\\emptyset", "No solutions.", "none"}, {"0", "yes"}},
      {"\\text{east}", {"east", "East", "\\text{ east }", "the east"}, {"west"}},
      {"three", {"3", "Three"}, {"4"}},
      {"4", {"four"}, {"five"}},
      {"June 5", {"june 5", "June 5."}, {"June 6", "5"}},
      {"it drops -5 degrees by noon",
       {"It drops \u22125 degrees by noon.", "it drops $-5$ degrees by noon"},
       {"it drops 5 degrees by noon"}},
      {"it drops 5 degrees by noon", {"it drops 5 degrees - by noon"}, {"it drops -5 degrees by noon"}},
      {"\\infty", {"infinity", "+\\infty"}, {"-\\infty"}},
      {"does not exist", {"DNE", "\\text{DNE}"}, {"0"}},
      {"\\text{circle}", {"a circle", "Circle"}, {"square"}},
  });
}

}  // namespace
}  // namespace cohort
