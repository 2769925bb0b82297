#include "reward/math/compare.h"

#include <algorithm>
#include <optional>

#include "reward/math/number_words.h"
#include "reward/math/real_set.h"
#include "reward/math/units.h"
#include "reward/math/words.h"

namespace cohort::math {
namespace {

constexpr size_t kMaxItems = 256;
constexpr int kMaxNesting = 16;

// `e` with every "+-" replaced: the upper sign, or the lower.
Expr with_sign(const Expr& e, bool upper) {
  if (e.is(Kind::kPlusMinus)) {
    Expr inner = with_sign(e.args[0], upper);
    return (e.name == "+") == upper ? inner : negated(std::move(inner));
  }
  Expr copy = e;
  for (Expr& arg : copy.args) arg = with_sign(arg, upper);
  return copy;
}

bool is_collection(const Expr& e) { return e.is(Kind::kList) || e.is(Kind::kSet); }

// A row or column of a matrix, or a tuple, as a plain sequence.
const std::vector<Expr>* sequence(const Expr& e, std::vector<Expr>& storage) {
  if (e.is(Kind::kTuple)) return &e.args;
  if (!e.is(Kind::kMatrix) || e.name != "" || e.args[0].args.size() != 1) return nullptr;
  for (const Expr& row : e.args) storage.push_back(row.args[0]);
  return &storage;
}

Expr letters_product(const std::string& word) {
  std::vector<Expr> letters;
  for (const char c : word) letters.push_back(c == 'e' || c == 'i' ? node(Kind::kConstant, {}, {c}) : symbol({c}));
  return node(Kind::kMul, std::move(letters));
}

bool letters_differ(const std::string& word) {
  for (size_t i = 1; i < word.size(); ++i)
    if (word.find(word[i]) < i) return false;
  return true;
}

// "five" is 5, "five dollars" 5 dollars, "five percent" 5 %.
std::optional<Expr> value_of_words(const std::string& text) {
  const std::optional<WordNumber> said = read_word_number(text);
  if (!said || changes_value(said->rest)) return std::nullopt;
  if (said->rest.empty()) return number(said->value);
  const bool percent = said->rest == "percent", degrees = said->rest == "degrees" || said->rest == "degree";
  return node(percent ? Kind::kPercent : degrees ? Kind::kDegree : Kind::kUnit, {number(said->value)}, percent || degrees ? "" : said->rest);
}

// x = 5, y = 6: values of different names.
bool gives_names(const std::vector<Expr>& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is(Kind::kRelation) || items[i].name != "=" || !items[i].args[0].is(Kind::kSymbol)) return false;
    for (size_t j = 0; j < i; ++j)
      if (items[j].args[0].name == items[i].args[0].name) return false;
  }
  return items.size() > 1;
}

bool round_brackets(const Expr& e) { return e.is(Kind::kTuple) && (e.name == "()" || e.name == "<>"); }

}  // namespace

Truth both(Truth a, Truth b) { return a == Truth::kNo || b == Truth::kNo ? Truth::kNo : a == Truth::kYes ? b : a; }
Truth either(Truth a, Truth b) { return a == Truth::kYes || b == Truth::kYes ? Truth::kYes : a == Truth::kNo ? b : a; }
Truth truth(bool yes) { return yes ? Truth::kYes : Truth::kNo; }

bool is_scalar(const Expr& e) {
  switch (e.kind) {
    case Kind::kUnit:
    case Kind::kTuple:
    case Kind::kSet:
    case Kind::kSetBuilder:
    case Kind::kList:
    case Kind::kMatrix:
    case Kind::kRelation:
    case Kind::kUnion:
    case Kind::kIntersection:
    case Kind::kDifference:
    case Kind::kText:
      return false;
    default:
      return true;
  }
}

Expr prepared(const Expr& e) {
  if (e.is(Kind::kMatrix) && e.name == "lines") {  // cases and aligned equations are lists
    std::vector<Expr> items;
    for (const Expr& row : e.args) {
      std::vector<Expr> cells;
      for (const Expr& cell : row.args) cells.push_back(prepared(cell));
      if (cells.size() == 1)
        items.push_back(std::move(cells[0]));
      else
        items.push_back(node(Kind::kTuple, std::move(cells), "()"));
    }
    return items.size() == 1 ? std::move(items[0]) : node(Kind::kList, std::move(items));
  }
  if (is_collection(e)) {
    std::vector<Expr> items;
    for (const Expr& arg : e.args) {
      Expr item = prepared(arg);
      if (item.is(Kind::kList))
        for (Expr& inner : item.args) items.push_back(std::move(inner));
      else
        items.push_back(std::move(item));
      if (items.size() > kMaxItems) break;
    }
    return node(e.kind, std::move(items), e.name);
  }
  if (!contains(e, Kind::kPlusMinus)) return e;
  std::vector<Expr> signs;
  signs.push_back(with_sign(e, true));
  signs.push_back(with_sign(e, false));
  return node(Kind::kList, std::move(signs));
}

Truth Comparison::equal(const Expr& gold, const Expr& answer) {
  return equal_prepared(prepared(gold), prepared(answer), 0);
}

