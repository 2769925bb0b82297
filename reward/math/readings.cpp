#include "reward/math/readings.h"

#include <algorithm>
#include <array>
#include <utility>

#include "reward/math/letters.h"
#include "reward/math/number_words.h"
#include "reward/math/words.h"
#include "reward/options.h"

namespace cohort::math {
namespace {

constexpr size_t npos = std::string_view::npos;
constexpr int kMaxInfix = 16;  // in one answer

bool is_number(std::string_view text) { return !text.empty() && text.size() < 20 && std::ranges::all_of(text, is_digit); }

// The brace that encloses text[at], looking in `step`s of -1 or 1; npos: none does.
size_t enclosing(std::string_view text, size_t at, int step) {
  int depth = 0;
  for (size_t i = at; i < text.size(); i += static_cast<size_t>(step)) {  // wraps round to npos at the front
    if (i > 0 && text[i - 1] == '\\') continue;
    depth += (text[i] == '{') - (text[i] == '}');
    if (depth == (step < 0 ? 1 : -1)) return i;
  }
  return npos;
}

// "a<between>b", split.
std::pair<std::string_view, std::string_view> halves(std::string_view text, std::string_view between) {
  const size_t at = text.find(between);
  if (at == npos || text.find(between, at + 1) != npos) return {};
  return {trim(text.substr(0, at)), trim(text.substr(at + between.size()))};
}

// ]1, 2[ and unions of such as (1, 2). "" where no bracket is turned.
std::string turned_brackets(std::string_view text) {
  if (text.size() > 200 || (!text.starts_with(']') && !text.ends_with('['))) return "";
  std::string out(text);
  bool inside = false;
  for (char& c : out) {
    if (c != '(' && c != ')' && c != '[' && c != ']') continue;
    if (c == (inside ? '[' : ']')) c = inside ? ')' : '(';
    if (c != (inside ? ')' : '(') && c != (inside ? ']' : '[')) return "";
    inside = !inside;
  }
  return inside ? "" : out;
}

}  // namespace

std::string without_infix(std::string_view text) {
  std::string out(text);
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kInfix = {{{"\\over", "\\frac"}, {"\\choose", "\\binom"}}};
  for (const auto& [infix, command] : kInfix) {
    size_t at = 0;
    for (int i = 0; i < kMaxInfix && (at = out.find(infix, at)) != npos; ++i) {
      const size_t behind = at + infix.size();
      const size_t open = enclosing(out, at, -1), close = enclosing(out, behind, 1);
      if ((behind < out.size() && is_letter(out[behind])) || (open == npos) != (close == npos)) {  // \overline
        at = behind;
        continue;
      }
      const size_t begin = open == npos ? 0 : open, end = close == npos ? out.size() : close + 1;
      const std::string top = out.substr(begin + (open != npos), at - begin - (open != npos));
      const std::string bottom = out.substr(behind, end - behind - (close != npos));
      out = out.substr(0, begin) + "{" + std::string(command) + "{" + top + "}{" + bottom + "}}" + out.substr(end);
      at = begin;
    }
  }
  return out;
}

std::vector<std::string> other_readings(std::string_view answer, std::string_view gold) {
  std::vector<std::string> readings;
  if (answer.size() > 2 && answer.front() == '{' && answer.back() == '}' && enclosing(answer, 1, 1) == answer.size() - 1 &&
      answer.find_first_of(",;:|") == npos)
    readings.emplace_back(answer.substr(1, answer.size() - 2));
  if (const auto [whole, part] = halves(answer, " and "); is_number(whole)) {
    const auto [top, bottom] = halves(part, "/");
    if (is_number(top) && is_number(bottom)) readings.push_back(std::string(whole) + " " + std::string(part));
    // "2 and a half", perhaps with a unit behind it.
    if (const std::optional<WordNumber> said = read_word_number(part); said && said->value > 0 && said->value < 1)
      readings.push_back(std::string(whole) + " " + said->value.get_str() + " " + said->rest);
  } else if (!whole.empty() && !part.empty() && (is_digit(whole[0]) || whole[0] == '$') && is_digit(part[0]) && is_letter(whole.back()) && is_letter(part.back())) {
    readings.push_back(std::string(whole) + " " + std::string(part));  // 15 dollars and 50 cents
  }
  if (!answer.empty() && is_letter(answer[0]) && std::ranges::none_of(answer, is_digit))
    if (const std::optional<WordNumber> said = read_word_number(answer)) readings.push_back(said->value.get_str() + " " + said->rest);  // two and a half
  if (const auto [left, right] = halves(answer, " to "); is_number(left) && is_number(right) && gold.find(':') != npos)
    readings.push_back(std::string(left) + ":" + std::string(right));
  if (std::string turned = turned_brackets(answer); !turned.empty()) readings.push_back(std::move(turned));
  return readings;
}

std::string time_of_day(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == npos || colon == 0 || colon > 2 || text.size() > 40) return "";
  std::string out(text.substr(0, colon + 1));
  size_t at = colon + 1;
  while (at < text.size() && is_digit(text[at])) out += text[at++];
  if (out.size() != colon + 3 || !std::all_of(out.begin(), out.begin() + static_cast<ptrdiff_t>(colon), is_digit)) return "";
  std::string half;
  for (const char c : strip_wrapping(text.substr(at)))
    if (is_letter(c)) half += lower(c);
    else if (c != '.' && c != ' ') return "";
  return half == "am" || half == "pm" ? out + half : "";
}

}  // namespace cohort::math
