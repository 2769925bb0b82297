#include "reward/math/words_behind.h"

#include <algorithm>
#include <string>

#include "reward/math/extract_text.h"
#include "reward/math/letters.h"
#include "reward/math/parser.h"
#include "reward/math/words.h"
#include "reward/options.h"

namespace cohort::math {
namespace {

constexpr size_t kMaxWords = 40;  // bytes that are looked at
constexpr std::string_view kPlain[] = {"approximately", "approx", "roughly", "or so", "or thereabouts", "more or less", "give or take"};  // also without brackets

bool take_end(std::string_view& text, std::string_view end) {
  if (text.size() < end.size() || lower(text.substr(text.size() - end.size())) != end) return false;
  text.remove_suffix(end.size());
  return true;
}

void drop_end(std::string_view& text, std::string_view signs) {
  while (!text.empty() && signs.find(text.back()) != signs.npos) text.remove_suffix(1);
}

// "(", "\text{", "\," and commas before the words.
void drop_opening(std::string_view& text) {
  for (bool again = true; again;) {
    const size_t before = text.size();
    drop_end(text, " \n,({~");
    for (const std::string_view command : {"\\text", "\\textrm", "\\mathrm", "\\left", "\\quad", "\\;", "\\ ", "\\"}) take_end(text, command);
    again = text.size() < before;
  }
}

}  // namespace

std::optional<std::string_view> before_near_words(std::string_view text) {
  std::string_view front = text;
  drop_end(front, " \n.})*$");
  if (take_end(front, "\\right")) drop_end(front, " })");
  drop_end(front, ".");
  const size_t begin = front.size() - std::min(front.size(), kMaxWords);
  const bool in_brackets = text.substr(front.size()).find(')') != text.npos && text.find('(', begin) < front.size();
  const auto ends_with = [&](std::string_view words) {
    std::string_view left = front;
    if (!take_end(left, words) || (!left.empty() && (is_letter(left.back()) || left.back() == '\\'))) return false;
    front = left;
    return true;
  };
  const bool ish = take_end(front, "ish");
  if (ish) {
    if (take_end(front, "-")) drop_end(front, " ");
    if (front.empty() || !(is_digit(front.back()) || front.back() == '$')) return std::nullopt;
    return front;
  }
  if (!std::ranges::any_of(kPlain, ends_with) && !(in_brackets && std::ranges::any_of(kNearWords, ends_with))) return std::nullopt;
  drop_opening(front);
  if (front.empty()) return std::nullopt;
  return front;
}

Expr as_near(Expr value) {
  if (value.is(Kind::kList)) {
    for (Expr& one : value.args) one = as_near(std::move(one));
    return value;
  }
  if (value.is(Kind::kRelation)) {
    if (value.name.ends_with('=')) value.name.back() = '~';
    return value;
  }
  return node(Kind::kRelation, {node(Kind::kText, {}), std::move(value)}, "~");
}

bool says_near(std::string_view rest) {
  while (!rest.empty() && std::string_view("$*)").find(rest[0]) != rest.npos) rest.remove_prefix(1);
  if (rest.starts_with(" or so") && (rest.size() == 6 || !is_letter(rest[6]))) return true;
  std::string sentence(1, '0');
  sentence += rest.substr(0, std::min(sentence_end(rest), 2 * kMaxWords));
  const std::optional<std::string_view> value = before_near_words(sentence);
  return value && (value->size() == 1 || (value->find_first_of(",;") == value->npos && parse_answer(*value).ok()));
}

bool is_open(std::string_view rest) {
  while (!rest.empty() && std::string_view("$*)").find(rest[0]) != rest.npos) rest.remove_prefix(1);
  for (const std::string_view bound : {" or more", " or fewer", " or less", " or greater", " or higher", " or above", " or below"})
    if (rest.starts_with(bound) && (rest.size() == bound.size() || !is_letter(rest[bound.size()]))) return true;
  std::string_view end = rest;
  drop_end(end, " \n*$_");
  end = trim(end);
  return end == "=" || end == "+" || end == "= ?" || end == "=?" || end == "= ..." || end == "\u2248";
}

}  // namespace cohort::math
