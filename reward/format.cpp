// The reward `format`: does the completion think first and answer then, in tags?
#include <fmt/format.h>

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

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    const std::string whole =
        (input.opens_thinking ? std::string(kTags[0]) : "").append(input.completion);
    const std::string_view text = trim(whole);
    std::array<size_t, 4> at = {};
    size_t found = 0;
    for (size_t i = 0; i < tags_; ++i) {
      at[i] = find_only(text, kTags[i]);
      found += at[i] != std::string_view::npos;
    }
    if (share_) return {static_cast<double>(found) / static_cast<double>(tags_), fmt::format("{} of {} tags stand there once", found, tags_)};
    for (size_t i = 0; i < tags_; ++i) {
      if (at[i] == std::string_view::npos)
        return {0.0, fmt::format("{} {}", kTags[i], text.find(kTags[i]) == std::string_view::npos ? "is missing" : "stands there more than once")};
      if (i > 0 && at[i] < at[i - 1]) return {0.0, fmt::format("{} stands before {}", kTags[i], kTags[i - 1])};
    }
    const size_t between = at[1] + kTags[1].size();
    const auto empty = [&](int open) {
      const size_t begin = at[open] + kTags[open].size();
      return trim(text.substr(begin, at[open + 1] - begin)).empty();
    };
    if (thinks_ && empty(0)) return {0.0, "nothing between <think> and </think>"};
    if (at[0] != 0) return {0.0, "text before <think>"};
    if (tags_ == 2 && between == text.size()) return {0.0, "no answer behind </think>"};
    if (tags_ > 2) {
      if (!trim(text.substr(between, at[2] - between)).empty()) return {0.0, "text between </think> and <answer>"};
      if (empty(2)) return {0.0, "nothing between <answer> and </answer>"};
      if (at[3] + kTags[3].size() != text.size()) return {0.0, "text behind </answer>"};
    }
    return {1.0, "as wanted"};
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
