// The reward `repetition`: a penalty for n-grams that come again.
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
  explicit Repetition(const RewardSpec& spec)
      : n_(static_cast<size_t>(whole_option(spec, "n", 1, 100, 3))),
        penalty_(number_option(spec, "max_penalty", -1e6, 0.0, -1.0)),
        words_(word_option(spec, "unit", {"tokens", "words"}) == "words") {}

  std::optional<double> score(const RewardInput& input) const override {
    if (!words_ && input.ids.empty() && !input.completion.empty()) return std::nullopt;
    const double share =
        words_ ? different_share<std::string_view>(words_of(input.completion), n_) : different_share(input.ids, n_);
    return share == 1.0 ? 0.0 : (1.0 - share) * penalty_;
  }

 private:
  size_t n_;
  double penalty_;
  bool words_;
};

}  // namespace

std::unique_ptr<Reward> make_repetition(const RewardSpec& spec) {
  check_options(spec, {"n", "max_penalty", "unit"});
  return std::make_unique<Repetition>(spec);
}

}  // namespace cohort
