#include "reward/math/extract_text.h"

#include <algorithm>
#include <array>

#include "reward/math/budget.h"
#include "reward/math/commands.h"
#include "reward/math/extract_number.h"
#include "reward/math/letters.h"
#include "reward/math/parser.h"
#include "reward/math/words.h"
#include "reward/math/words_before.h"
#include "reward/math/words_behind.h"
#include "reward/options.h"

namespace cohort::math {
namespace {

constexpr size_t npos = std::string_view::npos;

bool word_at(std::string_view text, size_t at, std::string_view word) {
  if (at + word.size() > text.size()) return false;
  for (size_t i = 0; i < word.size(); ++i)
    if (lower(text[at + i]) != word[i]) return false;
  return true;
}

struct Formula {
  size_t begin, end;
  std::string_view inner;
};

// Two or more words of prose, or a blank line, inside a pair of dollars: the dollars are money.
bool is_prose(std::string_view inner) {
  if (inner.empty() || inner.find("\n\n") != npos || inner.size() > kMaxAnswerBytes) return true;
  if (inner.find('\\') != npos) return false;
  int words = 0;
  for (size_t i = 0; i < inner.size(); ++i) {
    size_t end = i;
    while (end < inner.size() && is_letter(inner[end])) ++end;
    if (end >= i + 3) ++words;
    i = std::max(i, end);
  }
  return words >= 2;
}

// The formula whose opening sign is at text[at].
std::optional<Formula> formula_at(std::string_view text, size_t at) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kSigns = {
      {{"$$", "$$"}, {"\\(", "\\)"}, {"\\[", "\\]"}, {"$", "$"}}};
  const std::string_view rest = text.substr(at);
  for (const auto& [open, close] : kSigns) {
    if (!rest.starts_with(open)) continue;
    size_t end = rest.substr(0, kMaxAnswerBytes).find(close, open.size());
    while (end != npos && open == "$" && rest[end - 1] == '\\' && rest[end - 2] != '\\')
      end = rest.substr(0, kMaxAnswerBytes).find(close, end + 1);
    if (end == npos) return std::nullopt;
    const std::string_view inner = rest.substr(open.size(), end - open.size());
    const bool single = open == "$";
    if (single && (inner.empty() || (inner.front() == ' ' && inner.back() != ' ') || inner.find('\n') != npos))
      return std::nullopt;
    if (is_prose(inner)) return std::nullopt;
    return Formula{at, at + end + close.size(), inner};
  }
  return std::nullopt;
}

// Words that begin a remark behind the answer.
size_t remark_begin(std::string_view text) {
  static constexpr std::array<std::string_view, 25> kRemarks = {
      "i.e", "namely", "because", "since", "so",     "as",  "which", "where", "when",  "for",  "after",     "if",       "that",
      "but",     "by",    "rather", "instead", "not", "using", "given", "hence", "thus", "therefore", "assuming", "with"};
  for (size_t i = 1; i < text.size(); ++i) {
    if (!is_letter(text[i]) || is_letter(text[i - 1]) || text[i - 1] == '\\') continue;
    for (const std::string_view word : kRemarks) {
      const size_t end = i + word.size();
      if (word == "so" && word_at(text, i - std::min<size_t>(i, 3), "or ")) continue;  // 12 or so
      if (word_at(text, i, word) && (end == text.size() || !is_letter(text[end]))) {
        size_t begin = i;
        while (begin > 0 && (is_space(text[begin - 1]) || text[begin - 1] == ',' || text[begin - 1] == '(')) --begin;
        return begin;
      }
    }
  }
  return text.size();
}

bool joins(std::string_view between) {
  const std::string_view word = trim(between);
  return word == "and" || word == "or" || word == "," || word == ", and" || word == ", or" || word == ";";
}

size_t skip_opening(std::string_view text, size_t at) {
  // '>' quotes where it begins a line; elsewhere it is a relation.
  while (at < text.size() && (is_space(text[at]) || text[at] == '*' || text[at] == ':' || text[at] == '_' ||
                              text[at] == '`' || (text[at] == '>' && at > 0 && text[at - 1] == '\n')))
    ++at;
  return at;
}

// The right side of an equation that stands in plain words.
std::string_view right_side(std::string_view text) {
  size_t at = text.rfind('=');
  if (at == npos || at + 1 >= text.size() ||
      (at > 0 && (text[at - 1] == '<' || text[at - 1] == '>' || text[at - 1] == '!')))
    return text;
  return trim(text.substr(at + 1));
}

// "Therefore, 5 apples", "So in the end 5": words that are no part of an expression, as "sin", "xy" and "\\frac" are.
bool begins_with_words(std::string_view text) {
  size_t end = 0, words = 0;
  while (end < text.size() && is_letter(text[end])) ++end;
  if (end < 2 || find_word(text.substr(0, end))) return false;
  if (end > 3 || (text[0] >= 'A' && text[0] <= 'Z' && text.substr(end).starts_with(' '))) return true;
  for (size_t i = end; i < text.size();) {
    size_t stop = i;
    while (stop < text.size() && is_letter(text[stop])) ++stop;
    words += stop >= i + 2 && text[i - 1] != '\\';
    i = stop + 1;
  }
  return words > 0;
}

// "Let the answer be N", and no more.
bool is_supposed(std::string_view text, size_t phrase) {
  const std::string_view lead = trim(text.substr(phrase > 24 ? phrase - 24 : 0, std::min<size_t>(phrase, 24)));
  for (const std::string_view word : {"let the", "let our", "let", "suppose the", "assume the", "call the", "denote the"})
    if (lead.size() >= word.size() && word_at(lead, lead.size() - word.size(), word)) return true;
  return false;
}

// "The wrong answer is", "a common incorrect answer is": it says nothing of the right one.
bool is_of_others(std::string_view text, size_t phrase) {
  const std::string_view lead = trim(text.substr(phrase > 24 ? phrase - 24 : 0, std::min<size_t>(phrase, 24)));
  for (const std::string_view word : {"wrong", "incorrect", "mistaken", "false", "erroneous", "not the", "not the right", "not the correct"})
    if (lead.size() >= word.size() && word_at(lead, lead.size() - word.size(), word) && (lead.size() == word.size() || !is_letter(lead[lead.size() - word.size() - 1]))) return true;
  return false;
}

// Is there a "not" in the words between "answer" and what it is said to be?
bool denies(std::string_view words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0 && is_letter(words[i - 1]) && words[i] != 'n') continue;
    for (const std::string_view word : {"not", "never", "cannot", "n't", "n\u2019t"})
      if (word_at(words, i, word) && (i + word.size() == words.size() || !is_letter(words[i + word.size()]))) return true;
  }
  return false;
}

