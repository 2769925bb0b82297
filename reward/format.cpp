// The reward `format`: does the completion think first and answer then, in tags?
#include <array>
#include <string>

#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

constexpr std::array<std::string_view, 4> kTags = {"<think>", "</think>", "<answer>", "</answer>"};

// Where the tag stands if it does exactly once, else npos.
size_t find_only(std::string_view text, std::string_view tag) {
  const size_t at = text.find(tag);
  if (at == std::string_view::npos || text.find(tag, at + tag.size()) != std::string_view::npos) {
    return std::string_view::npos;
  }
  return at;
}

class Format : public Reward {
 public:
  explicit Format(const OptionReader& options)
      : tags_(options.word("tags") == "think" ? 2 : kTags.size()),
        share_(options.word("score") == "share"),
        thinks_(options.word("thinking") == "some") {}

  std::optional<double> score(const RewardInput& input) const override {
    const std::string whole =
        (input.opens_thinking ? std::string(kTags[0]) : "").append(input.completion);
    const std::string_view text = trim(whole);
    std::array<size_t, 4> at = {};
    size_t found = 0;
    for (size_t i = 0; i < tags_; ++i) {
      at[i] = find_only(text, kTags[i]);
      found += at[i] != std::string_view::npos;
    }
    if (share_) return static_cast<double>(found) / static_cast<double>(tags_);
    if (found < tags_) return 0.0;
    for (size_t i = 1; i < tags_; ++i)
      if (at[i] < at[i - 1]) return 0.0;
    const size_t between = at[1] + kTags[1].size();
    const auto empty = [&](int open) {
      const size_t begin = at[open] + kTags[open].size();
      return trim(text.substr(begin, at[open + 1] - begin)).empty();
    };
    if (thinks_ && empty(0)) return 0.0;
    if (tags_ == 2) return at[0] == 0 && between < text.size() ? 1.0 : 0.0;
    const bool nothing_else = at[0] == 0 && trim(text.substr(between, at[2] - between)).empty() && !empty(2) &&
                              at[3] + kTags[3].size() == text.size();
    return nothing_else ? 1.0 : 0.0;
  }

 private:
  size_t tags_;  // how many of kTags are wanted
  bool share_;
  bool thinks_;  // between <think> and </think> must stand something
};

}  // namespace

const OptionTable& format_options() {
  static const OptionTable table = {
      {.name = "tags", .type = OptionType::word, .help = "think: the answer stands without tags behind </think>, and must not be empty",
       .standard = "think_answer", .words = {"think_answer", "think"}},
      {.name = "score", .type = OptionType::word, .help = "share: the share of the tags that stand there exactly once, in place of 1 or 0",
       .standard = "all", .words = {"all", "share"}},
      {.name = "thinking", .type = OptionType::word, .help = "some: what stands between <think> and </think> must not be empty (score all)",
       .standard = "any", .words = {"any", "some"}},
  };
  return table;
}

std::unique_ptr<Reward> make_format(const RewardSpec& spec) { return std::make_unique<Format>(OptionReader(spec, format_options())); }

}  // namespace cohort
