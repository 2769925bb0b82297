// The reward `similarity`: how much of the answer is in the completion, in its order.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "core/text.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

using Text = std::u32string_view;

constexpr size_t kLongest = 1000;  // code points: a comparison may take the cube of it

std::u32string code_points(std::string_view text) {
  const std::string valid = to_valid_utf8(text);
  std::u32string out;
  for (size_t at = 0; at < valid.size();) out.push_back(next_code_point(valid, at));
  return out;
}

struct Block {
  size_t a, b, size;
};

// The longest piece that both have; of several the one that comes first in `a`, then in `b`. lengths: (b.size() + 1).
Block longest_match(Text a, Text b, std::vector<size_t>& lengths) {
  Block best{0, 0, 0};
  std::fill_n(lengths.begin(), b.size() + 1, 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = 0;  // of the match that ends at a[i - 1], b[j - 1]
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t above = lengths[j + 1];
      lengths[j + 1] = a[i] == b[j] ? diagonal + 1 : 0;
      diagonal = above;
      if (lengths[j + 1] > best.size) best = {i + 1 - lengths[j + 1], j + 1 - lengths[j + 1], lengths[j + 1]};
    }
  }
  return best;
}

// Code points in the longest match, and in those of what is left and right of it.
size_t matches(Text a, Text b) {
  std::vector<size_t> lengths(b.size() + 1);
  std::vector<std::pair<Text, Text>> open = {{a, b}};
  size_t sum = 0;
  while (!open.empty()) {
    const auto [left, right] = open.back();
    open.pop_back();
    const Block block = longest_match(left, right, lengths);
    if (block.size == 0) continue;
    sum += block.size;
    open.emplace_back(left.substr(0, block.a), right.substr(0, block.b));
    open.emplace_back(left.substr(block.a + block.size), right.substr(block.b + block.size));
  }
  return sum;
}

class Similarity : public Reward {
 public:
  explicit Similarity(const OptionReader& options) : column_(options.text("column")) {
    if (!options.given("tag")) return;
    const std::string tag = options.text("tag");
    CHECK_USAGE(tag.find_first_of("<>/ \t\r\n") == std::string::npos, "reward '{}': tag: found '{}'; allowed: a name, without '<', '>' and '/'",
                options.reward(), tag);
    open_ = "<" + tag + ">", close_ = "</" + tag + ">";
  }

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    const std::optional<std::string> column = column_text(input, column_);
    if (!column) return no_column(column_);
    const std::u32string answer = code_points(trim(*column));
    if (answer.empty() || answer.size() > kLongest)
      return {std::nullopt, fmt::format("the row's '{}' has {} characters; 1 to {} can be compared", column_, answer.size(), kLongest)};
    const std::optional<std::string_view> given = answer_of(input.completion);
    if (!given) return {0.0, fmt::format("there is no {} ... {}", open_, close_)};
    const std::u32string text = code_points(trim(*given));
    if (text.size() > kLongest) return {0.0, fmt::format("{} characters, of which more than {} are not compared", text.size(), kLongest)};
    const size_t same = matches(text, answer);
    return {2.0 * static_cast<double>(same) / static_cast<double>(text.size() + answer.size()),
            fmt::format("{} of {} characters are found, in {} given", same, answer.size(), text.size())};
  }

 private:
  // Between the first of the tags and the next that closes it; nothing where they are not there.
  std::optional<std::string_view> answer_of(std::string_view completion) const {
    if (open_.empty()) return completion;
    const size_t begin = completion.find(open_);
    if (begin == std::string_view::npos) return std::nullopt;
    const std::string_view rest = completion.substr(begin + open_.size());
    const size_t end = rest.find(close_);
    if (end == std::string_view::npos) return std::nullopt;
    return rest.substr(0, end);
  }

  std::string column_, open_, close_;
};

}  // namespace

const OptionTable& similarity_options() {
  static const OptionTable table = {
      answer_column("the data column with the text to be like"),
      {.name = "tag", .type = OptionType::text, .help = "only what stands between the first <tag> and the next </tag> counts; without it all does",
       .form = "a name, as in <answer>"},
  };
  return table;
}

std::unique_ptr<Reward> make_similarity(const RewardSpec& spec) {
  return std::make_unique<Similarity>(OptionReader(spec, similarity_options()));
}

}  // namespace cohort