// "12 if x is even, and 13 otherwise", "(B), but maybe (C)": two answers, of which none is given.
bool gives_two(std::string_view sentence) {
  const std::string_view remark = trim(sentence.substr(remark_begin(sentence)));
  const size_t first = remark.find_first_not_of(", (");
  if (first == npos) return false;
  const std::string words = lower(remark.substr(first));
  const auto has = [&](std::initializer_list<std::string_view> any) { return std::ranges::any_of(any, [&](auto word) { return words.find(word) != npos; }); };
  if (words.starts_with("but ")) return has({"maybe", "perhaps", "possibly", " could ", " might "});
  return (words.starts_with("if ") || words.starts_with("when ") || words.starts_with("for ")) && has({"otherwise", " else"});
}

// Behind words that stress what follows: "simply", "therefore".
std::string_view without_stress(std::string_view text) {
  static constexpr std::array<std::string_view, 14> kStress = {"therefore", "thus", "hence", "simply",    "just",    "exactly", "precisely",
                                                               "clearly",   "then", "indeed", "obviously", "only", "equal to", "given by"};
  for (int i = 0; i < 4; ++i) {
    const auto* const word = std::ranges::find_if(kStress, [&](auto w) { return word_at(text, 0, w) && text.size() > w.size() && !is_letter(text[w.size()]); });
    if (word == kStress.end()) break;
    text.remove_prefix(word->size());
    while (!text.empty() && (text[0] == ',' || text[0] == ':')) text.remove_prefix(1);
    text.remove_prefix(std::min(skip_opening(text, 0), text.size()));
  }
  return text;
}

}  // namespace

