// The trie behind added_tokens.h.
#include "model/text/added_tokens.h"

#include <algorithm>

#include "core/text.h"
#include "model/text/unicode.h"

namespace cohort {
namespace {

size_t skip_white_space(std::string_view text, size_t at) {
  while (at < text.size()) {
    size_t next = at;
    if (!is_white_space(next_code_point(text, next))) break;
    at = next;
  }
  return at;
}

// Where the white space that ends at `end` starts, not before `low`.
size_t white_space_start(std::string_view text, size_t low, size_t end) {
  while (end > low) {
    size_t start = end - 1;
    while (start > low && (text[start] & 0xC0) == 0x80) --start;
    size_t at = start;
    if (!is_white_space(next_code_point(text, at))) break;
    end = start;
  }
  return end;
}

bool starts_with_word(std::string_view text) {
  size_t at = 0;
  return !text.empty() && is_word_character(next_code_point(text, at));
}

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  size_t at = text.size() - 1;
  while (at > 0 && (text[at] & 0xC0) == 0x80) --at;
  return is_word_character(next_code_point(text, at));
}

}  // namespace

void AddedTokenFinder::add(const AddedToken& token, std::string_view spelled_as) {
  if (spelled_as.empty()) return;
  int32_t node = 0;
  for (unsigned char byte : spelled_as) {
    const auto [it, fresh] =
        edges_.try_emplace(edge(node, byte), static_cast<int32_t>(token_at_.size()));
    if (fresh) token_at_.push_back(-1);
    node = it->second;
  }
  token_at_[node] = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
  starts_[static_cast<unsigned char>(spelled_as[0])] = true;
}

AddedTokenFinder::Found AddedTokenFinder::longest_at(std::string_view text, size_t at,
                                                     size_t limit) const {
  Found found;
  int32_t node = 0;
  for (size_t end = at; end < limit;) {
    const auto it = edges_.find(edge(node, static_cast<unsigned char>(text[end])));
    if (it == edges_.end()) break;
    node = it->second;
    ++end;
    if (token_at_[node] >= 0) found = {token_at_[node], end};
  }
  return found;
}

void AddedTokenFinder::split(std::string_view text, std::vector<Stretch>& stretches,
                             std::span<const Guard> guards) const {
  size_t done = 0, guard = 0;
  size_t white_begin = 0, white_end = 0;  // a run of white space measured before
  for (size_t at = 0; at < text.size();) {
    if (!starts_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    while (guard < guards.size() && guards[guard].end <= at) ++guard;
    const size_t limit =
        guard < guards.size() ? std::min(guards[guard].begin, text.size()) : text.size();
    const Found found = longest_at(text, at, limit);
    if (found.token < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[found.token];
    const size_t begin = at;
    at = found.end;
    if (token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(found.end))))
      continue;
    // White space that the token before has swallowed may be the beginning of this one.
    const size_t start = token.lstrip
                             ? std::max(white_space_start(text, std::min(done, begin), begin), done)
                             : begin;
    size_t end = found.end;
    if (token.rstrip) {
      if (end < white_begin || end >= white_end) {
        white_begin = end;
        white_end = skip_white_space(text, end);
      }
      end = white_end;
    }
    if (end <= start) continue;
    if (start > done) stretches.push_back({text.substr(done, start - done), -1});
    stretches.push_back({text.substr(start, end - start), token.id});
    done = end;
  }
  if (done < text.size()) stretches.push_back({text.substr(done), -1});
}

}  // namespace cohort
