// The parts below the comparison: literals, the grammar, units, exact quotients of polynomials, and balls.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "reward/math/ball.h"
#include "reward/math/exact.h"
#include "reward/math/numeric.h"
#include "reward/math/number_words.h"
#include "reward/math/parser.h"
#include "reward/math/units.h"
#include "reward/math/words.h"

namespace cohort::math {
namespace {

std::string tree(std::string_view text, Commas commas = Commas::kGroups) {
  const Parsed parsed = parse_answer(text, commas);
  return parsed.ok() ? to_text(parsed.expr) : "error: " + parsed.error;
}

TEST(MathParser, PrecedenceAndImplicitProducts) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"1+2*3", "(1 + 6)"},
      {"-x^2", "-1*x^2"},
      {"2^3^2", "2^3^2"},
      {"2x y", "2*x*y"},
      {"1/2x", "1/2*x"},
      {"\\frac12x", "1/2*x"},
      {"\\frac{a}{b}c", "a*b^-1*c"},
      {"x^23", "x^23"},
      {"\\pi x^23", "pi*x^2*3"},
      {"x^{23}", "x^23"},
      {"2(x+1)", "2*(x + 1)"},
      {"f(x)", "f*x"},
      {"\\sin 2x\\cos x", "sin(2*x)*cos(x)"},
      {"\\sin^2 x", "sin(x)^2"},
      {"\\sin^{-1} x", "arcsin(x)"},
      {"\\log_2 8", "log(8, 2)"},
      {"\\sqrt[3]{x}", "root(x, 3)"},
      {"3\\frac12", "7/2"},
      {"3 1/2", "7/2"},
      {"3\\frac{x}{2}", "3*x*2^-1"},
      {"5%", "5%"},
      {"5!", "factorial(5)"},
      {"3 x 10^2", "3*10^2"},
      {"1 < x \\le 2", "1 < x <= 2"},
      {"(1,2]", "(1, 2]"},
      {"x_{12}", "x_12"},
      {"5 \\text{ cm}^2", "5 cm^2"},
      {"\\$5", "5 dollar"},
      {"|x-1|", "abs((x + -1))"},
      {"x=1 \\text{ or } x=2", "x = 1, x = 2"},
      {"xy", "\"xy\""},
      {"2xy", "2*x*y"},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(tree(text), expected) << text;
}

TEST(MathParser, WhatDoesNotFitIsAnError) {
  for (const char* text : {"",
                           "1 +",
                           "* 2",
                           "(1",
                           "1)",
                           "\\frac{1}",
                           "\\frac{1}{2",
                           "2 3",
                           "x = = 2",
                           "\\foo",
                           "\\begin{matrix} 1",
                           "\\begin{matrix}1\\end{pmatrix}",
                           "[1;",
                           "(1, 2}",
                           "\\sqrt",
                           "\\sin",
                           "1..2",
                           "2^",
                           "5_1",
                           "29_2",
                           "a \\le",
                           "()",
                           "\\begin{matrix}1&2\\\\3\\end{matrix}",
                           "#"}) {
    const Parsed parsed = parse_answer(text);
    EXPECT_FALSE(parsed.ok()) << text << " gave " << to_text(parsed.expr);
  }
  EXPECT_EQ(tree("\\foo{1}"), "error: the command \\foo is not known");
  EXPECT_EQ(tree(std::string(5000, '1')), "error: it is too long");
  EXPECT_EQ(tree(std::string(1000, '(')), "error: it is nested too deeply");
}

TEST(MathParser, CommasReadAsTold) {
  EXPECT_EQ(tree("1,234"), "1234");
  EXPECT_EQ(tree("1,234", Commas::kSeparators), "1, 234");
  EXPECT_EQ(tree("1,5", Commas::kDecimal), "3/2");
  EXPECT_EQ(tree("1,5"), "1, 5");
  EXPECT_EQ(tree("1.234.567,5"), "2469135/2");
  EXPECT_EQ(tree("0.1(6)"), "1/6");
  EXPECT_TRUE(parse_answer("1,234").ambiguous_commas);
  EXPECT_FALSE(parse_answer("1, 234").ambiguous_commas);
}

