// Template text -> tokens, with Jinja's white space control as transformers sets it (trim_blocks,
// lstrip_blocks).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::jinja {

struct Token {
  enum class Kind {
    kText,
    kBlockBegin,
    kBlockEnd,
    kOutputBegin,
    kOutputEnd,
    kName,
    kString,
    kInteger,
    kReal,
    kOperator,
    kEnd
  };
  Kind kind;
  int line;
  std::string text;  // the text, name, operator or decoded string
  int64_t integer = 0;
  double real = 0;
};

// Comments are gone; the last token is kEnd. Errors: exit code 3, "WHERE:LINE: what".
std::vector<Token> tokenize(std::string_view source, std::string_view where);

}  // namespace cohort::jinja