// Where the sentence at the front of `text` ends.
size_t sentence_end(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') return i;
    if (text.substr(i).starts_with("...")) {
      while (i + 1 < text.size() && text[i + 1] == '.') ++i;
      continue;
    }
    if (text[i] == '.' && (i + 1 == text.size() || text[i + 1] == '.' || is_space(text[i + 1]) || text[i + 1] == '*' ||
                           text[i + 1] == '<')) {
      return i;
    }
    if (text.substr(i).starts_with("\u3002")) return i;
  }
  return text.size();
}

std::optional<size_t> after_phrase(std::string_view text, size_t& before, Said& said) {
  static constexpr std::array<std::string_view, 3> kPhrases = {"answer", "correct option", "correct choice"};
  static constexpr std::string_view kChinese = "\u7B54\u6848";
  while (before > 0) {
    --before;
    if (text.substr(before).starts_with(kChinese)) {
      size_t at = before + kChinese.size();
      said = Said::kIs;
      for (const std::string_view skip : {"\u662F", "\u4E3A", "\uFF1A", ":", "\u662F", "\u4E3A"})
        if (text.substr(at).starts_with(skip)) at += skip.size();
      return skip_opening(text, at);
    }
    if (const char c = lower(text[before]); c != 'a' && c != 'c') continue;
    const auto* const word = std::ranges::find_if(kPhrases, [&](auto w) { return word_at(text, before, w); });
    if (word == kPhrases.end()) continue;
    if (before > 0 && (is_letter(text[before - 1]) || text[before - 1] == '<' || text[before - 1] == '/')) continue;
    if (is_supposed(text, before)) continue;
    const bool others = is_of_others(text, before);
    said = others ? Said::kOther : Said::kIs;
    // "is", "are", "be", ':' or '=' on the same line, in the same sentence, soon after.
    const std::string_view rest = text.substr(before + word->size(), 80);
    for (size_t i = 0; i < rest.size() && rest[i] != '\n' && rest[i] != '.' && rest[i] != ';'; ++i) {
      if (rest[i] == ':' || rest[i] == '=') return skip_opening(text, before + word->size() + i + 1);
      if (i == 0 || is_letter(rest[i - 1])) continue;
      for (const std::string_view verb : {"is", "are", "be", "equals", "was", "isn't", "aren't", "wasn't"}) {
        const size_t end = i + verb.size();
        if (!word_at(rest, i, verb) || end >= rest.size() || is_letter(rest[end]) || rest[end] == '\'') continue;
        const size_t at = skip_opening(text, before + word->size() + end);
        const bool denied = denies(rest.substr(0, end)) || (word_at(text, at, "not") && (at + 3 == text.size() || !is_letter(text[at + 3])));
        if (denied && !others) said = Said::kIsNot;
        return at;
      }
    }
  }
  return std::nullopt;
}