TEST(MathUnits, AreProductsOfBaseUnits) {
  EXPECT_EQ(read_unit("km/h"), read_unit("kilometers per hour"));
  EXPECT_EQ(read_unit("square feet"), read_unit("ft^2"));
  EXPECT_EQ(read_unit("m s^{-2}"), read_unit("m/s^2"));
  EXPECT_EQ(read_unit("mph"), read_unit("miles per hour"));
  EXPECT_EQ(read_unit("liters"), read_unit("cubic dm"));
  EXPECT_EQ(read_unit("red apples"), read_unit("red apple"));
  EXPECT_NE(read_unit("cm"), read_unit("kg"));
  EXPECT_TRUE(read_unit("km").factor == 1000);
  EXPECT_FALSE(read_unit("apples").known);
  EXPECT_TRUE(read_unit("").powers.empty());
}

TEST(MathWords, LabelsAndNumbers) {
  EXPECT_EQ(read_label("(B) 12")->rest, "12");
  EXPECT_EQ(read_label("\\textbf{(C) }")->letter, 'C');
  EXPECT_FALSE(read_label("K"));
  EXPECT_FALSE(read_label("A triangle"));
  const auto value = [](const char* text) { return number_of_words(text).value_or(-1000).get_str(); };
  for (const auto& [text, number] : std::vector<std::pair<const char*, const char*>>{
           {"Forty-two", "42"}, {"a hundred", "100"}, {"seven hundred and forty-two", "742"}, {"one million", "1000000"}, {"two million, three hundred thousand and five", "2300005"},
           {"minus six", "-6"}, {"one half", "1/2"}, {"a half", "1/2"}, {"two thirds", "2/3"}, {"three quarters", "3/4"}, {"six halves", "3"}, {"two and a half", "5/2"},
           {"two thousand and one half", "4001/2"}, {"five hundred thousandths", "1/2"}, {"nineteen hundred", "1900"}, {"one hundred one", "101"}, {"a quarter", "1/4"}})
    EXPECT_EQ(value(text), number) << text;
  for (const char* text : {"forty-ten", "million two million", "two five", "a third", "two and five halves", "five and", "half five", "five apples", "and five", ""})
    EXPECT_FALSE(number_of_words(text).has_value()) << text;
  EXPECT_EQ(read_word_number("five dollars and more")->rest, "dollars and more");
  EXPECT_EQ(normal_words("  The \\text{Answer}! "), "answer");
}

// Random trees of + - * / over x, y, small numbers and square roots: what is equal by construction is equal, and adding
// one is not.
TEST(MathExact, RandomExpressionsEqualThemselvesRewritten) {
  const unsigned seed = 20261125;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const auto pick = [&](unsigned n) { return random() % n; };
  const auto leaf = [&]() -> Expr {
    if (pick(3) == 0) return symbol(pick(2) ? "x" : "y");
    if (pick(3) == 0) return node(Kind::kRoot, {number(static_cast<int>(2 + pick(12))), number(2)});
    mpq_class value(static_cast<int>(pick(19)) - 9, 1 + pick(5));
    value.canonicalize();
    return number(value);
  };
  const auto grow = [&](auto& self, int depth) -> Expr {
    if (depth == 0) return leaf();
    Expr a = self(self, depth - 1), b = self(self, depth - 1);
    return node(pick(2) ? Kind::kAdd : Kind::kMul, {std::move(a), std::move(b)});
  };
  for (int i = 0; i < 200; ++i) {
    Budget budget;
    const Expr a = grow(grow, 2), b = grow(grow, 2), c = grow(grow, 2);
    const Expr left = node(Kind::kMul, {node(Kind::kAdd, {a, b}), c});
    const Expr right = node(Kind::kAdd, {node(Kind::kMul, {c, b}), node(Kind::kMul, {a, c})});
    const Expr wrong = node(Kind::kAdd, {right, number(1)});
    Exact exact(budget);
    const auto l = exact.evaluate(left), r = exact.evaluate(right), w = exact.evaluate(wrong);
    ASSERT_TRUE(l && r && w);
    EXPECT_EQ(exact.equal(*l, *r), true) << to_text(left);
    EXPECT_EQ(exact.equal(*l, *w), false) << to_text(left);
    EXPECT_EQ(equal_by_value(left, right, false, i, budget), Truth::kYes) << to_text(left);
    EXPECT_EQ(equal_by_value(left, wrong, false, i, budget), Truth::kNo) << to_text(left);
  }
}

