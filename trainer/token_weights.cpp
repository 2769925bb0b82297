#include "trainer/token_weights.h"

#include <algorithm>

namespace cohort {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";  // a byte that is no character by itself

// Matches that are not empty, in order; they do not overlap.
std::vector<TokenBytes> find_all(const Pattern& pattern, const std::string& text) {
  std::vector<TokenBytes> matches;
  int64_t steps = kMaxPatternSteps;
  for (size_t from = 0; from < text.size();) {
    const Pattern::Found found = pattern.find(text, from, steps);
    if (found.match != Pattern::Match::yes) break;
    if (found.end > found.begin) matches.push_back({found.begin, found.end});
    from = std::max(found.end, from);
    if (found.end > found.begin) continue;
    do ++from;  // an empty match: go on at the next character
    while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80);
  }
  return matches;
}

}  // namespace

std::vector<TokenBytes> bytes_of_tokens(std::span<const int32_t> tokens, const Tokenizer& tokenizer) {
  std::vector<TokenBytes> bytes(tokens.size());
  TextStream stream(tokenizer, /*skip_special_tokens=*/true);
  size_t written = 0, first_held = 0;  // tokens from first_held on wait for the end of their text
  const auto spells = [&](size_t i) { return tokenizer.decode(tokens.subspan(i, 1), /*skip_special_tokens=*/true); };
  const auto write = [&](const std::string& text, size_t end_token) {
    written += text.size();
    for (; first_held < end_token; ++first_held) bytes[first_held].end = spells(first_held).empty() ? bytes[first_held].begin : written;
  };
  for (size_t i = 0; i < tokens.size(); ++i) {
    bytes[i].begin = written;
    const std::string text = stream.add(tokens[i]);
    if (text.empty()) continue;
    write(text, stream.holds() ? i : i + 1);
    if (stream.holds() && spells(i) == kReplacement) bytes[i].begin = written;  // it begins the next character, and is no part of what came
  }
  write(stream.finish(), tokens.size());
  return bytes;
}

TokenWeights::TokenWeights(const AlgorithmSection& algorithm)
    : pattern_(algorithm.token_weight_pattern, Pattern::Form(), "algorithm.token_weight_pattern"), weight_(algorithm.token_weight) {}

std::vector<float> TokenWeights::of(const std::string& text, std::span<const int32_t> tokens, const Tokenizer& tokenizer) const {
  std::vector<float> weights(tokens.size(), 1.0f);
  const std::vector<TokenBytes> matches = find_all(pattern_, text);
  if (matches.empty()) return weights;
  const std::vector<TokenBytes> bytes = bytes_of_tokens(tokens, tokenizer);
  for (size_t t = 0, m = 0; t < tokens.size(); ++t) {
    while (m < matches.size() && matches[m].end <= bytes[t].begin) ++m;
    if (m < matches.size() && matches[m].begin < bytes[t].end && bytes[t].end > bytes[t].begin) weights[t] = weight_;
  }
  return weights;
}

double TokenWeights::set(std::span<Group> groups, const Tokenizer& tokenizer) const {
  double within = 0, all = 0;
  for (Group& group : groups) {
    group.token_weights.clear();
    for (size_t i = 0; i < group.rollouts.size(); ++i) {
      const std::vector<float>& weights = group.token_weights.emplace_back(of(group.texts.at(i), group.rollouts[i].tokens, tokenizer));
      within += static_cast<double>(std::ranges::count_if(weights, [](float weight) { return weight != 1; }));
      all += static_cast<double>(weights.size());
    }
  }
  return all > 0 ? within / all : 0;
}

}  // namespace cohort
