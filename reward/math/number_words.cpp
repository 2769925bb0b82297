#include "reward/math/number_words.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "reward/math/words.h"

namespace cohort::math {
namespace {

using Words = std::vector<std::string_view>;

constexpr std::array<std::string_view, 20> kOnes = {
    "zero", "one",    "two",    "three",    "four",     "five",    "six",     "seven",     "eight",    "nine",
    "ten",  "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
constexpr std::array<std::string_view, 8> kTens = {"twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"};
constexpr std::array<std::pair<std::string_view, int64_t>, 4> kScales = {
    {{"trillion", 1'000'000'000'000}, {"billion", 1'000'000'000}, {"million", 1'000'000}, {"thousand", 1'000}}};
constexpr std::array<std::pair<std::string_view, int>, 13> kParts = {{{"half", 2}, {"halves", 2}, {"third", 3}, {"quarter", 4}, {"fourth", 4}, {"fifth", 5}, {"sixth", 6},
                                                                       {"seventh", 7}, {"eighth", 8}, {"ninth", 9}, {"tenth", 10}, {"hundredth", 100}, {"thousandth", 1000}}};

class Reader {
 public:
  explicit Reader(const Words& words) : words_(words) {}

  std::optional<mpq_class> number() {
    const bool negative = take("negative") || take("minus");
    std::optional<mpq_class> value = magnitude();
    if (value && negative) *value = -*value;
    return value;
  }
  size_t at() const { return at_; }

 private:
  std::string_view peek(size_t ahead = 0) const { return at_ + ahead < words_.size() ? words_[at_ + ahead] : std::string_view(); }
  bool take(std::string_view word) {
    if (peek() != word) return false;
    ++at_;
    return true;
  }

  // The word's denominator: 2 of "half", 4 of "quarters"; 0: it is none.
  static int denominator(std::string_view word) {
    for (const auto& [name, value] : kParts)
      if (word == name || (word.size() == name.size() + 1 && word.starts_with(name) && word.ends_with('s'))) return value;
    return 0;
  }

  std::optional<mpq_class> magnitude() {
    std::optional<mpz_class> whole = integer();
    if (!whole) {  // "(a) half"
      const int parts = denominator(peek());
      if (parts != 2 && parts != 4) return std::nullopt;
      ++at_;
      return mpq_class(1, parts);
    }
    if (const int parts = denominator(peek())) {  // "two thirds"
      ++at_;
      mpq_class value(*whole, parts);
      value.canonicalize();
      return value;
    }
    if (peek() == "and") {  // "two and (a) half", "two and three quarters"
      const size_t before = at_++;
      const std::optional<mpz_class> top = integer();
      if (const int parts = denominator(peek()); parts != 0 && (top || parts == 2 || parts == 4)) {
        ++at_;
        mpq_class part(top.value_or(1), parts);
        part.canonicalize();
        if (part < 1) return *whole + part;
      }
      at_ = before;
    }
    return mpq_class(*whole);
  }

  // "two million three hundred thousand and five": scales get smaller.
  std::optional<mpz_class> integer() {
    mpz_class total = 0;
    bool any = false;
    size_t next = 0;  // the largest scale that may still come
    while (true) {
      const size_t before = at_;
      if (any) take("and");
      std::optional<int> part = below_thousand();
      if (any && denominator(peek()) != 0) part.reset();  // "two thousand and one half"
      size_t scale = next;
      while (scale < kScales.size() && peek() != kScales[scale].first) ++scale;
      if (!part && any) at_ = before;
      if (!part && (any || scale == kScales.size())) break;
      const bool scaled = scale < kScales.size();
      if (scaled) ++at_;
      total += mpz_class(part.value_or(1)) * mpz_class(static_cast<long>(scaled ? kScales[scale].second : 1));
      any = true;
      next = scale + 1;
      if (!scaled) break;
    }
    return any ? std::optional(total) : std::nullopt;
  }

  // "seven hundred (and) forty two"
  std::optional<int> below_thousand() {
    std::optional<int> value = below_hundred();
    const bool alone = !value;  // "(a) hundred"
    if (peek() != "hundred" || (value && (*value < 1 || *value > 19))) return value;
    ++at_;
    const int hundreds = 100 * (alone ? 1 : *value);
    const size_t before = at_;
    take("and");
    if (const std::optional<int> more = below_hundred(); more && *more > 0 && denominator(peek()) == 0) return hundreds + *more;
    at_ = before;
    return hundreds;
  }

  std::optional<int> below_hundred() {
    if (const auto* one = std::ranges::find(kOnes, peek()); one != kOnes.end()) {
      ++at_;
      return static_cast<int>(one - kOnes.begin());
    }
    const auto* ten = std::ranges::find(kTens, peek());
    if (ten == kTens.end()) return std::nullopt;
    ++at_;
    const int tens = 10 * static_cast<int>(ten - kTens.begin() + 2);
    const auto* one = std::ranges::find(kOnes.begin() + 1, kOnes.begin() + 10, peek());
    if (one == kOnes.begin() + 10) return tens;
    ++at_;
    return tens + static_cast<int>(one - kOnes.begin());
  }

  const Words& words_;
  size_t at_ = 0;
};

}  // namespace

std::optional<WordNumber> read_word_number(std::string_view text) {
  constexpr size_t kMaxBytes = 400;
  if (text.size() > kMaxBytes) return std::nullopt;
  const std::string normal = normal_words(text);
  Words words;
  for (size_t at = 0; at < normal.size();) {
    const size_t end = std::min(normal.find(' ', at), normal.size());
    if (end > at) words.push_back(std::string_view(normal).substr(at, end - at));
    at = end + 1;
  }
  Reader reader(words);
  std::optional<mpq_class> value = reader.number();
  if (!value) return std::nullopt;
  std::string rest;
  for (size_t i = reader.at(); i < words.size(); ++i) {
    if (!rest.empty()) rest += ' ';
    rest += words[i];
  }
  return WordNumber{std::move(*value), std::move(rest)};
}

std::optional<mpq_class> number_of_words(std::string_view text) {
  std::optional<WordNumber> number = read_word_number(text);
  return number && number->rest.empty() ? std::optional(std::move(number->value)) : std::nullopt;
}

}  // namespace cohort::math
