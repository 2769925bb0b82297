#include "trainer/token_weights.h"

#include <utility>

namespace cohort {
namespace {

struct Matches {
  std::vector<TokenBytes> all;  // in order; they do not overlap
  bool finished = true;
};

Matches find_all(const Pattern& pattern, const std::string& text) {
  Matches matches;
  int64_t steps = kMaxPatternSteps;
  for (size_t from = 0; from < text.size();) {
    const Pattern::Found found = pattern.find(text, from, steps);
    matches.finished = found.match != Pattern::Match::unknown;
    if (found.match != Pattern::Match::yes) break;
    matches.all.push_back({found.begin, found.end});
    from = found.end;
  }
  return matches;
}

}  // namespace

std::vector<TokenBytes> bytes_of_tokens(std::span<const int32_t> tokens, const Tokenizer& tokenizer) {
  std::vector<TokenBytes> bytes(tokens.size());
  TextStream stream(tokenizer, /*skip_special_tokens=*/true);
  size_t written = 0;
  std::vector<size_t> held;  // tokens that wait for the end of their text
  const auto end_held = [&](size_t end) {
    for (const size_t token : std::exchange(held, {})) bytes[token].end = end;
  };
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string text = stream.add(tokens[i]);
    const TextStream::Split split = stream.split();
    bytes[i] = {written + split.own, written + split.own};
    if (split.skipped) continue;
    if (!text.empty()) end_held(written + split.before);
    written += text.size();
    bytes[i].end = written;
    if (stream.holds()) held.push_back(i);
  }
  end_held(written + stream.finish().size());
  return bytes;
}

TokenWeights::TokenWeights(const AlgorithmSection& algorithm)
    : pattern_(algorithm.token_weight_pattern, Pattern::Form(), "algorithm.token_weight_pattern"), weight_(algorithm.token_weight) {}

TokenWeights::Of TokenWeights::of(const std::string& text, std::span<const int32_t> tokens, const Tokenizer& tokenizer) const {
  Of result{.weights = std::vector<float>(tokens.size(), 1.0f)};
  const Matches matches = find_all(pattern_, text);
  result.finished = matches.finished;
  if (matches.all.empty()) return result;
  const std::vector<TokenBytes> bytes = bytes_of_tokens(tokens, tokenizer);
  for (size_t t = 0, m = 0; t < tokens.size(); ++t) {
    while (m < matches.all.size() && matches.all[m].end <= bytes[t].begin) ++m;
    if (m == matches.all.size() || matches.all[m].begin >= bytes[t].end || bytes[t].begin == bytes[t].end) continue;
    result.weights[t] = weight_;
    result.within += 1;
  }
  return result;
}

TokenWeights::Shares TokenWeights::set(std::span<Group> groups, const Tokenizer& tokenizer, const Exec& ex) const {
  struct Completion {
    Group* group;
    size_t index;
    Of of = {};
  };
  std::vector<Completion> all;
  for (Group& group : groups) {
    group.token_weights.assign(group.rollouts.size(), {});
    for (size_t i = 0; i < group.rollouts.size(); ++i) all.push_back({&group, i});
  }
  ex.pool->run(static_cast<int64_t>(all.size()), [&](int64_t task, int) {
    Completion& c = all[static_cast<size_t>(task)];
    c.of = of(c.group->texts.at(c.index), c.group->rollouts[c.index].tokens, tokenizer);
  });
  double within = 0, tokens = 0, unfinished = 0;
  for (Completion& c : all) {
    within += static_cast<double>(c.of.within);
    tokens += static_cast<double>(c.of.weights.size());
    unfinished += c.of.finished ? 0 : 1;
    c.group->token_weights[c.index] = std::move(c.of.weights);
  }
  return {tokens > 0 ? within / tokens : 0, all.empty() ? 0 : unfinished / static_cast<double>(all.size())};
}

}  // namespace cohort
