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

void AddedTokenFinder::split(std::string_view text, std::vector<Stretch>& stretches,
                             std::span<const size_t> guards) const {
  size_t done = 0, guard = 0;
  for (size_t at = 0; at < text.size();) {
    if (!starts_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    while (guard < guards.size() && guards[guard] <= at) ++guard;
    const size_t limit = guard < guards.size() ? std::min(guards[guard], text.size()) : text.size();
    int32_t found = -1;
    size_t found_end = at;
    int32_t node = 0;
    for (size_t end = at; end < limit;) {
      const auto it = edges_.find(edge(node, static_cast<unsigned char>(text[end])));
      if (it == edges_.end()) break;
      node = it->second;
      ++end;
      if (token_at_[node] >= 0) found = token_at_[node], found_end = end;
    }
    if (found < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[found];
    const size_t start = token.lstrip ? white_space_start(text, done, at) : at;
    const size_t end = token.rstrip ? skip_white_space(text, found_end) : found_end;
    if (start > done) stretches.push_back({text.substr(done, start - done), -1});
    stretches.push_back({text.substr(start, end - start), token.id});
    at = done = end;
  }
  if (done < text.size()) stretches.push_back({text.substr(done), -1});
}

}  // namespace cohort
