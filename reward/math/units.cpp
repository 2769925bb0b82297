#include "reward/math/units.h"

#include <algorithm>
#include <vector>

#include "reward/math/letters.h"

namespace cohort::math {
namespace {

struct Row {
  std::string_view word;
  std::string_view base;
  int64_t numerator = 1, denominator = 1;
  int power = 1;
};

// International units, those of everyday problems, and money. A word of two meanings has the commoner one.
const std::vector<Row>& rows() {
  static const std::vector<Row> kRows = [] {
    std::vector<Row> rows = {
        {"m", "m"},
        {"meter", "m"},
        {"metre", "m"},
        {"km", "m", 1000},
        {"kilometer", "m", 1000},
        {"kilometre", "m", 1000},
        {"cm", "m", 1, 100},
        {"centimeter", "m", 1, 100},
        {"centimetre", "m", 1, 100},
        {"mm", "m", 1, 1000},
        {"millimeter", "m", 1, 1000},
        {"millimetre", "m", 1, 1000},
        {"dm", "m", 1, 10},
        {"nm", "m", 1, 1000000000},
        {"inch", "m", 254, 10000},
        {"in", "m", 254, 10000},
        {"foot", "m", 3048, 10000},
        {"feet", "m", 3048, 10000},
        {"ft", "m", 3048, 10000},
        {"yard", "m", 9144, 10000},
        {"yd", "m", 9144, 10000},
        {"mile", "m", 1609344, 1000},
        {"mi", "m", 1609344, 1000},
        {"s", "s"},
        {"sec", "s"},
        {"second", "s"},
        {"min", "s", 60},
        {"minute", "s", 60},
        {"hour", "s", 3600},
        {"h", "s", 3600},
        {"hr", "s", 3600},
        {"day", "s", 86400},
        {"week", "s", 604800},
        {"ms", "s", 1, 1000},
        {"month", "month"},
        {"year", "month", 12},
        {"yr", "month", 12},
        {"decade", "month", 120},
        {"g", "g"},
        {"gram", "g"},
        {"kg", "g", 1000},
        {"kilogram", "g", 1000},
        {"mg", "g", 1, 1000},
        {"milligram", "g", 1, 1000},
        {"ton", "ton"},
        {"tonne", "g", 1000000},
        {"lb", "lb"},
        {"pound", "lb"},
        {"ounce", "lb", 1, 16},
        {"oz", "lb", 1, 16},
        {"L", "m", 1, 1000, 3},
        {"l", "m", 1, 1000, 3},
        {"liter", "m", 1, 1000, 3},
        {"litre", "m", 1, 1000, 3},
        {"ml", "m", 1, 1000000, 3},
        {"mL", "m", 1, 1000000, 3},
        {"milliliter", "m", 1, 1000000, 3},
        {"millilitre", "m", 1, 1000000, 3},
        {"cc", "m", 1, 1000000, 3},
        {"gallon", "gallon"},
        {"quart", "gallon", 1, 4},
        {"pint", "gallon", 1, 8},
        {"cup", "gallon", 1, 16},
        {"hectare", "m", 10000, 1, 2},
        {"ha", "m", 10000, 1, 2},
        {"acre", "acre"},
        {"mph", "mph"},
        {"kph", "km/h"},
        {"kmh", "km/h"},
        {"N", "N"},
        {"newton", "N"},
        {"J", "J"},
        {"joule", "J"},
        {"kJ", "J", 1000},
        {"W", "W"},
        {"watt", "W"},
        {"kW", "W", 1000},
        {"V", "V"},
        {"volt", "V"},
        {"A", "A"},
        {"ampere", "A"},
        {"Hz", "Hz"},
        {"kHz", "Hz", 1000},
        {"hertz", "Hz"},
        {"K", "K"},
        {"kelvin", "K"},
        {"C", "C"},
        {"celsius", "C"},
        {"F", "F"},
        {"fahrenheit", "F"},
        {"Pa", "Pa"},
        {"kPa", "Pa", 1000},
        {"mol", "mol"},
        {"mole", "mol"},
        {"ohm", "ohm"},
        {"dollar", "dollar"},
        {"USD", "dollar"},
        {"cent", "dollar", 1, 100},
        {"euro", "euro"},
        {"EUR", "euro"},
        {"yen", "yen"},
        {"rupee", "rupee"},
        {"Rs", "rupee"},
        {"degree", "degree"},
        {"radian", "radian"},
        {"rad", "radian"},
        {"person", "person"},
        {"people", "person"},
        {"unit", "unit"},
    };
    std::ranges::sort(rows, {}, &Row::word);
    return rows;
  }();
  return kRows;
}

const Row* find_row(std::string_view word) {
  const auto it = std::ranges::lower_bound(rows(), word, {}, &Row::word);
  return it != rows().end() && it->word == word ? &*it : nullptr;
}

// The word in the singular, if that makes it one of the table; else with a plural's ending cut off.
std::string singular(std::string_view word) {
  if (find_row(word)) return std::string(word);
  const std::string low = lower(word);
  if (find_row(low)) return low;
  if (low.ends_with("inches")) return "inch";
  if (low.ends_with("ies") && low.size() > 4) return low.substr(0, low.size() - 3) + "y";
  for (const std::string_view ending : {"ches", "shes", "xes", "sses"})
    if (low.ends_with(ending)) return low.substr(0, low.size() - 2);
  if (low.ends_with("s") && !low.ends_with("ss") && low.size() > 2) return low.substr(0, low.size() - 1);
  return low;
}

void multiply(Unit& unit, std::string_view word, int power) {
  const std::string name = singular(word);
  const Row* row = find_row(name);
  if (!row) {
    unit.known = false;
    unit.powers[name] += power;
  } else if (row->base == "km/h" || row->base == "mph") {
    mpq_class speed = row->base == "mph" ? mpq_class(1609344, 3600000) : mpq_class(1000, 3600);
    speed.canonicalize();
    for (int i = 0; i < std::abs(power); ++i) power > 0 ? unit.factor *= speed : unit.factor /= speed;
    unit.powers["m"] += power;
    unit.powers["s"] -= power;
  } else {
    mpq_class factor(row->numerator, row->denominator);
    factor.canonicalize();
    for (int i = 0; i < std::abs(power); ++i) power > 0 ? unit.factor *= factor : unit.factor /= factor;
    unit.powers[std::string(row->base)] += power * row->power;
  }
}

bool is_of_word(char c) { return is_letter(c) || is_wide(c); }

constexpr int kMaxPower = 9;

}  // namespace

bool changes_value(std::string_view words) {
  static constexpr std::string_view kFirst[] = {"squared", "cubed", "factorial", "negative", "x", "doubled", "tripled", "halved", "quadrupled", "tens", "score", "scores", "gross"};
  static constexpr std::string_view kAnywhere[] = {"or", "and", "not", "plus", "minus", "is", "isn", "was", "below", "above", "if", "unless", "but",
                                                   "half", "halves", "thirds", "fourths", "fifths", "sixths", "sevenths", "eighths", "ninths",
                                                   "tenths", "hundredths", "thousandths", "zero", "one", "two", "three", "four", "five", "six", "seven",
                                                   "eight", "nine", "ten", "eleven", "twelve", "twenty", "thirty", "forty", "fifty"};
  if (words.find("\u207B") != words.npos || hedges(words)) return true;
  std::string before;
  for (size_t at = 0; at < words.size();) {
    if (!is_of_word(words[at]) && !is_digit(words[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < words.size() && (is_of_word(words[end]) || is_digit(words[end]) || words[end] == '-')) ++end;
    std::string word(words.substr(at, end - at));
    if (word.size() > 1) word = lower(word);
    // A number, which no power of a unit is: "5 (or 6)", but "m^2", "s^{-1}" and "per 100 km".
    if (is_digit(word[0]) && (at == 0 || std::string_view("^{-_").find(words[at - 1]) == words.npos) && before != "per") return true;
    if (std::ranges::find(kAnywhere, word) != std::end(kAnywhere)) return true;
    if (before.empty() && std::ranges::find(kFirst, word) != std::end(kFirst)) return true;
    if (before == "times" && word.size() == 1 && word != "a") return true;  // "times x"
    before = std::move(word);
    at = end;
  }
  return false;
}

bool hedges(std::string_view words) {
  static constexpr std::string_view kHedges[] = {"else", "otherwise", "maybe", "perhaps", "possibly", "alternatively", "wrong", "incorrect", "false"};
  std::string before;
  for (size_t at = 0; at < words.size();) {
    size_t end = at;
    while (end < words.size() && is_letter(words[end])) ++end;
    std::string word = lower(words.substr(at, end - at));
    at = end + 1;
    if (word.empty()) continue;
    if (std::ranges::find(kHedges, word) != std::end(kHedges)) return true;
    if (before == "at" && (word == "most" || word == "least")) return true;
    before = std::move(word);
  }
  return false;
}

bool is_unit_word(std::string_view word) { return find_row(singular(word)) != nullptr; }

Unit read_unit(std::string_view words) {
  Unit unit;
  int sign = 1, next_power = 1;  // "square", "cubic"
  bool once = false;             // "per" turns one word around, '/' all that follow
  for (size_t at = 0; at < words.size();) {
    if (words[at] == '/') {
      sign = -1;
      once = false;
      ++at;
      continue;
    }
    if (!is_of_word(words[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < words.size() && is_of_word(words[end])) ++end;
    const std::string_view word = words.substr(at, end - at);
    const std::string low = lower(word);
    at = end;
    if (low == "per") {
      sign = -1;
      once = true;
      continue;
    }
    if (low == "square" || low == "sq" || low == "cubic") {
      next_power = low == "cubic" ? 3 : 2;
      continue;
    }
    if (low == "of" || low == "a" || low == "an" || low == "the") continue;
    int power = next_power;
    next_power = 1;
    while (at < words.size() && words[at] == ' ') ++at;
    if (low == "squared" || low == "cubed") continue;
    if (words.substr(at).starts_with("squared")) {
      power = 2;
    } else if (words.substr(at).starts_with("cubed")) {
      power = 3;
    } else if (at < words.size() && words[at] == '^') {
      ++at;
      bool negative = false;
      int value = 0;
      while (at < words.size() && (words[at] == '{' || words[at] == ' ' || words[at] == '-'))
        negative |= words[at++] == '-';
      while (at < words.size() && is_digit(words[at]))
        value = std::min(10 * value + (words[at++] - '0'), kMaxPower);
      power = negative ? -value : value;
    }
    multiply(unit, word, sign * power);
    if (once) sign = 1, once = false;
  }
  std::erase_if(unit.powers, [](const auto& entry) { return entry.second == 0; });
  return unit;
}

}  // namespace cohort::math