std::string statement(std::string_view text) {
  text = without_stress(text.substr(std::min(skip_opening(text, 0), text.size())));
  if (const std::string_view whole = text.substr(0, sentence_end(text)); gives_two(whole)) return std::string(strip_wrapping(whole));
  std::string formulas;
  size_t at = 0;
  for (int i = 0; i < 8; ++i) {
    const std::optional<Formula> formula = formula_at(text, at);
    if (!formula) break;
    if (!formulas.empty()) formulas += " , ";
    formulas += formula->inner;
    const size_t next = text.find_first_of("$\\", formula->end);
    if (next == npos || !joins(text.substr(formula->end, next - formula->end))) {
      // "$5$ million", "$3$ cm": the words behind belong to it, if they are a unit.
      std::string_view rest = text.substr(formula->end);
      rest = rest.substr(0, sentence_end(rest));
      rest = trim(rest.substr(0, remark_begin(rest)));
      if (i == 0 && !rest.empty() && rest.size() < 40 && is_letter(rest[0]) && std::ranges::none_of(rest, is_digit) &&
          rest.find_first_of("$\\") == npos) {
        std::string with_words = formulas + " " + std::string(rest);
        if (parse_answer(with_words).ok()) return with_words;
      }
      break;
    }
    at = next;
  }
  if (!formulas.empty()) return formulas;
  std::string_view sentence = text.substr(0, sentence_end(text));
  // "32** and more": what stood in bold. "2**3" is a power.
  if (const size_t bold = sentence.find("**"); bold != npos && bold > 0 && (bold + 2 == sentence.size() || is_space(sentence[bold + 2]) || sentence[bold + 2] == ':' || sentence[bold + 2] == ','))
    if (const std::string_view front = strip_wrapping(sentence.substr(0, bold)); !front.empty() && parse_answer(front).ok()) return std::string(front);
  const std::string_view all = strip_wrapping(sentence);
  if (all.find('$') == npos || all.starts_with('$') || all.starts_with("-$")) {
    if (parse_answer(all).ok() && remark_begin(all) == all.size()) return std::string(all);
    const std::string_view front = strip_wrapping(all.substr(0, remark_begin(all)));
    if (!front.empty() && (parse_answer(front).ok() || all.find_first_of("$\\") == npos)) return std::string(front);
  }
  if (all.starts_with('('))  // (C) $\\frac12$
    if (const std::optional<Label> label = read_label(all); label && !label->rest.empty()) return std::string(all);
  for (size_t i = 0; i < sentence.size() && !is_digit(sentence[i]); ++i)  // "clearly $5$", but not "1.41, about $\\sqrt2$"
    if (sentence[i] == '$' || sentence[i] == '\\')
      if (const std::optional<Formula> formula = formula_at(sentence, i)) {
        const std::string_view lead = trim(sentence.substr(0, i));  // "about $5$"
        const bool near = !lead.empty() && lead.size() < 40 && parse_answer(std::string(lead) + " 1").expr.is(Kind::kRelation);
        return (near ? "\\approx " : "") + std::string(formula->inner);
      }
  return std::string(strip_wrapping(all));
}

bool states_formula(std::string_view text) {
  return formula_at(without_stress(text.substr(std::min(skip_opening(text, 0), text.size()))), 0).has_value();
}

bool taken_back(std::string_view rest) {
  static constexpr std::string_view kBack[] = {"is wrong", "is incorrect", "is false", "is not correct", "is not right", "is not the answer", "is not the right answer", "is not the correct answer", "isn't correct",
                                               "isn't right", "isn't the answer", "was wrong", "is a lower bound", "is an upper bound", "is only a lower bound", "is only an upper bound", "is impossible", "is not possible", "isn't possible",
                                               "is too small", "is too large", "is too big", "is too low", "is too high"};
  while (!rest.empty() && std::string_view(" \n$*)\\]").find(rest[0]) != npos) rest.remove_prefix(1);
  if (rest.starts_with("? ")) return word_at(rest, 2, "no") && (rest.size() == 4 || !is_letter(rest[4]));
  return std::ranges::any_of(kBack, [&](std::string_view words) { return word_at(rest, 0, words) && (rest.size() == words.size() || !is_letter(rest[words.size()])); });
}

// "Option C is correct", "So, C is the correct answer": the choice; empty: none is made so.
std::string_view chosen(std::string_view line) {
  for (const std::string_view lead : {"So, ", "So "})
    if (line.starts_with(lead)) line.remove_prefix(lead.size());
  static constexpr std::string_view kEnds[] = {" is correct", " is right", " is the correct answer", " is the right answer", " is the correct option", " is the correct choice", " is the answer"};
  for (const std::string_view end : kEnds) {
    if (!line.ends_with(end)) continue;
    const std::string_view front = trim(line.substr(0, line.size() - end.size()));
    const std::optional<Label> label = read_label(front);
    if (label && label->rest.empty()) return front;
  }
  return {};
}

