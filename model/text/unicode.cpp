// Categories, normal forms and lower case on top of utf8proc's tables.
#include "model/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "core/check.h"
#include "core/text.h"
#include "model/text/unicode_additions.h"

namespace cohort {
namespace {

const UnicodeAddition* find_addition(char32_t c) {
  const auto it = std::upper_bound(
      std::begin(kUnicodeAdditions), std::end(kUnicodeAdditions), c,
      [](char32_t value, const UnicodeAddition& addition) { return value < addition.first; });
  if (it == std::begin(kUnicodeAdditions) || c > std::prev(it)->last) return nullptr;
  return &*std::prev(it);
}

constexpr std::array<CharKind, 128> make_ascii_kinds() {
  std::array<CharKind, 128> kinds{};
  for (int c = 0; c < 128; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    kinds[c] = letter                 ? CharKind::kLetter
               : c >= '0' && c <= '9' ? CharKind::kNumber
               : is_white_space(c)    ? CharKind::kSpace
                                      : CharKind::kOther;
  }
  return kinds;
}

constexpr std::array<CharKind, 128> kAsciiKinds = make_ascii_kinds();

struct Range {
  char32_t first, last;
};

// Marks and compatibility characters of Unicode 9 to 14. The package's normal forms do not know
// them: to it they combine with nothing and decompose into nothing.
constexpr Range kUnknownToNormalForms[] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},
    {0xC3C, 0xC3C},     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},
    {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},   {0x32FF, 0x32FF},   {0xA7F2, 0xA7F4},
    {0xA82C, 0xA82C},   {0xAB69, 0xAB69},   {0x10781, 0x10785}, {0x10787, 0x107B0},
    {0x107B2, 0x107BA}, {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10F46, 0x10F50},
    {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E},
    {0x11839, 0x1183A}, {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943},
    {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99},
    {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x16FF0, 0x16FF1},
    {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1F16C, 0x1F16C},
    {0x1FBF0, 0x1FBF9},
};

bool is_unknown_to_normal_forms(char32_t c) {
  if (c < 0x300) return false;
  const auto it =
      std::upper_bound(std::begin(kUnknownToNormalForms), std::end(kUnknownToNormalForms), c,
                       [](char32_t value, const Range& range) { return value < range.first; });
  if (it != std::begin(kUnknownToNormalForms) && c <= std::prev(it)->last) return true;
  return find_addition(c) != nullptr;
}

// One stretch of characters that the normal forms know. `characters` is used up.
void append_normal_form(std::vector<utf8proc_int32_t>& characters, NormalForm form,
                        std::string& out) {
  if (characters.empty()) return;
  // utf8proc_map would do, but its sort of combining marks is quadratic, and the marks come from
  // anywhere.
  constexpr int kLongestDecomposition = 32;
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
  std::vector<utf8proc_int32_t> decomposed;
  decomposed.reserve(characters.size());
  for (const utf8proc_int32_t c : characters) {
    utf8proc_int32_t parts[kLongestDecomposition];
    const auto count = utf8proc_decompose_char(c, parts, kLongestDecomposition, options, nullptr);
    CHECK(count >= 0 && count <= kLongestDecomposition, "no decomposition of U+{:04X}", c);
    decomposed.insert(decomposed.end(), parts, parts + count);
  }
  characters.clear();
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
  auto length = static_cast<utf8proc_ssize_t>(decomposed.size());
  if (form == NormalForm::kNfc || form == NormalForm::kNfkc) {
    length = utf8proc_normalize_utf32(
        decomposed.data(), length,
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    CHECK(length >= 0, "utf8proc_normalize_utf32: {}", utf8proc_errmsg(length));
  }
  for (utf8proc_ssize_t i = 0; i < length; ++i)
    append_utf8(out, static_cast<char32_t>(decomposed[i]));
}

// Pairs of cases that Unicode added after utf8proc's tables: the capitals first..last, each `step`
// apart, and how far away the small letters are.
struct CasePairs {
  char32_t first, last, step;
  int32_t distance;
};
constexpr CasePairs kNewCases[] = {
    {0x1C89, 0x1C89, 1, 1},      {0xA7CB, 0xA7CB, 1, 0x264 - 0xA7CB},
    {0xA7CC, 0xA7CE, 2, 1},      {0xA7D2, 0xA7D4, 2, 1},
    {0xA7DA, 0xA7DA, 1, 1},      {0xA7DC, 0xA7DC, 1, 0x19B - 0xA7DC},
    {0x10D50, 0x10D65, 1, 0x20}, {0x16EA0, 0x16EB8, 1, 0x1B},
};

char32_t lower_case(char32_t c) {
  for (const CasePairs& pairs : kNewCases)
    if (c >= pairs.first && c <= pairs.last && (c - pairs.first) % pairs.step == 0)
      return static_cast<char32_t>(static_cast<int32_t>(c) + pairs.distance);
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

// All characters of `text`, which begins a block.
void append_normal_form_of(std::string_view text, NormalForm form, std::string& out) {
  std::vector<utf8proc_int32_t> known;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (!is_unknown_to_normal_forms(c)) {
      known.push_back(static_cast<utf8proc_int32_t>(c));
      continue;
    }
    append_normal_form(known, form, out);
    append_utf8(out, c);
  }
  append_normal_form(known, form, out);
}

// A character that starts a block and is followed by another such is its own normal form C; only
// the rest is looked at more closely.
void append_composed(std::string_view text, std::string& out) {
  size_t done = 0, block = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    if (static_cast<signed char>(text[at]) >= 0) {
      block = at++;
      continue;
    }
    if (starts_normal_block(next_code_point(text, at))) {
      block = start;
      continue;
    }
    size_t end = at;
    while (at < text.size() && !starts_normal_block(next_code_point(text, at))) end = at;
    at = end;
    out += text.substr(done, block - done);
    append_normal_form_of(text.substr(block, end - block), NormalForm::kNfc, out);
    done = block = end;
  }
  out += text.substr(done);
}

}  // namespace

