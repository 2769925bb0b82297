// The steps behind normalizer.h. Each tells how places in its input become places in its output.
#include "model/text/normalizer.h"

#include <algorithm>

#include "core/check.h"
#include "core/text.h"

namespace cohort {
namespace {

// Steps of a hostile file could double a text over and over.
constexpr size_t kMostGrowth = 64, kFreeGrowth = 65536;

// The input from `begin` to `end` became the output from `out_begin` to `out_end`.
struct Edit {
  size_t begin, end, out_begin, out_end;
};

// Moves the guards: what lies between edits is shifted, what lies strictly inside one spreads over
// what it became. `edits`: ascending, without overlap.
void move_guards(std::vector<Guard>& guards, std::span<const Edit> edits) {
  size_t edit = 0;
  const auto place = [&](size_t at, bool up) {
    while (edit < edits.size() && edits[edit].end <= at) ++edit;
    if (edit < edits.size() && edits[edit].begin < at)
      return up ? edits[edit].out_end : edits[edit].out_begin;
    if (edit == 0) return at;
    return at - edits[edit - 1].end + edits[edit - 1].out_end;
  };
  for (Guard& guard : guards) {
    const size_t resume = edit;
    const Guard moved = {place(guard.begin, false), place(guard.end, true)};
    guard = moved;
    edit = resume > 0 ? resume - 1 : 0;  // the next guard's begin may lie before this one's end
  }
}

std::string form_with_edits(std::string_view text, NormalForm form, std::vector<Edit>& edits) {
  std::string out;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    next_code_point(text, end);
    for (size_t next = end; next < text.size(); end = next)
      if (starts_normal_block(next_code_point(text, next))) break;
    const size_t out_begin = out.size();
    out += to_normal_form(text.substr(begin, end - begin), form);
    edits.push_back({begin, end, out_begin, out.size()});
    begin = end;
  }
  return out;
}

std::string lower_with_edits(std::string_view text, std::vector<Edit>& edits) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at, out_begin = out.size();
    next_code_point(text, at);
    out += to_lower_case(text.substr(begin, at - begin));
    edits.push_back({begin, at, out_begin, out.size()});
  }
  return out;
}

std::string replace(std::string_view text, const NormalizerStep& step, std::vector<Edit>& edits,
                    size_t most, bool& keeps_first) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  std::vector<TextMatch> matches;
  SplitPattern::Finder(*step.pattern).find(text, matches);
  for (const TextMatch& match : matches) {
    if (!match.matches) {
      out += text.substr(match.begin, match.end - match.begin);
      continue;
    }
    if (match.begin == 0 && match.end > 0 && step.text.empty()) keeps_first = false;
    edits.push_back({match.begin, match.end, out.size(), out.size() + step.text.size()});
    out += step.text;
    CHECK_INPUT(out.size() <= most, "the tokenizer's normalizer makes a text of {} bytes and more",
                out.size());
  }
  return out;
}

std::string_view strip(std::string_view text, const NormalizerStep& step) {
  while (step.left && !text.empty()) {
    size_t at = 0;
    if (!is_white_space(next_code_point(text, at))) break;
    text.remove_prefix(at);
  }
  while (step.right && !text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && (text[start] & 0xC0) == 0x80) --start;
    size_t at = start;
    if (!is_white_space(next_code_point(text, at))) break;
    text = text.substr(0, start);
  }
  return text;
}

}  // namespace

NormalizedText normalize(std::string_view text, std::span<const NormalizerStep> steps,
                         std::vector<Guard> guards) {
  NormalizedText now{std::string(text), std::move(guards)};
  std::vector<Edit> edits;
  const size_t most = text.size() * kMostGrowth + kFreeGrowth;
  for (const NormalizerStep& step : steps) {
    if (now.text.empty()) break;
    edits.clear();
    std::string next;
    switch (step.kind) {
      case NormalizerStep::Kind::kForm:
        next = now.guards.empty() ? to_normal_form(now.text, step.form)
                                  : form_with_edits(now.text, step.form, edits);
        break;
      case NormalizerStep::Kind::kLowercase:
        next = now.guards.empty() ? to_lower_case(now.text) : lower_with_edits(now.text, edits);
        break;
      case NormalizerStep::Kind::kPrepend:
        next = step.text + now.text;
        edits.push_back({0, 0, 0, step.text.size()});
        break;
      case NormalizerStep::Kind::kReplace:
        if (now.guards.empty() && !step.text.empty()) {
          if (auto replaced = step.pattern->replace_text(now.text, step.text)) {
            next = std::move(*replaced);
            break;
          }
        }
        next = replace(now.text, step, edits, most, now.keeps_first);
        break;
      case NormalizerStep::Kind::kStrip: {
        const std::string_view rest = strip(now.text, step);
        const size_t cut = static_cast<size_t>(rest.data() - now.text.data());
        if (cut > 0) {
          edits.push_back({0, cut, 0, 0});
          now.keeps_first = false;
        }
        if (cut + rest.size() < now.text.size())
          edits.push_back({cut + rest.size(), now.text.size(), rest.size(), rest.size()});
        next = rest;
        break;
      }
    }
    CHECK_INPUT(next.size() <= most, "the tokenizer's normalizer makes a text of {} bytes and more",
                most);
    if (!now.guards.empty()) move_guards(now.guards, edits);
    now.text = std::move(next);
  }
  return now;
}

}  // namespace cohort