TEST(MathExact, FactorsAndBudgets) {
  Budget budget;
  std::vector<std::pair<Atom, int64_t>> primes;
  EXPECT_TRUE(factor(mpz_class("1000000007") * 360, primes, budget));
  EXPECT_EQ(primes, (std::vector<std::pair<Atom, int64_t>>{{2, 3}, {3, 2}, {5, 1}, {1000000007, 1}}));
  primes.clear();
  EXPECT_FALSE(factor(mpz_class("1000000007") * mpz_class("1000000009"), primes, budget));
  Budget small(10);
  EXPECT_FALSE(small.spend(11));
  EXPECT_TRUE(small.empty());
  EXPECT_FALSE(small.spend(1));
  mpq_class two = 2;
  EXPECT_FALSE(power(two, 1 << 20, budget));
  EXPECT_TRUE(power(two, 1000, budget));
}

double value(const std::optional<Ball>& z) { return z ? z->re.get_d() : NAN; }

TEST(MathBall, FunctionsAgreeWithDoublesAndKnowTheirError) {
  for (const double x : {0.3, 1.0, 2.5, 7.0}) {
    const Ball b = ball(real(x));
    EXPECT_NEAR(value(exp(b)), std::exp(x), 1e-12 * std::exp(x));
    EXPECT_NEAR(value(log(b)), std::log(x), 1e-14);
    for (const auto& [name, f] : std::vector<std::pair<const char*, double (*)(double)>>{{"sin", std::sin},
                                                                                         {"cos", std::cos},
                                                                                         {"tan", std::tan},
                                                                                         {"sinh", std::sinh},
                                                                                         {"cosh", std::cosh},
                                                                                         {"tanh", std::tanh},
                                                                                         {"arctan", std::atan},
                                                                                         {"arsinh", std::asinh}})
      EXPECT_NEAR(value(trigonometric(name, b)), f(x), 1e-12 * std::max(1.0, std::abs(f(x)))) << name << x;
    const std::optional<Ball> round_trip = exp(*log(b));
    EXPECT_TRUE((*round_trip - b).may_be_zero());
    EXPECT_LT(round_trip->error, -350);
  }
  EXPECT_NEAR(value(trigonometric("arcsin", ball(real(0.5)))), std::asin(0.5), 1e-14);
  EXPECT_NEAR(value(trigonometric("arccos", ball(real(-0.5)))), std::acos(-0.5), 1e-14);
  EXPECT_EQ(pi().get_d(), 3.14159265358979323846);
  const std::optional<Ball> sine = trigonometric("sin", Ball{pi(), real(0.0), -kBits});
  EXPECT_TRUE(sine->may_be_zero());
  EXPECT_FALSE(log(ball(real(0.0))));
  EXPECT_FALSE(inverse(*sine));
  EXPECT_FALSE(exp(ball(real(1e9))));
  EXPECT_NEAR(value(power(ball(real(-8.0)), 1, 3)), -2, 1e-14);
}

TEST(MathNumeric, NearIsNotEqual) {
  Budget budget;
  const auto e = [](const char* text) { return parse_answer(text).expr; };
  EXPECT_EQ(equal_by_value(e("e^{\\pi\\sqrt{163}}"), e("262537412640768744"), false, 1, budget), Truth::kNo);
  EXPECT_EQ(equal_by_value(e("e^{-200}"), e("e^{-201}"), false, 1, budget), Truth::kNo);
  EXPECT_EQ(equal_by_value(e("e^{-200}"), e("0"), false, 1, budget), Truth::kNo);
  EXPECT_EQ(equal_by_value(e("\\sin^2 1+\\cos^2 1-1"), e("0"), false, 1, budget), Truth::kYes);
  EXPECT_EQ(equal_by_value(e("\\tan\\frac{\\pi}{2}"), e("0"), false, 1, budget), Truth::kUnknown);
  EXPECT_EQ(order(e("\\sqrt2"), e("1.41421356237309504880"), budget), 1);
  EXPECT_EQ(order(e("2\\sqrt2"), e("\\sqrt8"), budget), 0);
  EXPECT_EQ(order(e("i"), e("1"), budget), 2);
}

}  // namespace
}  // namespace cohort::math
