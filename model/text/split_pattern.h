// The pattern of a Split or Replace step: a text, or a regular expression. The published
// expressions of GPT-2, Llama 3 and Qwen 2 are run by hand-written scanners, all others by PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/text/regex.h"

namespace cohort {

// A stretch of a text that the pattern matches, or that lies between matches.
struct TextMatch {
  size_t begin, end;
  bool matches;
};

inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

class SplitPattern {
 public:
  enum class Scanner { kPublished, kNone };

  // text: not empty. Refusals as Regex.
  static SplitPattern of_text(std::string_view text, std::string_view where);
  static SplitPattern of_regex(std::string_view pattern, std::string_view where,
                               Scanner scanner = Scanner::kPublished);

  // `text` with every match replaced, for a pattern that is a text; nothing for others.
  std::optional<std::string> replace_text(std::string_view text, std::string_view by) const;

  // Searches one text after another; one per call of the tokenizer.
  class Finder {
   public:
    explicit Finder(const SplitPattern& pattern);
    // Replaces `matches` by the stretches of `text` (valid UTF-8, not empty), in order and without
    // gaps; an empty match stands between its neighbours.
    void find(std::string_view text, std::vector<TextMatch>& matches);

   private:
    const SplitPattern& pattern_;
    std::optional<Regex::Matcher> matcher_;
  };

 private:
  using PieceEnd = size_t (*)(std::string_view text, size_t at);

  std::string text_;
  PieceEnd piece_end_ = nullptr;
  std::optional<Regex> regex_;
};

}  // namespace cohort
