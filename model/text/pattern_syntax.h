// Turns a regular expression as tokenizer.json spells it (for Oniguruma, with Ruby's syntax) into
// one that PCRE2 understands in the same way.
#pragma once

#include <string>
#include <string_view>

namespace cohort {

// Every construct that could mean something else in PCRE2 is either rewritten or refused by name
// (exit code 3). `where` leads the messages.
std::string to_pcre2_syntax(std::string_view pattern, std::string_view where);

}  // namespace cohort