namespace {

constexpr int kMaxPassed = 4;  // "12, not 13"

// "12 or 13", of which the number is the second: the whole of it. Two that are no whole numbers may say the same ("1/3 or 0.333").
size_t with_other_choice(std::string_view text, NumberRun number) {
  const std::string_view front = text.substr(0, number.begin), own = text.substr(number.begin, number.end - number.begin);
  if (!front.ends_with(" or ") || !std::ranges::all_of(own, is_digit)) return number.begin;
  size_t begin = front.size() - 4;
  while (begin > 0 && is_digit(front[begin - 1])) --begin;
  const bool whole = begin + 4 < front.size() && (begin == 0 || std::string_view(" \n(*").find(front[begin - 1]) != npos);
  return whole ? begin : number.begin;
}

// The last formula, with those before it between which there is only an "or".
struct LastFormula {
  Formula all;
  std::string inner;
};

std::optional<LastFormula> last_formula(std::string_view text) {
  std::optional<LastFormula> last;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' && text[i] != '\\') continue;
    const std::optional<Formula> f = formula_at(text, i);
    if (!f) continue;
    const bool another = last && trim(text.substr(last->all.end, i - last->all.end)) == "or" && last->inner.size() + f->inner.size() < kMaxAnswerBytes;
    last = another ? LastFormula{{last->all.begin, f->end, {}}, last->inner + " or " + std::string(f->inner)} : LastFormula{*f, std::string(trim(f->inner))};
    i = f->end - 1;
  }
  return last;
}

size_t sentence_begin(std::string_view text) {
  for (size_t i = text.size(); i-- > 0;)
    if (text[i] == '\n' || ((text[i] == '.' || text[i] == '!' || text[i] == '?') && i + 1 < text.size() && is_space(text[i + 1]))) return i + 1;
  return 0;
}

}  // namespace

Extracted last_statement(std::string_view text, int passed) {
  const std::optional<LastFormula> formula = last_formula(text);
  const size_t behind = formula ? formula->all.end : 0;
  const std::string_view tail = text.substr(behind);
  const std::optional<NumberRun> number = last_number(tail);
  if (!formula && !number) {
    // Words alone: a short last line ("Yes.", "x + 1") may be the answer.
    std::string_view line = trim(tail);
    const size_t begin = line.rfind('\n');
    if (begin != npos) line = trim(line.substr(begin + 1));
    line = strip_wrapping(right_side(without_stress(line)));
    if (const std::string_view choice = chosen(line); !choice.empty()) return {std::string(choice), Source::kLast};
    if (line.empty() || line.size() > 200) return {};
    return {std::string(line), Source::kLast};
  }
  const std::string_view rest = number ? tail.substr(number->end) : tail;
  if (taken_back(rest) || is_open(rest)) return {};
  const WordsBefore words = words_before(text, number ? behind + number->begin : formula->all.begin);
  if (words.lead == Lead::kDenied) return {};
  if (words.lead == Lead::kPassed) {
    const std::string_view before = text.substr(0, words.begin);
    const std::string_view sentence = before.substr(sentence_begin(before));
    return passed == kMaxPassed || sentence.find_first_of("0123456789$\\") == npos ? Extracted{} : last_statement(before, passed + 1);
  }
  const std::string near = words.lead == Lead::kNear || says_near(rest) ? "\\approx " : "";
  if (!number) return {near + formula->inner, Source::kFormula, true};
  const size_t choice = with_other_choice(tail, *number);
  if (!near.empty() || choice != number->begin) {
    std::string value = near + std::string(tail.substr(choice, number->end - choice));
    if (parse_answer(value).ok()) return {std::move(value), Source::kLast};
  }
  // The end of the line that the number stands in, if all of it behind '=' is an expression or a value with a unit.
  const size_t line_begin = tail.rfind('\n', number->begin) == npos ? 0 : tail.rfind('\n', number->begin) + 1;
  std::string_view line = tail.substr(line_begin);
  line = line.substr(0, std::min(line.find('\n'), line.size()));
  const size_t shift = number->end - line_begin;
  const size_t stop = shift + sentence_end(line.substr(shift));
  line = strip_wrapping(line.substr(0, stop));
  const std::string_view side = strip_wrapping(right_side(line));
  if (side.size() < 200 && side.find_first_of("0123456789") != npos && !begins_with_words(side) && parse_answer(side).ok())
    return {std::string(side), Source::kLast};
  return {std::string(tail.substr(number->begin, number->end - number->begin)), Source::kLast};
}

}  // namespace cohort::math
