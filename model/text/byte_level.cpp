// GPT-2's byte-level alphabet (Radford et al. 2019, "bytes_to_unicode" of the published encoder):
// printable Latin-1 bytes stand for themselves, the other 68 for U+0100, U+0101, ... in order.
#include "model/text/byte_level.h"

#include <array>
#include <cstdint>

#include "core/text.h"

namespace cohort {
namespace {

constexpr int kAlphabetEnd = 256 + 68;  // one past the largest code point of the alphabet

constexpr bool is_printable_latin1(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

constexpr std::array<char32_t, 256> make_characters() {
  std::array<char32_t, 256> characters{};
  char32_t next = 256;
  for (int byte = 0; byte < 256; ++byte)
    characters[byte] = is_printable_latin1(byte) ? static_cast<char32_t>(byte) : next++;
  return characters;
}

constexpr std::array<char32_t, 256> kCharacters = make_characters();

constexpr std::array<int16_t, kAlphabetEnd> make_bytes() {
  std::array<int16_t, kAlphabetEnd> bytes{};
  for (int16_t& byte : bytes) byte = -1;
  for (int byte = 0; byte < 256; ++byte) bytes[kCharacters[byte]] = static_cast<int16_t>(byte);
  return bytes;
}

constexpr std::array<int16_t, kAlphabetEnd> kBytes = make_bytes();

}  // namespace

std::string spell_byte(unsigned char byte) {
  std::string text;
  append_utf8(text, kCharacters[byte]);
  return text;
}

std::string spell_bytes(std::string_view bytes) {
  std::string text;
  for (unsigned char byte : bytes) append_utf8(text, kCharacters[byte]);
  return text;
}

std::string unspell_bytes(std::string_view token) {
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    const char32_t character = next_code_point(token, at);
    if (character >= kAlphabetEnd || kBytes[character] < 0) return std::string(token);
    bytes.push_back(static_cast<char>(kBytes[character]));
  }
  return bytes;
}

std::string lossy_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  size_t at = 0;
  while (at < bytes.size()) {
    const unsigned char lead = bytes[at];
    // Bounds of the second byte, after which every continuation is 80..BF (Unicode 15, table 3-7).
    int continuations = 0;
    unsigned char low = 0x80, high = 0xBF;
    if (lead < 0x80) {
      text.push_back(bytes[at++]);
      continue;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
      continuations = 1;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      continuations = 2;
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      continuations = 3;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    }
    size_t end = at + 1;
    int found = 0;
    while (found < continuations && end < bytes.size()) {
      const unsigned char byte = bytes[end];
      if (byte < low || byte > high) break;
      low = 0x80, high = 0xBF;
      ++found, ++end;
    }
    if (continuations > 0 && found == continuations) {
      text.append(bytes.substr(at, end - at));
    } else {
      text.append("\xEF\xBF\xBD");
    }
    at = end;
  }
  return text;
}

}  // namespace cohort
