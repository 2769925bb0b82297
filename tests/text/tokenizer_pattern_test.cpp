// The engines of patterns: hand-written scanners against PCRE2, what the translation refuses,
// limits.
#include <gtest/gtest.h>

#include <random>

#include "core/check.h"
#include "core/text.h"
#include "model/text/pattern_syntax.h"
#include "model/text/split_pattern.h"

namespace cohort {
namespace {

using Scanner = SplitPattern::Scanner;

std::vector<std::pair<size_t, size_t>> matches_of(std::string_view pattern, std::string_view text,
                                                  Scanner scanner = Scanner::kNone) {
  std::vector<TextMatch> found;
  const SplitPattern split = SplitPattern::of_regex(pattern, "test", scanner);
  SplitPattern::Finder(split).find(text, found);
  std::vector<std::pair<size_t, size_t>> result;
  for (const TextMatch& match : found)
    if (match.matches) result.emplace_back(match.begin, match.end);
  return result;
}

std::string refusal(std::string_view pattern) {
  try {
    SplitPattern::of_regex(pattern, "test");
    return "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    return error.what();
  }
}

TEST(SplitPattern, ScannersEqualPcre2OnRandomTexts) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::vector<char32_t> frequent = {
      ' ',  ' ',    '\n',   '\r',  '\t',   '\'',    's',    'S',  'T',   'r',     'e',    'v',
      'L',  'l',    'm',    'd',   0x17F,  'a',     '1',    '2',  '.',   '!',     0xA0,   0xB2,
      0xE9, 0x3000, 0x4E2D, 0x301, 0x2028, 0x1F600, 0x180E, 0x85, 0x661, 0x10D50, 0x31350};
  for (std::string_view pattern : {kGpt2Pattern, kLlama3Pattern, kQwen2Pattern}) {
    const SplitPattern scanner = SplitPattern::of_regex(pattern, "test", Scanner::kPublished);
    const SplitPattern regex = SplitPattern::of_regex(pattern, "test", Scanner::kNone);
    SplitPattern::Finder by_scanner(scanner), by_regex(regex);
    std::vector<TextMatch> a, b;
    for (int round = 0; round < 20'000; ++round) {
      std::string text;
      for (int n = 1 + static_cast<int>(random() % 24); n > 0; --n) {
        char32_t c = frequent[random() % frequent.size()];
        if (random() % 10 == 0) c = random() % 0x110000;
        if (c >= 0xD800 && c <= 0xDFFF) c = 'x';
        append_utf8(text, c);
      }
      by_scanner.find(text, a);
      by_regex.find(text, b);
      ASSERT_EQ(a.size(), b.size()) << pattern << " on " << testing::PrintToString(text);
      for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i].end, b[i].end) << pattern << text;
    }
  }
}

TEST(SplitPattern, ScannersAndPcre2AgreeOnEveryCharacter) {
  for (std::string_view pattern : {kGpt2Pattern, kLlama3Pattern}) {
    std::string text;
    for (char32_t c = 1; c < 0x110000; ++c) {
      if (c >= 0xD800 && c <= 0xDFFF) continue;
      append_utf8(text, c);
      text += "a ";
    }
    EXPECT_EQ(matches_of(pattern, text, Scanner::kPublished), matches_of(pattern, text));
  }
}

TEST(SplitPattern, LongRunsTakeLinearTime) {
  for (std::string_view pattern : {kGpt2Pattern, kLlama3Pattern}) {
    for (std::string_view unit : {" ", "a", "\n", "1", "!", "\xE4\xB8\xAD"}) {
      std::string text;
      while (text.size() < 1'000'000) text += unit;
      text += 'x';
      EXPECT_EQ(matches_of(pattern, text), matches_of(pattern, text, Scanner::kPublished)) << unit;
    }
  }
}

TEST(SplitPattern, ASearchWithoutEndIsRefusedNotAnswered) {
  const std::string text(40, 'a');
  try {
    matches_of("(?:a|aa)*[bc]", text + text);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    EXPECT_NE(std::string(error.what()).find("takes too much"), std::string::npos) << error.what();
  }
}

TEST(SplitPattern, EmptyMatchesAdvanceByCharacters) {
  using Pairs = std::vector<std::pair<size_t, size_t>>;
  EXPECT_EQ(matches_of("x*", "\xC3\xA9xx"), (Pairs{{0, 0}, {2, 4}}));
}

