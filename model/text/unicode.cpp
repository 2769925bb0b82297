// Normal form C on top of utf8proc's tables.
#include "model/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "core/check.h"
#include "core/text.h"

namespace cohort {

std::string to_nfc(std::string_view text) {
  if (std::all_of(text.begin(), text.end(),
                  [](char c) { return static_cast<signed char>(c) >= 0; }))
    return std::string(text);
  // utf8proc_map would do, but its sort of combining marks is quadratic, and the marks come from
  // anywhere.
  constexpr int kLongestDecomposition = 32;
  std::vector<utf8proc_int32_t> decomposed;
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t parts[kLongestDecomposition];
    const auto count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(next_code_point(text, at)), parts,
                                kLongestDecomposition, UTF8PROC_DECOMPOSE, nullptr);
    CHECK(count >= 0 && count <= kLongestDecomposition,
          "no decomposition of the character before byte {}", at);
    decomposed.insert(decomposed.end(), parts, parts + count);
  }
  const auto combining = [](utf8proc_int32_t c) {
    return utf8proc_get_property(c)->combining_class;
  };
  for (auto start = decomposed.begin(); start != decomposed.end();) {
    const auto marks =
        std::find_if(start, decomposed.end(), [&](auto c) { return combining(c) != 0; });
    const auto end =
        std::find_if(marks, decomposed.end(), [&](auto c) { return combining(c) == 0; });
    std::stable_sort(marks, end, [&](auto a, auto b) { return combining(a) < combining(b); });
    start = end;
  }
  const auto length =
      utf8proc_normalize_utf32(decomposed.data(), static_cast<utf8proc_ssize_t>(decomposed.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  CHECK(length >= 0, "utf8proc_normalize_utf32: {}", utf8proc_errmsg(length));
  std::string composed;
  for (utf8proc_ssize_t i = 0; i < length; ++i)
    append_utf8(composed, static_cast<char32_t>(decomposed[i]));
  return composed;
}

}  // namespace cohort
