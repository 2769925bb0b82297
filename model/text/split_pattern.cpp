// Which engine runs a pattern, and the walk from match to match.
#include "model/text/split_pattern.h"

#include "core/check.h"
#include "model/text/pattern_scanners.h"

namespace cohort {

SplitPattern SplitPattern::of_text(std::string_view text, std::string_view where) {
  CHECK_INPUT(!text.empty(), "{}: an empty pattern is not supported", where);
  SplitPattern pattern;
  pattern.text_ = text;
  return pattern;
}

SplitPattern SplitPattern::of_regex(std::string_view source, std::string_view where,
                                    Scanner scanner) {
  CHECK_INPUT(!source.empty(), "{}: an empty pattern is not supported", where);
  SplitPattern pattern;
  if (scanner == Scanner::kPublished) {
    if (source == kGpt2Pattern) pattern.piece_end_ = gpt2_piece_end;
    if (source == kLlama3Pattern) pattern.piece_end_ = llama3_piece_end;
    if (source == kQwen2Pattern) pattern.piece_end_ = qwen2_piece_end;
  }
  if (!pattern.piece_end_) pattern.regex_.emplace(source, where);
  return pattern;
}

std::optional<std::string> SplitPattern::replace_text(std::string_view text,
                                                      std::string_view by) const {
  if (text_.empty()) return std::nullopt;
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  size_t done = 0;
  for (size_t at; (at = text.find(text_, done)) != text.npos; done = at + text_.size()) {
    out += text.substr(done, at - done);
    out += by;
  }
  out += text.substr(done);
  return out;
}

SplitPattern::Finder::Finder(const SplitPattern& pattern) : pattern_(pattern) {
  if (pattern.regex_) matcher_.emplace(*pattern.regex_);
}

void SplitPattern::Finder::find(std::string_view text, std::vector<TextMatch>& matches) {
  matches.clear();
  size_t done = 0;
  const auto found = [&](size_t begin, size_t end) {
    if (done != begin) matches.push_back({done, begin, false});
    matches.push_back({begin, end, true});
    done = end;
  };
  if (pattern_.piece_end_) {
    while (done < text.size()) found(done, pattern_.piece_end_(text, done));
  } else if (!pattern_.regex_) {
    for (size_t at; (at = text.find(pattern_.text_, done)) != text.npos;)
      found(at, at + pattern_.text_.size());
  } else {
    // As the package walks: an empty match right behind another match does not count, and the
    // search then goes on one character later.
    std::optional<size_t> last_end;
    for (size_t from = 0; from <= text.size();) {
      const auto match = matcher_->find(text, from);
      if (!match) break;
      const auto [begin, end] = *match;
      if (begin == end && last_end == end) {
        ++from;
        while (from < text.size() && (text[from] & 0xC0) == 0x80) ++from;
        continue;
      }
      from = end;
      last_end = end;
      found(begin, end);
    }
  }
  if (done != text.size()) matches.push_back({done, text.size(), false});
}

}  // namespace cohort
