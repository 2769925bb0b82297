// The steps behind pretokenizer.h.
#include "model/text/pretokenizer.h"

#include <fmt/format.h>

#include "core/text.h"
#include "model/text/unicode.h"

namespace cohort {
namespace {

using Pieces = std::vector<std::string_view>;
using Matches = std::vector<TextMatch>;

// Appends the pieces that `behavior` makes of the stretches of `text`; empty ones are left out.
void cut(std::string_view text, const Matches& matches, SplitBehavior behavior, bool invert,
         Pieces& pieces) {
  const auto emit = [&](size_t begin, size_t end) {
    if (end > begin) pieces.push_back(text.substr(begin, end - begin));
  };
  if (behavior == SplitBehavior::kIsolated || behavior == SplitBehavior::kRemoved) {
    for (const TextMatch& match : matches)
      if (behavior == SplitBehavior::kIsolated || match.matches == invert)
        emit(match.begin, match.end);
    return;
  }
  size_t begin = 0, end = 0;  // of the piece that still grows
  bool grows = false;
  for (size_t i = 0; i < matches.size(); ++i) {
    const bool now = matches[i].matches != invert;
    bool joins = false;
    if (behavior == SplitBehavior::kContiguous) {
      joins = i > 0 && now == (matches[i - 1].matches != invert);
    } else if (behavior == SplitBehavior::kMergedWithPrevious) {
      joins = i > 0 && now && matches[i - 1].matches == invert;
    } else {  // a match joins what follows it, unless a match follows
      joins = i > 0 && !now && matches[i - 1].matches != invert;
    }
    if (grows && !joins) emit(begin, end);
    if (!joins) begin = matches[i].begin;
    end = matches[i].end;
    grows = true;
  }
  if (grows) emit(begin, end);
}

template <typename Predicate>
void find_characters(std::string_view text, Predicate is_match, Matches& matches) {
  matches.clear();
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    if (!is_match(next_code_point(text, at))) continue;
    if (done < begin) matches.push_back({done, begin, false});
    matches.push_back({begin, at, true});
    done = at;
  }
  if (done < text.size()) matches.push_back({done, text.size(), false});
}

// Runs of word characters and runs of what is neither word nor white space.
void cut_words(std::string_view text, Pieces& pieces) {
  enum class Class { kSpace, kWord, kOther };
  size_t begin = 0;
  Class open = Class::kSpace;
  const auto close = [&](size_t end) {
    if (open != Class::kSpace && end > begin) pieces.push_back(text.substr(begin, end - begin));
    begin = end;
  };
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const char32_t c = next_code_point(text, at);
    const Class now = is_white_space(c)      ? Class::kSpace
                      : is_word_character(c) ? Class::kWord
                                             : Class::kOther;
    if (now != open) close(start);
    open = now;
  }
  close(text.size());
}

std::string with_metaspaces(std::string_view text, const PreTokenizerStep& step, bool starts_text) {
  std::string spelled;
  spelled.reserve(text.size() + text.size() / 4 + step.replacement.size());
  const bool prefix = step.scheme == PreTokenizerStep::Scheme::kAlways ||
                      (step.scheme == PreTokenizerStep::Scheme::kFirst && starts_text);
  if (prefix && !text.starts_with(' ') && !text.starts_with(step.replacement))
    spelled += step.replacement;
  for (char c : text) {
    if (c == ' ')
      spelled += step.replacement;
    else
      spelled += c;
  }
  return spelled;
}

struct Cutter {
  std::deque<std::string>& arena;
  Matches matches;

  void run(const PreTokenizerStep& step, bool starts_text, const Pieces& from, Pieces& to) {
    std::optional<SplitPattern::Finder> finder;
    if (step.pattern) finder.emplace(*step.pattern);
    std::optional<SplitPattern> metaspaces;
    if (step.kind == PreTokenizerStep::Kind::kMetaspace && step.split) {
      metaspaces = SplitPattern::of_text(step.replacement, "Metaspace");
      finder.emplace(*metaspaces);
    }
    for (size_t i = 0; i < from.size(); ++i) {
      std::string_view text = from[i];
      switch (step.kind) {
        case PreTokenizerStep::Kind::kDigits:
          find_characters(
              text, [](char32_t c) { return c < 128 ? c >= '0' && c <= '9' : is_numeric(c); },
              matches);
          cut(text, matches, step.behavior, false, to);
          break;
        case PreTokenizerStep::Kind::kWhitespaceSplit:
          find_characters(text, is_white_space, matches);
          cut(text, matches, SplitBehavior::kRemoved, false, to);
          break;
        case PreTokenizerStep::Kind::kWhitespace:
          cut_words(text, to);
          break;
        case PreTokenizerStep::Kind::kSplit:
          finder->find(text, matches);
          cut(text, matches, step.behavior, step.invert, to);
          break;
        case PreTokenizerStep::Kind::kByteLevel:
          if (step.prefix_space && !text.starts_with(' '))
            text = arena.emplace_back(fmt::format(" {}", text));
          if (finder) {
            finder->find(text, matches);
            cut(text, matches, SplitBehavior::kIsolated, false, to);
          } else {
            to.push_back(text);
          }
          break;
        case PreTokenizerStep::Kind::kMetaspace:
          text = arena.emplace_back(with_metaspaces(text, step, starts_text && i == 0));
          if (finder) {
            finder->find(text, matches);
            cut(text, matches, SplitBehavior::kMergedWithNext, false, to);
          } else {
            to.push_back(text);
          }
          break;
      }
    }
  }
};

}  // namespace

void pre_tokenize(std::string_view text, bool starts_text, const PreTokenizer& how,
                  std::deque<std::string>& arena, std::vector<std::string_view>& pieces) {
  if (text.empty()) return;
  if (how.steps.empty()) {
    pieces.push_back(text);
    return;
  }
  Pieces from{text}, to;
  Cutter cutter{arena, {}};
  for (const PreTokenizerStep& step : how.steps) {
    to.clear();
    cutter.run(step, starts_text, from, to);
    // A step that drops the first characters leaves no piece that begins the text.
    starts_text =
        starts_text && !to.empty() && !from.empty() &&
        (to[0].data() == from[0].data() || step.kind == PreTokenizerStep::Kind::kMetaspace ||
         step.kind == PreTokenizerStep::Kind::kByteLevel);
    std::swap(from, to);
  }
  pieces.insert(pieces.end(), from.begin(), from.end());
}

}  // namespace cohort
