#include "reward/math/words.h"

#include <array>
#include <utility>

#include "reward/math/letters.h"
#include "reward/options.h"

namespace cohort::math {
namespace {

bool is_alnum(char c) { return is_letter(c) || is_digit(c) || is_wide(c); }

// How many bytes the minus sign at text[at] has, 0 if none stands there.
size_t minus_at(std::string_view text, size_t at) {
  return text[at] == '-' ? 1 : text.substr(at).starts_with("\u2212") ? 3 : 0;
}

// A digit, perhaps behind a point or a currency sign.
bool number_at(std::string_view text, size_t at) {
  while (at < text.size() && (text[at] == '.' || text[at] == '$' || text[at] == '\\')) ++at;
  return at < text.size() && is_digit(text[at]);
}

// Different words for one answer.
constexpr std::pair<std::string_view, std::string_view> kSame[] = {
    {"no solutions", "no solution"},
    {"no real solution", "no solution"},
    {"no real solutions", "no solution"},
    {"none", "no solution"},
    {"no such values", "no solution"},
    {"there is no solution", "no solution"},
    {"there are no solutions", "no solution"},
    {"no solution exists", "no solution"},
    {"impossible", "no solution"},
    {"dne", "does not exist"},
    {"doesn't exist", "does not exist"},
    {"not exist", "does not exist"},
    {"not defined", "undefined"},
    {"infinitely many solutions", "infinitely many"},
    {"infinite solutions", "infinitely many"},
    {"infinite", "infinitely many"},
    {"infinitely many solution", "infinitely many"},
    {"all reals", "all real numbers"},
    {"true statement", "true"},
    {"t", "true"},
    {"f", "false"},
    {"y", "yes"},
    {"n", "no"},
};

bool strip(std::string_view& text, std::string_view open, std::string_view close) {
  if (text.size() < open.size() + close.size() || !text.starts_with(open) || !text.ends_with(close)) return false;
  const std::string_view inner = text.substr(open.size(), text.size() - open.size() - close.size());
  if (close == "}") {  // the brace must close the one that opened
    int depth = 1;
    for (size_t i = 0; i < inner.size(); ++i) {
      if (inner[i] == '\\')
        ++i;
      else if (inner[i] == '{')
        ++depth;
      else if (inner[i] == '}' && --depth == 0)
        return false;
    }
  } else if (inner.find(open) != std::string_view::npos || inner.find(close) != std::string_view::npos) {
    return false;
  }
  text = inner;
  return true;
}

// Is what stands behind a choice another one, "or (B)", ", C" or "(B)"? Then no choice was made.
bool chooses_again(std::string_view rest) {
  for (const std::string_view link : {", or (", "\\textbf{(", "\\textbf{ ("}) {  // (B) 37, or (C) 38
    const size_t at = rest.find(link), letter = at + link.size();
    if (at != rest.npos && letter + 1 < rest.size() && rest[letter] >= 'A' && rest[letter] <= 'J' && rest[letter + 1] == ')') return true;
  }
  bool joined = false;
  for (const std::string_view joint : {"\\text{", ",", ";", "/", "&", "but", "or", "and", "else", "maybe", "perhaps", "possibly", "}", "\\text{"}) {
    rest = trim(rest);
    if (!rest.starts_with(joint)) continue;
    rest = trim(rest.substr(joint.size()));
    joined = joined || (joint != "\\text{" && joint != "}");
  }
  const bool bracket = rest.starts_with('(');
  if (bracket) rest = trim(rest.substr(1));
  if (rest.empty() || rest[0] < 'A' || rest[0] > 'J') return false;
  rest = trim(rest.substr(1));
  if (bracket) return rest.starts_with(')');
  if (joined) return rest.empty() || !is_alnum(rest[0]);
  if (!rest.starts_with('.') && !rest.starts_with(')')) return false;
  rest = trim(rest.substr(1));  // "B. C.", but not "E. coli"
  return rest.empty() || (rest[0] >= 'A' && rest[0] <= 'J' && (rest.size() == 1 || rest[1] == '.' || rest[1] == ')'));
}

// "70 pencils!", which is no factorial: a word of three letters or more behind a space.
bool ends_stressed(std::string_view text) {
  if (!text.ends_with('!')) return false;
  size_t letters = 0;
  while (letters + 1 < text.size() && is_letter(text[text.size() - 2 - letters])) ++letters;
  return letters >= 3 && letters + 1 < text.size() && is_space(text[text.size() - 2 - letters]);
}

}  // namespace

std::string_view strip_wrapping(std::string_view text) {
  static constexpr std::pair<std::string_view, std::string_view> kWrappings[] = {
      {"$$", "$$"},       {"$", "$"},       {"\\(", "\\)"},     {"\\[", "\\]"},    {"**", "**"},
      {"`", "`"},         {"\\text{", "}"}, {"\\textbf{", "}"}, {"\\boxed{", "}"}, {"\\mathbf{", "}"},
      {"\\mathrm{", "}"}, {"\\fbox{", "}"}, {"*", "*"},         {"\"", "\""},      {"\\displaystyle", ""}};
  for (int round = 0; round < 8; ++round) {
    text = trim(text);
    const size_t before = text.size();
    while (text.ends_with('.') && !text.ends_with("...")) text.remove_suffix(1);
    while (ends_stressed(text)) text.remove_suffix(1);
    while (text.ends_with('*')) text.remove_suffix(1);  // markdown, perhaps cut in two
    while (text.starts_with('*')) text.remove_prefix(1);
    while (text.ends_with('_') || text.ends_with('`')) text.remove_suffix(1);
    while (text.starts_with('_') || text.starts_with('`')) text.remove_prefix(1);
    text = trim(text);
    for (const auto& [open, close] : kWrappings)
      if (strip(text, open, close)) break;
    if (text.size() == before) break;
  }
  return trim(text);
}

std::string normal_words(std::string_view text) {
  std::string words;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {  // a command
      while (i + 1 < text.size() && is_letter(text[i + 1])) ++i;
      continue;
    }
    if (const size_t minus = minus_at(text, i)) {
      const bool behind = i > 0 && (is_alnum(text[i - 1]) || text[i - 1] == ')');
      i += minus - 1;
      if (!behind && number_at(text, i + 1)) {
        if (!words.empty() && words.back() != ' ') words += ' ';
        words += '-';
        continue;
      }
    } else if (is_alnum(text[i]) || text[i] == '\'') {
      words += lower(text[i]);
      continue;
    }
    if (!words.empty() && words.back() != ' ' && words.back() != '-') words += ' ';
  }
  std::string out;
  for (size_t at = 0; at < words.size();) {
    const size_t end = std::min(words.find(' ', at), words.size());
    const std::string_view word = std::string_view(words).substr(at, end - at);
    at = end + 1;
    if (word.empty() || ((word == "a" || word == "an" || word == "the") && words.size() > word.size() + 1)) continue;
    if (!out.empty()) out += ' ';
    out += word;
  }
  for (const auto& [word, same] : kSame)
    if (out == word) return std::string(same);
  return out;
}

