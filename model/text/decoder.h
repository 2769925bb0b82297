// The decoder of tokenizer.json: from the spellings of tokens to text, all at once or token by
// token.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/text/split_pattern.h"

namespace cohort {

struct DecoderStep {
  enum class Kind {
    kReplace,       // in each token, every match of `pattern` becomes `text`
    kByteFallback,  // a run of <0xNN> becomes its bytes; a run that is not UTF-8 one U+FFFD a byte
    kMetaspace,  // in each token, `text` becomes ' '; in the first one it is dropped (drop_first)
    kStrip,      // up to `start` and `stop` characters `text` at the ends of each token
    kFuse,       // all tokens become one
    kByteLevel,  // all tokens become one: the bytes that they spell, U+FFFD for what is not UTF-8
  };
  Kind kind = Kind::kFuse;
  std::shared_ptr<const SplitPattern> pattern;
  std::string text;
  bool drop_first = false;
  size_t start = 0, stop = 0;
};

struct DecoderSteps {
  std::vector<DecoderStep> steps;
  // What stands between tokens at the end: " " where tokenizer.json has no decoder.
  std::string separator;
};

// The whole text of tokens (valid UTF-8 each).
std::string decode_tokens(std::vector<std::string> tokens, const DecoderSteps& how);

// The same text in parts, token by token. A part never ends inside a character; it may be empty
// while what follows can still change the text (a run of byte tokens, characters to strip from the
// end).
class TokenStream {
 public:
  explicit TokenStream(const DecoderSteps& how);  // `how` must live as long
  std::string add(std::string_view token);
  std::string add_bytes(std::string_view bytes);  // for ByteLevel alone: what the token spells
  std::string finish();                           // the rest; the stream starts anew
  // What finish() would give now, up to the last whole character; "" while the bytes that wait are not UTF-8.
  std::string pending() const;
  bool holds() const { return !held_.empty() || !bytes_.empty(); }  // something that was added has not been returned
  // Of what add returned last: the first `before` bytes are of tokens that had been added earlier, those from `own` on of the last one;
  // own < before: a character of both.
  struct Split {
    size_t before = 0, own = 0;
  };
  Split split() const { return split_; }

 private:
  std::string decode(std::vector<std::string> tokens);
  std::string strip_start(std::string text);

  const DecoderSteps& how_;
  size_t per_token_ = 0;  // so many steps treat each token by itself, but for runs of bytes
  bool byte_runs_ = false, byte_level_ = false;
  bool whole_ = false;             // no part is known before the end
  bool first_ = true;              // nothing has been decoded yet
  std::vector<std::string> held_;  // tokens that wait
  std::string bytes_;              // byte level: the beginning of a character
  Split split_;
  std::vector<size_t> strips_;     // how much each Strip behind Fuse may still take from the start
};

}  // namespace cohort
