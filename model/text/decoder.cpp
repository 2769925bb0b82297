// The steps behind decoder.h, on the whole list of tokens and on a stream of them.
#include "model/text/decoder.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "core/check.h"
#include "core/text.h"
#include "model/text/byte_level.h"

namespace cohort {
namespace {

// Steps of a hostile file could double a text over and over.
constexpr size_t kMostGrowth = 64, kFreeGrowth = 65536;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// The byte that "<0xNN>" stands for. One digit behind a plus sign counts too (Rust's
// from_str_radix).
std::optional<unsigned char> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  const int high = token[3] == '+' ? 0 : digit(token[3]), low = digit(token[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<unsigned char>(high * 16 + low);
}

std::vector<std::string> decode_byte_runs(std::vector<std::string> tokens) {
  std::vector<std::string> out;
  std::string run;
  const auto end_run = [&] {
    if (run.empty()) return;
    if (is_utf8(run))
      out.push_back(run);
    else
      for (size_t i = 0; i < run.size(); ++i) out.emplace_back(kReplacement);
    run.clear();
  };
  for (std::string& token : tokens) {
    if (const auto byte = byte_of(token)) {
      run += static_cast<char>(*byte);
      continue;
    }
    end_run();
    out.push_back(std::move(token));
  }
  end_run();
  return out;
}

std::string replace(std::string_view token, const DecoderStep& step, SplitPattern::Finder& finder,
                    std::vector<TextMatch>& matches) {
  std::string out;
  if (token.empty()) return out;
  finder.find(token, matches);
  for (const TextMatch& match : matches)
    out += match.matches ? std::string_view(step.text)
                         : token.substr(match.begin, match.end - match.begin);
  return out;
}

std::string without_metaspaces(std::string_view token, const DecoderStep& step, bool first) {
  std::string out;
  for (size_t at = 0; at < token.size();) {
    if (token.substr(at).starts_with(step.text)) {
      if (!first || !step.drop_first) out += ' ';
      at += step.text.size();
    } else {
      out += token[at++];
    }
  }
  return out;
}

// Removes up to `most` times `content` from the start; tells how often.
size_t strip_left(std::string_view& text, std::string_view content, size_t most) {
  size_t times = 0;
  for (; times < most && text.starts_with(content); ++times) text.remove_prefix(content.size());
  return times;
}

std::string strip(std::string_view token, const DecoderStep& step) {
  strip_left(token, step.text, step.start);
  for (size_t i = 0; i < step.stop && token.ends_with(step.text); ++i)
    token.remove_suffix(step.text.size());
  return std::string(token);
}

std::string joined(const std::vector<std::string>& tokens, std::string_view separator) {
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) text += separator;
    text += tokens[i];
  }
  return text;
}

std::vector<std::string> run_steps(std::vector<std::string> tokens,
                                   std::span<const DecoderStep> steps, bool first) {
  std::vector<TextMatch> matches;
  const auto size_of_all = [&] {
    return std::accumulate(tokens.begin(), tokens.end(), size_t{0},
                           [](size_t sum, const std::string& token) { return sum + token.size(); });
  };
  const size_t most = size_of_all() * kMostGrowth + kFreeGrowth;
  for (const DecoderStep& step : steps) {
    switch (step.kind) {
      case DecoderStep::Kind::kReplace: {
        SplitPattern::Finder finder(*step.pattern);
        for (std::string& token : tokens) token = replace(token, step, finder, matches);
        CHECK_INPUT(size_of_all() <= most,
                    "the tokenizer's decoder makes a text of {} bytes and more", most);
        break;
      }
      case DecoderStep::Kind::kByteFallback:
        tokens = decode_byte_runs(std::move(tokens));
        break;
      case DecoderStep::Kind::kMetaspace:
        for (size_t i = 0; i < tokens.size(); ++i)
          tokens[i] = without_metaspaces(tokens[i], step, first && i == 0);
        break;
      case DecoderStep::Kind::kStrip:
        for (std::string& token : tokens) token = strip(token, step);
        break;
      case DecoderStep::Kind::kFuse:
        tokens = {joined(tokens, "")};
        break;
      case DecoderStep::Kind::kByteLevel: {
        std::string bytes;
        for (const std::string& token : tokens) bytes += unspell_bytes(token);
        tokens = {lossy_utf8(bytes)};
        break;
      }
    }
  }
  return tokens;
}

// How many bytes at the end may be the beginning of a character.
size_t open_bytes(std::string_view bytes) {
  for (size_t count = 1; count <= 3 && count <= bytes.size(); ++count) {
    const std::string_view end = bytes.substr(bytes.size() - count);
    const auto lead = static_cast<unsigned char>(end[0]);
    const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (length > count && lossy_utf8(end) == kReplacement) return count;
  }
  return 0;
}

}  // namespace

