// What the commands of LaTeX, the words of plain mathematics and the signs of Unicode mean as tokens.
#pragma once

#include <optional>
#include <string_view>

#include "reward/math/token.h"

namespace cohort::math {

// How the lexer treats a command.
enum class Use : uint8_t {
  kToken,      // stands for `kind` with `name`
  kSkip,       // spacing and sizes: nothing
  kSkipGroup,  // nothing, with the group behind it
  kText,       // its group is words
  kUpright,    // its group is a unit, a function or words
};

struct Meaning {
  std::string_view text;  // the command without its backslash, the word, or the sign
  Use use = Use::kToken;
  Tok kind = Tok::kEnd;
  std::string_view name = "";
};

const Meaning* find_command(std::string_view name);
const Meaning* find_word(std::string_view word);
// The sign that text[at...] begins with.
const Meaning* find_sign(std::string_view text);

}  // namespace cohort::math