CharKind char_kind(char32_t c) {
  if (c < 128) return kAsciiKinds[c];
  if (is_white_space(c)) return CharKind::kSpace;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
    return CharKind::kLetter;
  if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
    return CharKind::kNumber;
  if (category != UTF8PROC_CATEGORY_CN) return CharKind::kOther;
  const UnicodeAddition* addition = find_addition(c);
  if (!addition) return CharKind::kOther;
  return addition->category[0] == 'L'   ? CharKind::kLetter
         : addition->category[0] == 'N' ? CharKind::kNumber
                                        : CharKind::kOther;
}

bool is_numeric(char32_t c) {
  return char_kind(c) == CharKind::kNumber || (c >= 0x11DE0 && c <= 0x11DE9) ||
         (c >= 0x16FF4 && c <= 0x16FF6);
}

bool is_word_character(char32_t c) {
  if (c == 0x200C || c == 0x200D) return true;  // join controls
  // Symbols that are letters in circles and squares.
  if ((c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
      (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189))
    return true;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (category == UTF8PROC_CATEGORY_CN) {
    const UnicodeAddition* addition = find_addition(c);
    return addition &&
           (addition->category[0] == 'L' || addition->category[0] == 'M' ||
            addition->category == "Nd" || addition->category == "Nl" || addition->category == "Pc");
  }
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
         category == UTF8PROC_CATEGORY_PC;
}

bool starts_normal_block(char32_t c) {
  constexpr uint16_t kNone = UINT16_MAX;
  if (c < 0x300) return true;  // letters that decompose, but none that joins what stands before it
  if ((c >= 0x1100 && c <= 0x11FF) || (c >= 0xAC00 && c <= 0xD7FF)) return false;  // Hangul
  const utf8proc_property_t* p = utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  return p->combining_class == 0 && p->decomp_seqindex == kNone && p->comb_index == kNone;
}

std::string to_normal_form(std::string_view text, NormalForm form) {
  if (std::all_of(text.begin(), text.end(),
                  [](char c) { return static_cast<signed char>(c) >= 0; }))
    return std::string(text);
  std::string out;
  out.reserve(text.size());
  if (form == NormalForm::kNfc)
    append_composed(text, out);
  else
    append_normal_form_of(text, form, out);
  return out;
}

std::string to_lower_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c == 0x130)  // I with a dot: the only character whose lower case is two
      out += "i\xCC\x87";
    else
      append_utf8(out, lower_case(c));
  }
  return out;
}

}  // namespace cohort