std::string decode_tokens(std::vector<std::string> tokens, const DecoderSteps& how) {
  return joined(run_steps(std::move(tokens), how.steps, /*first=*/true), how.separator);
}

TokenStream::TokenStream(const DecoderSteps& how) : how_(how) {
  const auto kind = [&](size_t i) { return how.steps[i].kind; };
  const size_t count = how.steps.size();
  while (per_token_ < count && kind(per_token_) != DecoderStep::Kind::kFuse &&
         kind(per_token_) != DecoderStep::Kind::kByteLevel) {
    if (kind(per_token_) == DecoderStep::Kind::kByteFallback) {
      if (byte_runs_) whole_ = true;
      byte_runs_ = true;
    }
    ++per_token_;
  }
  if (per_token_ < count && kind(per_token_) == DecoderStep::Kind::kByteLevel) {
    byte_level_ = true;
    whole_ |= per_token_ + 1 < count;
  }
  if (!byte_level_)
    for (size_t i = per_token_ + 1; i < count; ++i) {
      whole_ |= kind(i) != DecoderStep::Kind::kStrip || how.steps[i].stop > 0;
      strips_.push_back(how.steps[i].start);
    }
}

std::string TokenStream::strip_start(std::string text) {
  std::string_view rest = text;
  for (size_t i = 0; i < strips_.size(); ++i) {
    if (rest.empty()) break;
    strips_[i] -= strip_left(rest, how_.steps[per_token_ + 1 + i].text, strips_[i]);
    if (!rest.empty()) strips_[i] = 0;
  }
  return std::string(rest);
}

std::string TokenStream::decode(std::vector<std::string> tokens) {
  if (tokens.empty()) return "";
  tokens = run_steps(std::move(tokens), std::span(how_.steps).first(per_token_), first_);
  if (byte_level_) {
    std::string bytes;
    for (const std::string& token : tokens) bytes += unspell_bytes(token);
    first_ = false;
    return add_bytes(bytes);
  }
  std::string text = joined(tokens, how_.separator);
  if (!first_) text = how_.separator + text;
  first_ = false;
  return strip_start(std::move(text));
}

std::string TokenStream::add_bytes(std::string_view bytes) {
  const size_t waited = bytes_.size();
  bytes_ += bytes;
  const size_t ready = bytes_.size() - open_bytes(bytes_);
  const std::string_view whole = std::string_view(bytes_).substr(0, ready);
  std::string text = lossy_utf8(whole);
  split_ = {};
  if (waited > 0 && !text.empty()) {
    const size_t first = utf8_length(whole, 0);
    if (first > waited) split_.before = first;
    else split_.before = split_.own = lossy_utf8(whole.substr(0, waited)).size();
  }
  bytes_.erase(0, ready);
  return text;
}

std::string TokenStream::add(std::string_view token) {
  held_.emplace_back(token);
  split_ = {};
  if (whole_) return "";
  if (byte_runs_) {
    // The steps before it decide what the token looks like when runs are sought.
    const auto is_runs = [](const DecoderStep& step) {
      return step.kind == DecoderStep::Kind::kByteFallback;
    };
    const auto steps = std::span(how_.steps).first(per_token_);
    const size_t before = std::find_if(steps.begin(), steps.end(), is_runs) - steps.begin();
    const bool first = first_ && held_.size() == 1;
    const auto seen = run_steps({held_.back()}, steps.first(before), first);
    if (byte_of(seen[0])) return "";
  }
  if (held_.size() == 1 || byte_level_) return decode(std::exchange(held_, {}));
  std::string last = std::move(held_.back()), text;  // behind a run of bytes
  held_.pop_back();
  text = decode(std::exchange(held_, {}));
  split_ = {text.size(), text.size()};
  return text + decode({std::move(last)});
}

std::string TokenStream::pending() const {
  if (held_.empty()) return "";
  if (whole_) return decode_tokens(held_, how_);
  // Up to three bytes may be the beginning of a character.
  for (size_t open = 0; open <= 3 && open < held_.size(); ++open) {
    TokenStream copy = *this;
    std::string text = copy.decode({held_.begin(), held_.end() - static_cast<std::ptrdiff_t>(open)});
    if (text.find(kReplacement) == std::string::npos) return text;
  }
  return "";
}

std::string TokenStream::finish() {
  std::string text;
  if (whole_) {
    text = decode_tokens(std::exchange(held_, {}), how_);
  } else {
    text = decode(std::exchange(held_, {})) + lossy_utf8(bytes_);
  }
  bytes_.clear();
  first_ = true;
  for (size_t i = 0; i < strips_.size(); ++i) strips_[i] = how_.steps[per_token_ + 1 + i].start;
  return text;
}

}  // namespace cohort