TEST(PatternSyntax, RewritesWhatMeansSomethingElse) {
  using Pairs = std::vector<std::pair<size_t, size_t>>;
  EXPECT_EQ(matches_of("\\s", "\xE1\xA0\x8E \xC2\x85"), (Pairs{{3, 4}, {4, 6}}));  // not U+180E
  EXPECT_EQ(matches_of("\\v", "\n\v"), (Pairs{{1, 2}}));
  EXPECT_EQ(matches_of("a{,2}b", "aaab"), (Pairs{{1, 4}}));
  EXPECT_EQ(matches_of("a{2}+", "aaaaa"), (Pairs{{0, 4}}));
  EXPECT_EQ(matches_of("a$", "a\na"), (Pairs{{0, 1}, {2, 3}}));
  EXPECT_EQ(matches_of("[^\\S\\n]+", " \n\t"), (Pairs{{0, 1}, {2, 3}}));
  EXPECT_EQ(matches_of("\\p{^L}|\\P{L}", "a1"), (Pairs{{1, 2}}));
  EXPECT_EQ(matches_of("\\p{L}", "\xF0\x90\xB5\x90"), (Pairs{{0, 4}}));  // new in Unicode 16
  EXPECT_EQ(matches_of("\\u0041\\x{42}\\x43", "ABC"), (Pairs{{0, 3}}));
  EXPECT_EQ(matches_of("(a)(?=b)", "aab"), (Pairs{{1, 2}}));
}

// The expected characters are those of the `tokenizers` package's Split by each of the patterns.
TEST(PatternSyntax, ScriptsLeaveOutWhatSeveralScriptsShare) {
  const std::vector<char32_t> characters = {
      0x3001, 0x3002, 0x300C, 0x301C, 0x30FC, 0x3005, 0x3006, 0x3007, 0x3021, 0x303B, 0x3041, 0x30A1,
      0xAC00, 0x4E00, 0xFF70, 0x30A0, 0x1100, 0x0E01, 0x0E3F, 0x3031, 0x302E, 0xFF66, 0x309B, 0x3099,
      0x309D, 0x30FB};
  const std::pair<const char*, std::vector<char32_t>> rows[] = {
      {"\\p{Han}", {0x3005, 0x3007, 0x3021, 0x303B, 0x4E00}},
      {"\\p{Hiragana}", {0x3041, 0x309D}},
      {"[\\p{Katakana}]", {0x30A1, 0xFF66}},
      {"\\p{Hangul}", {0xAC00, 0x1100, 0x302E}},
      {"\\p{Thai}", {0x0E01}},
  };
  for (const auto& [pattern, expected] : rows) {
    std::vector<char32_t> got;
    for (const char32_t c : characters) {
      std::string text;
      append_utf8(text, c);
      if (!matches_of(pattern, text).empty()) got.push_back(c);
    }
    EXPECT_EQ(got, expected) << pattern;
  }
}

TEST(PatternSyntax, RefusesByName) {
  for (const auto& [pattern, named] : std::vector<std::pair<std::string, std::string>>{
           {"\\h", "\\h"},
           {"a\\b", "\\b"},
           {"\\1", "\\1"},
           {"(?<n>a)", "(?<n"},
           {"a(?i)b", "(?i)"},
           {"[a[b]]", "inside a class"},
           {"[a&&b]", "&&"},
           {"[[:alpha:]]", "[:"},
           {"[\\P{L}]", "negated property"},
           {"a{2}?", "{n}?"},
           {"a**", "*"},
           {"(a", "not closed"},
           {"a)", "')'"},
           {"\\p{Greek}", "Greek"},
           {"(?i:straSSe)", "'ss'"},
           {"(*UTF)a", "(*"},
           {"[b-a]", "compile"},
           {"\\", "\\"},
           {"*a", "*"},
           {"[]", "[]"},
           {"\\xff", "\\xHH"},
           {"(?i:\xC3\xA9)", "ASCII"},
           {"", "empty"},
           {"(?<=a+)b", "compile"},
           {std::string(20000, 'a'), "allowed are 16384"}}) {
    const std::string message = refusal(pattern);
    EXPECT_NE(message.find(named), std::string::npos) << pattern.substr(0, 50) << ": " << message;
  }
}

}  // namespace
}  // namespace cohort
