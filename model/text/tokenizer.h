// The tokenizer of a Hugging Face tokenizer.json: byte-pair encoding of bytes (GPT-2, Llama 3,
// Qwen) or of characters (SentencePiece's style: Llama 2, Mistral, Gemma). It gives what the
// `tokenizers` package gives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort {

class TokenStream;

class Tokenizer {
 public:
  // Reads DIR/tokenizer.json (+ tokenizer_config.json for names of special tokens). What is not
  // supported is refused by name, exit code 3.
  static Tokenizer load(const std::filesystem::path& model_dir);
  static Tokenizer from_json(std::string_view tokenizer_json, std::string_view where);
  // The same of texts of both files; `where` leads messages.
  static Tokenizer from_files(std::string_view tokenizer_json, std::string_view tokenizer_config_json, std::string_view where);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Added tokens written in the text are recognised (as the `tokenizers` package does).
  // add_special_tokens: also what the post-processor adds. O(n log n) for n bytes, whatever they
  // are; a pattern of the file that needs more is refused when it meets such a text (exit code 3).
  // Invalid UTF-8 is replaced by U+FFFD first. A character that the vocabulary lacks becomes its
  // bytes' tokens (byte_fallback), the model's unk_token, or is dropped (as the package does).
  // guards: ascending byte offsets into `text`, which must then be valid UTF-8. No added token is
  // recognised across one of them (begin < offset < end): with an offset inside each <|im_end|>
  // that a message spells, it stays plain text.
  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens = false,
                              std::span<const size_t> guards = {}) const;
  // Bytes may be invalid UTF-8 when ids stop inside a character; they become U+FFFD. Unknown ids
  // decode to nothing. skip_special_tokens: a special token that the normalizer rewrites stays (as
  // in the package).
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens = false) const;

  int32_t vocab_size() const;  // largest id + 1
  std::optional<int32_t> id_of(std::string_view token) const;
  std::string token(int32_t id) const;  // as in tokenizer.json ("Ġthe"); "" when unknown
  bool is_special(int32_t id) const;
  std::vector<std::string> special_token_texts() const;  // of the added tokens that are special
  // Of the added tokens that are not marked as special but look so: <|...|>, <\uFF5C...\uFF5C>.
  std::vector<std::string> marker_texts() const;
  // The other *_token keys of tokenizer_config.json that are texts: {"pad_token", "<pad>"}.
  std::vector<std::pair<std::string, std::string>> named_tokens() const;
  std::string bos_token() const;  // from tokenizer_config.json; "" when there is none
  std::string eos_token() const;

 private:
  friend class TextStream;
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Decodes ids one by one. The texts returned, joined, are what decode() gives for all the ids; none
// ends inside a character. A part is empty while what comes next can still change it.
class TextStream {
 public:
  explicit TextStream(const Tokenizer& tokenizer, bool skip_special_tokens = false);
  ~TextStream();
  TextStream(TextStream&&) noexcept;
  std::string add(int32_t id);
  std::string finish();  // the rest; then the stream starts anew
  // What finish() would give now, up to the last whole character.
  std::string pending() const;
  bool holds() const;  // some of what was added has not been returned
  // Of what add returned last: bytes [0, before) are of tokens added earlier, those from `own` on of that token (own < before: a
  // character of both). Skipped: the token has no text at all.
  struct Split {
    size_t before = 0, own = 0;
    bool skipped = false;
  };
  Split split() const;

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_tokens_;
  std::unique_ptr<TokenStream> stream_;
  bool skipped_ = false;
};

// tokenizer.json and tokenizer_config.json of a plain byte-level tokenizer: ids 0..255 are bytes,
// then `special` tokens. For models that cohort makes from scratch.
std::string byte_tokenizer_json(std::span<const std::string> special);
std::string byte_tokenizer_config_json(std::string_view bos, std::string_view eos,
                                       std::string_view chat_template);

}  // namespace cohort
