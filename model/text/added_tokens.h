// Finds added tokens (specials such as <|im_start|>) written in a text, before anything else looks
// at it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace cohort {

// A place in a text across which nothing may be recognised: begin < end means everything between.
struct Guard {
  size_t begin, end;
};

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool lstrip = false, rstrip = false;  // swallows the white space before, after it
  bool single_word = false;             // not beside another word character
  bool normalized = false;              // searched in the normalised text, after those that are not
  bool special = false;
};

// A stretch of a text: an added token, or text (id < 0).
struct Stretch {
  std::string_view text;
  int32_t id = -1;
};

// A trie over the tokens' bytes. Leftmost match first, longest of those that start at the same
// place; a match that single_word discards still hides others that begin inside it.
class AddedTokenFinder {
 public:
  void add(const AddedToken& token, std::string_view spelled_as);
  // Appends the stretches of `text`; empty ones are left out. guards: ascending places in `text`
  // that no token may lie across (white space that it swallows does not count). O(length of text x
  // length of the longest token).
  void split(std::string_view text, std::vector<Stretch>& stretches,
             std::span<const Guard> guards = {}) const;
  bool empty() const { return tokens_.empty(); }

 private:
  static uint64_t edge(int32_t node, unsigned char byte) {
    return static_cast<uint64_t>(node) << 8 | byte;
  }

  struct Found {
    int32_t token = -1;  // index in tokens_, -1 for none
    size_t end = 0;
  };
  Found longest_at(std::string_view text, size_t at, size_t limit) const;

  std::vector<AddedToken> tokens_;
  std::vector<int32_t> token_at_{-1};  // node -> index in tokens_, -1 for none
  std::unordered_map<uint64_t, int32_t> edges_;
  std::array<bool, 256> starts_{};
};

}  // namespace cohort
