// A tokenizer for the tiny model's 80 tokens: letters, pairs, bytes that are pieces of characters, and special tokens.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/json.h"
#include "model/text/byte_level.h"
#include "model/text/tokenizer.h"
#include "tests/model/tiny_model.h"

namespace cohort {

// Ids 0 to 2 are special; then the bytes of "é" (C3 A9), "€" (E2 82 AC) and "😀" (F0 9F 98 80), line break and space, and
// texts of one to three letters, as byte-level tokenizers spell them.
inline Tokenizer tiny_tokenizer() {
  Json tokenizer = parse_json(byte_tokenizer_json({}), "byte tokenizer");
  Json vocabulary = Json::object(), added = Json::array();
  std::vector<std::string> texts = {"\xC3", "\xA9", "\xE2", "\x82", "\xAC", "\xF0", "\x9F", "\x98", "\x80", "\n", " "};
  for (char c = 'a'; c <= 'z'; ++c) texts.emplace_back(1, c);
  for (const char* more : {"ab", "bc", "cd", "abc", "xa", "b\xC3", "\xA9" "c", " a", "en", "nd", "end", ".", "\n\n", "e."})
    texts.emplace_back(more);
  std::vector<std::string> tokens = {"<pad>", "<eos>", "<stop>"};
  for (const std::string& text : texts) {
    tokens.emplace_back();
    for (const char byte : text) tokens.back() += spell_byte(static_cast<unsigned char>(byte));
  }
  while (tokens.size() < 80) tokens.push_back(fmt::format("q{}", tokens.size()));
  for (int byte = 0; byte < 256; ++byte) {  // the tokenizer wants them all; the model has the first 80
    const std::string token = spell_byte(static_cast<unsigned char>(byte));
    if (std::ranges::find(tokens, token) == tokens.end()) tokens.push_back(token);
  }
  for (size_t id = 0; id < tokens.size(); ++id) {
    vocabulary[tokens[id]] = id;
    if (id < 3)
      added.push_back({{"id", id}, {"content", tokens[id]}, {"single_word", false}, {"lstrip", false}, {"rstrip", false},
                       {"normalized", false}, {"special", true}});
  }
  tokenizer["model"]["vocab"] = vocabulary;
  tokenizer["model"]["merges"] = Json::array();
  tokenizer["added_tokens"] = added;
  return Tokenizer::from_json(tokenizer.dump(), "tiny tokenizer");
}

}  // namespace cohort