std::optional<Label> read_label(std::string_view text) {
  text = strip_wrapping(text);
  for (const std::string_view word : {"Option ", "option ", "Choice ", "choice "})
    if (text.starts_with(word)) text.remove_prefix(word.size());
  std::string_view inner = text;
  for (const std::string_view command : {"\\textbf{", "\\text{", "\\mathbf{", "\\mathrm{"})
    if (inner.starts_with(command)) {
      const size_t close = inner.find('}');
      if (close == std::string_view::npos) return std::nullopt;
      const std::optional<Label> label = read_label(inner.substr(command.size(), close - command.size()));
      if (!label || !label->rest.empty()) return std::nullopt;
      std::string_view rest = trim(inner.substr(close + 1));
      while (rest.starts_with(')') || rest.starts_with('.') || rest.starts_with(':')) rest = trim(rest.substr(1));
      if (chooses_again(rest)) return std::nullopt;
      return Label{label->letter, std::string(rest)};
    }
  const bool round = inner.starts_with('('), square = inner.starts_with('[');
  if (round || square) inner.remove_prefix(1);
  inner = trim(inner);
  if (inner.empty() || inner[0] < 'A' || inner[0] > 'J') return std::nullopt;
  const char letter = inner[0];
  inner.remove_prefix(1);
  // "(A) + 1" and "(B)^2" are expressions.
  const auto operates = [](std::string_view rest) {
    return !rest.empty() && std::string_view("+*/^=<>_").find(trim(rest)[0]) != std::string_view::npos;
  };
  if (round || square) {
    inner = trim(inner);
    if (!inner.starts_with(round ? ')' : ']')) return std::nullopt;
    inner.remove_prefix(1);
    while (inner.starts_with(':') || inner.starts_with('.')) inner.remove_prefix(1);
    if (operates(trim(inner)) || chooses_again(inner)) return std::nullopt;
    return Label{letter, std::string(trim(inner))};
  }
  if (inner.empty()) return Label{letter, ""};
  if ((inner[0] != ')' && inner[0] != '.' && inner[0] != ':') || chooses_again(inner.substr(1))) return std::nullopt;
  return Label{letter, std::string(trim(inner.substr(1)))};
}

}  // namespace cohort::math