Truth Comparison::equal_prepared(const Expr& gold, const Expr& answer, int depth) {
  if (depth > kMaxNesting || !budget_.spend(500)) return Truth::kUnknown;
  if (same_tree(gold, answer)) return Truth::kYes;
  if (const std::string g = spelled(gold), a = spelled(answer); !g.empty() && !a.empty()) return equal_letters(g, a);
  if (gold.is(Kind::kMatrix) && answer.is(Kind::kMatrix))
    return gold.name == answer.name ? equal_all(gold.args, answer.args, depth) : Truth::kNo;
  // Sets of real numbers, written as intervals, unions or inequalities.
  if (describes_set(gold) || describes_set(answer)) {
    const std::optional<RealSet> a = real_set(gold, budget_), b = real_set(answer, budget_);
    if (a && b) {
      const std::string x = set_variable(gold), y = set_variable(answer);
      return x.empty() || y.empty() || x == y ? equal_sets(*a, *b, budget_) : Truth::kNo;
    }
  }
  if (is_collection(gold) && is_collection(answer)) {
    // Values without names stand in the order of the gold's names: 6, 5 is not x = 5, y = 6.
    const bool ordered = gives_names(gold.args) && std::ranges::none_of(answer.args, [](const Expr& item) { return item.is(Kind::kRelation); });
    return ordered ? equal_all(gold.args, answer.args, depth) : equal_unordered(gold.args, answer.args, depth);
  }
  if (gold.is(Kind::kRelation) || answer.is(Kind::kRelation)) return equal_relations(gold, answer, depth);
  if (gold.is(Kind::kTuple) || answer.is(Kind::kTuple)) return equal_sequences(gold, answer, depth);
  if (gold.is(Kind::kText) || answer.is(Kind::kText)) return equal_texts(gold, answer, depth);
  if (is_collection(gold) || is_collection(answer)) {
    // A set of one element written as that element; never the other way around: the gold says that it is a set.
    const Expr& collection = is_collection(gold) ? gold : answer;
    if (collection.is(Kind::kList) && collection.args.size() == 1) {
      return is_collection(gold) ? equal_prepared(gold.args[0], answer, depth + 1)
                                 : equal_prepared(gold, answer.args[0], depth + 1);
    }
    // "1/2 or 0.5": one value, said twice.
    if (answer.is(Kind::kList) && answer.name == "or" && answer.args.size() <= kMaxItems) {
      Truth all = Truth::kYes;
      for (const Expr& item : answer.args)
        if (all != Truth::kNo) all = both(all, equal_prepared(gold, item, depth + 1));
      return all;
    }
    return Truth::kNo;
  }
  const bool structured = !(is_scalar(gold) || gold.is(Kind::kUnit)) || !(is_scalar(answer) || answer.is(Kind::kUnit));
  if (!structured) return equal_measures(gold, answer);
  if (gold.kind != answer.kind || gold.name != answer.name) return Truth::kNo;
  return equal_all(gold.args, answer.args, depth);
}

Truth Comparison::equal_all(const std::vector<Expr>& gold, const std::vector<Expr>& answer, int depth) {
  if (gold.size() != answer.size()) return Truth::kNo;
  Truth all = Truth::kYes;
  for (size_t i = 0; i < gold.size() && all != Truth::kNo; ++i)
    all = both(all, equal_prepared(gold[i], answer[i], depth + 1));
  return all;
}

// Every element of one is in the other; how often does not matter.
Truth Comparison::equal_unordered(const std::vector<Expr>& gold, const std::vector<Expr>& answer, int depth) {
  if (gold.size() > kMaxItems || answer.size() > kMaxItems) return Truth::kUnknown;
  if (gold.empty() != answer.empty()) return Truth::kNo;
  std::vector<bool> found(answer.size(), false);
  for (const Expr& g : gold) {
    bool any = false;
    for (size_t i = 0; i < answer.size(); ++i) {
      if (found[i] && any) continue;
      const Truth same = equal_prepared(g, answer[i], depth + 1);
      if (budget_.empty()) return Truth::kUnknown;
      if (same == Truth::kYes) found[i] = any = true;
    }
    if (!any) return Truth::kNo;
  }
  for (const bool f : found)
    if (!f) return Truth::kNo;
  return Truth::kYes;
}

// 1 : 2 : 3 = 2 : 4 : 6. The products crosswise agree, and zeros stand at the same places.
Truth Comparison::equal_ratios(const std::vector<Expr>& gold, const std::vector<Expr>& answer) {
  if (gold.size() != answer.size()) return Truth::kNo;
  const auto times = [](const Expr& a, const Expr& b) { return node(Kind::kMul, {a, b}); };
  Truth all = Truth::kYes;
  for (size_t i = 0; i < gold.size() && all != Truth::kNo; ++i) {
    if (!is_scalar(gold[i]) || !is_scalar(answer[i])) return Truth::kNo;
    const Truth zero = equal_scalars(gold[i], number(0));
    if (zero == Truth::kUnknown || zero != equal_scalars(answer[i], number(0))) return Truth::kNo;
    for (size_t j = 0; j < i && all != Truth::kNo; ++j)
      all = both(all, equal_scalars(times(gold[i], answer[j]), times(answer[i], gold[j])));
  }
  return all;
}

