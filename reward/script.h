// Scripts: which one is a letter of?
#pragma once

#include <string_view>

namespace cohort {

// latin, greek, cyrillic, hebrew, arabic, devanagari, thai, hangul, kana or han, or "" for what is no letter of these.
std::string_view script_of(char32_t c);

}  // namespace cohort
