#include "reward/math/words_before.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>

#include "reward/math/letters.h"
#include "reward/math/words.h"
#include "reward/options.h"

namespace cohort::math {
namespace {

constexpr size_t kMaxWords = 6;      // that are looked at
constexpr size_t kMaxLetters = 16;   // of one of them
constexpr std::string_view kApostrophe = "\u2019";

constexpr std::array<std::string_view, 5> kTimes = {"twice", "thrice", "double", "triple", "half"};  // so many times what follows

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) { return std::ranges::find(words, word) != words.end(); }

class Backwards {
 public:
  Backwards(std::string_view text, size_t end) : text_(text), end_(end) { skip(" *_$(\\"); }

  // The word that ends here, in small letters and with a plain apostrophe, and moves before it; "" where none stands.
  std::string word() {
    size_t begin = end_ - (text_.substr(0, end_).ends_with("approx.") ? 1 : 0);
    std::string word;
    while (begin > 0 && word.size() < kMaxLetters) {
      const bool curly = text_.substr(0, begin).ends_with(kApostrophe);
      const char c = curly ? '\'' : lower(text_[begin - 1]);
      if (!is_letter(c) && c != '\'') break;
      word += c;
      begin -= curly ? kApostrophe.size() : 1;
    }
    std::ranges::reverse(word);
    if (!word.empty()) end_ = begin, skip(" *_");
    return word;
  }

  // "between 11 and", of which the last word has been read.
  bool between() {
    const size_t number = end_;
    skip("0123456789.,$-%*");
    return end_ < number && last() == ' ' && (skip(" "), word() == "between");
  }

  size_t end() const { return end_; }
  char last() const { return end_ == 0 ? '\0' : text_[end_ - 1]; }

 private:
  void skip(std::string_view signs) {
    while (end_ > 0 && signs.find(text_[end_ - 1]) != signs.npos) --end_;
  }

  std::string_view text_;
  size_t end_;
};

bool denies(std::string_view word) { return is_one_of(word, {"not", "never", "cannot", "neither", "nor", "ne", "neq"}) || word.ends_with("n't"); }

// Behind "12, ", "12 and ", "12 (", "12 ": where that link begins, or nothing of the kind.
WordsBefore behind_not(std::string_view text, size_t at) {
  Backwards before(text, at);
  const size_t link = before.end();
  const auto is_link = [](char c) { return is_digit(c) || std::string_view(",;)]}%$").find(c) != std::string_view::npos || is_wide(c); };
  if (is_link(before.last()) || (link < at && text[link] == '(')) return {Lead::kPassed, link - (before.last() == ',' || before.last() == ';')};
  const std::string word = before.word();
  if (!is_one_of(word, {"and", "but", "so", "thus", "hence", "therefore"})) return {Lead::kDenied, at};
  return {Lead::kPassed, before.end() - (before.last() == ',' || before.last() == ';')};
}

}  // namespace

WordsBefore words_before(std::string_view text, size_t at) {
  if (at > 0 && text[at - 1] == '~' && (at == 1 || is_space(text[at - 2]))) return {Lead::kNear, at - 1};
  Backwards before(text, at);
  std::string behind;  // the word behind the one that is looked at
  for (size_t i = 0; i < kMaxWords; ++i) {
    const std::string word = before.word();
    const size_t begin = before.end();
    if (std::ranges::find(kNearWords, word) != kNearWords.end())
      return i == 0 || behind == "equal" ? WordsBefore{Lead::kNear, begin} : WordsBefore{};
    if (word == "close" && behind == "to") return {Lead::kNear, begin};
    if (denies(word)) return i == 0 && word == "not" ? behind_not(text, begin) : WordsBefore{Lead::kDenied, begin};
    if (i == 0 && std::ranges::find(kTimes, word) != kTimes.end()) return {Lead::kDenied, begin};
    if (word == "of" && i == 0) {
      const std::string part = before.word();
      return part == "instead" ? WordsBefore{Lead::kPassed, before.end()} : part == "half" ? WordsBefore{Lead::kDenied, begin} : WordsBefore{};
    }
    if (word == "but" && i == 0) return before.word() == "anything" ? WordsBefore{Lead::kDenied, begin} : WordsBefore{};
    if (word == "and" && i == 0) return before.between() ? WordsBefore{Lead::kDenied, before.end()} : WordsBefore{};
    if (word == "than" && i == 0) {
      const std::string more = before.word();
      if (more == "rather") return {Lead::kPassed, before.end()};
      if (!is_one_of(more, {"less", "more", "fewer", "greater", "larger", "bigger", "smaller", "higher", "lower"})) return {};
      const std::string than = before.word();  // "no more than 12" may be 12
      return than == "no" || denies(than) ? WordsBefore{} : WordsBefore{Lead::kDenied, begin};
    }
    if (!is_one_of(word, {"be", "been", "equal", "equals", "to", "exactly", "the", "a", "an", "actually", "really", "simply", "certainly", "definitely", "necessarily",
                          "precisely", "even", "quite"}))
      return {};
    behind = word;
  }
  return {};
}

WordsBefore words_before_box(std::string_view text, size_t at) {
  const WordsBefore words = words_before(text, at);
  if (words.lead == Lead::kPassed) return words;
  if (words.lead != Lead::kDenied) return {};
  Backwards before(text, words.begin);
  std::string subject = before.word();
  const std::string denial = lower(trim(text.substr(words.begin, std::min<size_t>(at - words.begin, kMaxLetters))));
  const auto begins = [&](std::string_view word) { return denial.starts_with(word); };
  if (begins("than") || begins("between") || begins("of") || std::ranges::any_of(kTimes, begins)) return {};
  if (denial.starts_with("nor")) return words;
  if (is_one_of(subject, {"is", "was", "can", "could", "does"})) subject = before.word();
  const bool of_answer = is_one_of(subject, {"it", "this", "that", "it's", "that's", "answer", "solution", "result"});
  return of_answer ? words : WordsBefore{};
}

}  // namespace cohort::math