// Tuples, intervals that are no intervals of real numbers, columns, nested lists as matrices.
Truth Comparison::equal_sequences(const Expr& gold, const Expr& answer, int depth) {
  const Expr& tuple = gold.is(Kind::kTuple) ? gold : answer;
  const Expr& other = gold.is(Kind::kTuple) ? answer : gold;
  if (other.is(Kind::kMatrix) && other.name == "" && tuple.name == "[]") {  // [[1, 2], [3, 4]]
    const std::vector<Expr>&g = gold.args, &a = answer.args;
    for (const Expr& row : tuple.args)
      if (!row.is(Kind::kTuple)) return Truth::kNo;
    if (g.size() != a.size()) return Truth::kNo;
    Truth all = Truth::kYes;
    for (size_t i = 0; i < g.size(); ++i) all = both(all, equal_all(g[i].args, a[i].args, depth + 1));
    return all;
  }
  if (other.is(Kind::kList) && round_brackets(tuple)) {  // x = 1, y = 2 for (1, 2)
    std::vector<Expr> values;
    std::string last;
    for (const Expr& item : other.args) {
      if (!item.is(Kind::kRelation) || item.name != "=" || !item.args[0].is(Kind::kSymbol)) return Truth::kNo;
      if (item.args[0].name <= last) return Truth::kNo;
      last = item.args[0].name;
      values.push_back(item.args[1]);
    }
    return &tuple == &gold ? equal_all(gold.args, values, depth) : equal_all(values, answer.args, depth);
  }
  // P(3, 4), a point with its name.
  if (&tuple == &gold && answer.is(Kind::kMul) && answer.name == "call" && answer.args.size() == 2 && answer.args[1].is(Kind::kTuple) && answer.args[0].is(Kind::kSymbol) &&
      answer.args[0].name.size() == 1 && answer.args[0].name[0] >= 'A' && answer.args[0].name[0] <= 'Z')
    return equal_sequences(gold, answer.args[1], depth + 1);
  std::vector<Expr> gold_storage, answer_storage;
  const std::vector<Expr>*g = sequence(gold, gold_storage), *a = sequence(answer, answer_storage);
  if (!g || !a) return Truth::kNo;
  const bool same_brackets = gold.name == answer.name || (round_brackets(gold) && round_brackets(answer)) ||
                             (round_brackets(tuple) && other.is(Kind::kMatrix));
  if (gold.name == "::" && answer.name == "::") return equal_ratios(*g, *a);
  return same_brackets ? equal_all(*g, *a, depth) : Truth::kNo;
}

// Words, names, numerals and labels are what they are spelled with. Only two small letters commute, and only where a
// formula is said to stand: "top" is not "pot", but $ba$ is ab.
Truth Comparison::equal_letters(const std::string& gold, const std::string& answer) const {
  std::string g, a;
  for (const char c : gold)
    if (c != ' ') g += c;
  for (const char c : answer)
    if (c != ' ') a += c;
  if (g == a) return truth(!g.empty());
  const auto small = [](char c) { return c >= 'a' && c <= 'z'; };
  const bool swapped = g.size() == 2 && a.size() == 2 && g[0] == a[1] && g[1] == a[0];
  return truth(formula_ && swapped && small(g[0]) && small(g[1]) && normal_words(g) != "no");
}

Truth Comparison::equal_texts(const Expr& gold, const Expr& answer, int depth) {
  if (gold.is(Kind::kText) && answer.is(Kind::kText)) {
    const std::string words = normal_words(gold.name);
    if (words == normal_words(answer.name) && (gold.name.size() != 2 || words == "no" || gold.name == answer.name))
      return truth(!gold.name.empty());
    const std::optional<mpq_class> a = number_of_words(gold.name), b = number_of_words(answer.name);
    if (a || b) return truth(a == b);
    return equal_letters(gold.name, answer.name);
  }
  const Expr& text = gold.is(Kind::kText) ? gold : answer;
  const Expr& other = gold.is(Kind::kText) ? answer : gold;
  const std::string words = normal_words(text.name);
  if (other.is(Kind::kSet) && other.args.empty()) return truth(words == "no solution" || words == "empty set");
  if (other.is(Kind::kSymbol) && other.name == "set:R") return truth(words == "all real numbers");
  if (const std::optional<Expr> value = value_of_words(text.name))
    return &text == &gold ? equal_prepared(*value, answer, depth + 1) : equal_prepared(gold, *value, depth + 1);
  if (const std::string letters = spelled(other); !letters.empty()) return equal_letters(text.name, letters);
  // "xy" alone was read as a word. A letter that repeats is none of a product: that has a power, and "ii" is no -1.
  if (text.name.size() <= 3 && is_scalar(other) && letters_differ(text.name)) {
    const Expr product = letters_product(text.name);
    return &text == &gold ? equal_measures(product, answer) : equal_measures(gold, product);
  }
  // "5 apples" for "apples"? No: but a name may have its kind behind it.
  return Truth::kNo;
}

}  // namespace cohort::math
