// Values: numbers and functions, with what stands behind them (units, degrees, percent).
#include <algorithm>
#include <cstdlib>
#include <optional>

#include "reward/math/compare.h"
#include "reward/math/exact.h"
#include "reward/math/number_text.h"
#include "reward/math/units.h"

namespace cohort::math {
namespace {

Expr scaled(const Expr& e, const mpq_class& factor) {
  if (e.is(Kind::kNumber)) return number(e.value * factor);
  std::vector<Expr> args;
  args.push_back(number(factor));
  args.push_back(e);
  return node(Kind::kMul, std::move(args));
}

// Do all words of one unit stand in the other too ("red apples", "apples")?
bool covers(const Unit& a, const Unit& b) {
  const Unit& few = a.powers.size() <= b.powers.size() ? a : b;
  const Unit& many = &few == &a ? b : a;
  return std::ranges::all_of(few.powers, [&](const auto& entry) {
    const auto it = many.powers.find(entry.first);
    return it != many.powers.end() && it->second == entry.second;
  });
}

bool has_unbased_log(const Expr& e) {
  if (e.is(Kind::kFunction) && e.name == "log" && e.args.size() == 1) return true;
  return std::ranges::any_of(e.args, has_unbased_log);
}

// "5 m" and "5 m^2" as 5 * m and 5 * m^2: a unit of one letter may have been a symbol.
std::optional<Expr> as_product(const Expr& e) {
  const std::string& name = e.name;
  if (!e.is(Kind::kUnit) ||
      !(name.size() == 1 || (name.size() == 3 && name[1] == '^' && name[2] >= '0' && name[2] <= '9')))
    return std::nullopt;
  std::vector<Expr> power;
  power.push_back(symbol(name.substr(0, 1)));
  power.push_back(number(name.size() == 1 ? 1 : name[2] - '0'));
  std::vector<Expr> args;
  args.push_back(e.args[0]);
  args.push_back(node(Kind::kPow, std::move(power)));
  return node(Kind::kMul, std::move(args));
}

}  // namespace

Truth Comparison::equal_measures(const Expr& gold, const Expr& answer) {
  if (gold.is(Kind::kUnit) && answer.is(Kind::kUnit)) {
    const Unit g = read_unit(gold.name), a = read_unit(answer.name);
    if (g.powers == a.powers) {
      const Truth same = equal_measures(scaled(gold.args[0], g.factor), scaled(answer.args[0], a.factor));
      return same == Truth::kYes || g.factor != a.factor ? same : equal_measures(gold.args[0], answer.args[0]);
    }
    if ((g.known && a.known) || !covers(g, a) || g.factor != a.factor) return Truth::kNo;
    return equal_measures(gold.args[0], answer.args[0]);
  }
  if (gold.is(Kind::kUnit) || answer.is(Kind::kUnit)) {
    const bool gold_has = gold.is(Kind::kUnit);
    const Expr& with = gold_has ? gold : answer;
    const Expr& without = gold_has ? answer : gold;
    if (without.is(Kind::kDegree)) {  // as the number that the degrees are, against radians
      const Unit unit = read_unit(with.name);
      if (unit.powers != std::map<std::string, int>{{"radian", 1}}) return Truth::kNo;
      const Expr radians = scaled(with.args[0], unit.factor);
      return gold_has ? equal_scalars(radians, answer) : equal_scalars(gold, radians);
    }
    if (without.is(Kind::kPercent)) return Truth::kNo;
    if (has_symbols(without) && !has_symbols(with.args[0])) {
      const std::optional<Expr> product = as_product(with);
      if (!product) return Truth::kNo;
      return gold_has ? equal_scalars(*product, answer) : equal_scalars(gold, *product);
    }
    return gold_has ? equal_measures(gold.args[0], answer) : equal_measures(gold, answer.args[0]);
  }
  if (gold.is(Kind::kDegree) && answer.is(Kind::kDegree)) return equal_scalars(gold.args[0], answer.args[0]);
  if (gold.is(Kind::kDegree)) return either(equal_scalars(gold.args[0], answer), equal_scalars(gold, answer));
  if (answer.is(Kind::kDegree)) return either(equal_scalars(gold, answer.args[0]), equal_scalars(gold, answer));
  if (gold.is(Kind::kPercent) && answer.is(Kind::kPercent)) return equal_scalars(gold.args[0], answer.args[0]);
  if (options_.percent_either && (gold.is(Kind::kPercent) || answer.is(Kind::kPercent))) {
    const Truth bare =
        gold.is(Kind::kPercent) ? equal_scalars(gold.args[0], answer) : equal_scalars(gold, answer.args[0]);
    if (bare == Truth::kYes) return bare;
  }
  return equal_scalars(gold, answer);
}

Truth Comparison::equal_scalars(const Expr& gold, const Expr& answer) {
  if (gold.is(Kind::kNumber) && answer.is(Kind::kNumber)) {
    if (gold.value == answer.value) return Truth::kYes;
    return truth(options_.round && gold.decimals > 0 && rounds_to(gold, answer));
  }
  if (same_tree(gold, answer)) return Truth::kYes;
  // A number in another base is answered in that base; the number that it means is no other way to write it.
  if (gold.is(Kind::kBased) && answer.is(Kind::kNumber) && answer.literal) return Truth::kNo;
  if (answer.is(Kind::kBased) && gold.is(Kind::kNumber) && gold.literal && gold.value != answer.args[0].value)
    return Truth::kNo;
  Exact exact(budget_);
  const std::optional<Quotient> g = exact.evaluate(gold), a = g ? exact.evaluate(answer) : std::nullopt;
  Truth same = Truth::kUnknown;
  if (g && a) {
    const std::optional<bool> decided = exact.equal(*g, *a);
    if (decided) same = truth(*decided);
  }
  if (same == Truth::kUnknown) {
    same = equal_by_value(gold, answer, false, seed_, budget_);
    if (same != Truth::kYes && (has_unbased_log(gold) || has_unbased_log(answer)))
      same = either(same, equal_by_value(gold, answer, true, seed_, budget_));
  }
  if (same != Truth::kYes && options_.round && gold.is(Kind::kNumber) && gold.decimals > 0 && rounds_to(gold, answer))
    same = Truth::kYes;
  return same;
}

// Does `answer` round to `gold`, a literal, at the gold's last digit? Ties may go either way. Nothing rounds to a gold
// without a last digit, such as a fraction.
bool Comparison::rounds_to(const Expr& gold, const Expr& answer) {
  const Expr& g = gold.is(Kind::kUnit) ? gold.args[0] : gold;
  const Expr& a = answer.is(Kind::kUnit) ? answer.args[0] : answer;
  if (!g.is(Kind::kNumber) || !g.has_last_place || !is_scalar(a) || has_symbols(a)) return false;
  mpq_class half(1, 2);
  const mpz_class ten = power_of_ten(static_cast<unsigned>(std::abs(g.decimals)));
  if (g.decimals > 0)
    half /= ten;
  else
    half *= ten;
  const int low = order(number(g.value - half), a, budget_), high = order(a, number(g.value + half), budget_);
  return low <= 0 && high <= 0;
}

}  // namespace cohort::math
