// The reward `repetition`: a penalty for n-grams that come again.
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

// The share of n-grams that are different, 1 when there are none. Sorting their places keeps hostile texts at n log n
// comparisons.
template <typename T>
double different_share(std::span<const T> items, size_t n) {
  if (items.size() < n) return 1.0;
  std::vector<size_t> places(items.size() - n + 1);
  for (size_t i = 0; i < places.size(); ++i) places[i] = i;
  const auto order = [&](size_t a, size_t b) {
    return std::lexicographical_compare(items.begin() + a, items.begin() + a + n, items.begin() + b,
                                        items.begin() + b + n);
  };
  std::ranges::sort(places, order);
  size_t different = 1;
  for (size_t i = 1; i < places.size(); ++i) different += order(places[i - 1], places[i]);
  return static_cast<double>(different) / static_cast<double>(places.size());
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  for (size_t at = text.find_first_not_of(kSpace); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSpace, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(kSpace, end);
  }
  return words;
}

class Repetition : public Reward {
 public:
  explicit Repetition(const OptionReader& options)
      : n_(static_cast<size_t>(options.integer("n"))), penalty_(options.number("max_penalty")), words_(options.word("unit") == "words") {}

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    if (!words_ && input.ids.empty() && !input.completion.empty()) return no_length();
    const double share =
        words_ ? different_share<std::string_view>(words_of(input.completion), n_) : different_share(input.ids, n_);
    return {share == 1.0 ? 0.0 : (1.0 - share) * penalty_, fmt::format("{:.1f} % of the n-grams of {} {} come again", 100 * (1.0 - share), n_, words_ ? "words" : "tokens")};
  }

 private:
  size_t n_;
  double penalty_;
  bool words_;
};

}  // namespace

const OptionTable& repetition_options() {
  static const OptionTable table = {
      {.name = "n", .type = OptionType::integer, .help = "how many tokens or words make an n-gram", .standard = 3, .bounds = {.low = 1, .high = 100}},
      {.name = "max_penalty", .type = OptionType::number, .help = "the score that a completion nears when all of its n-grams are the same",
       .standard = -1.0, .bounds = {.low = -1e6, .high = 0}},
      {.name = "unit", .type = OptionType::word, .help = "what n-grams are made of", .standard = "tokens", .words = {"tokens", "words"}},
  };
  return table;
}

std::unique_ptr<Reward> make_repetition(const RewardSpec& spec) {
  return std::make_unique<Repetition>(OptionReader(spec, repetition_options()));
}

}  // namespace cohort
