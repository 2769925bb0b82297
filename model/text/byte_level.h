// GPT-2's byte-level alphabet: the printable character that stands for each byte in tokenizer.json,
// and lossy UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace cohort {

// Spells each byte with its character: " the" -> "Ġthe".
std::string spell_bytes(std::string_view bytes);
std::string spell_byte(unsigned char byte);

// The bytes that a token spells. A token with a character outside the alphabet stands for its own
// UTF-8 (as the `tokenizers` package decodes it). `token` is valid UTF-8.
std::string unspell_bytes(std::string_view token);

// Replaces each maximal ill-formed part by one U+FFFD (Unicode 15, section 3.9, "substitution of
// maximal subparts"), as the `tokenizers` package decodes. Valid text comes back unchanged.
std::string lossy_utf8(std::string_view bytes);

}  // namespace cohort
