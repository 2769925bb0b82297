// The steps of tokenizer.json one by one: what each does, and what its reader refuses.
#include "model/text/tokenizer_steps.h"

#include <gtest/gtest.h>

#include <chrono>

#include "core/check.h"
#include "core/json.h"
#include "model/text/decoder.h"
#include "model/text/normalizer.h"
#include "model/text/tokenizer.h"

namespace cohort {
namespace {

Json json_of(const char* text) { return parse_json(text, "test"); }

std::vector<std::string> pieces_of(const char* steps, std::string_view text,
                                   bool starts_text = true) {
  const Json json = json_of(steps);
  std::deque<std::string> arena;
  std::vector<std::string_view> pieces;
  pre_tokenize(text, starts_text, read_pre_tokenizer({json, "pre_tokenizer"}), arena, pieces);
  return {pieces.begin(), pieces.end()};
}

NormalizedText normalized(const char* steps, std::string_view text,
                          std::vector<Guard> guards = {}) {
  const Json json = json_of(steps);
  return normalize(text, read_normalizer({json, "normalizer"}), std::move(guards));
}

template <typename Reader>
std::string refusal(Reader reader, const char* steps) {
  const Json json = json_of(steps);
  try {
    reader(TokenizerPart{json, "part"});
    return "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    return error.what();
  }
}

void expect_part(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << "expected '" << part << "' in: " << message;
}

using Texts = std::vector<std::string>;

TEST(PreTokenizer, SplitsInEveryBehavior) {
  const auto split = [](const char* behavior) {
    const std::string steps = fmt::format(
        R"({{"type": "Split", "pattern": {{"String": "-"}}, "behavior": "{}", "invert": false}})",
        behavior);
    return pieces_of(steps.c_str(), "The-final--countdown");
  };
  EXPECT_EQ(split("Removed"), (Texts{"The", "final", "countdown"}));
  EXPECT_EQ(split("Isolated"), (Texts{"The", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(split("MergedWithPrevious"), (Texts{"The-", "final-", "-", "countdown"}));
  EXPECT_EQ(split("MergedWithNext"), (Texts{"The", "-final", "-", "-countdown"}));
  EXPECT_EQ(split("Contiguous"), (Texts{"The", "-", "final", "--", "countdown"}));
}

TEST(PreTokenizer, MetaspaceFirstOnlyAtTheStartOfTheText) {
  constexpr const char* kFirst =
      R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": true})";
  EXPECT_EQ(pieces_of(kFirst, "a  b", true), (Texts{"_a", "_", "_b"}));
  EXPECT_EQ(pieces_of(kFirst, "a b", false), (Texts{"a", "_b"}));
  EXPECT_EQ(pieces_of(kFirst, " a", true), (Texts{"_a"}));
  EXPECT_EQ(pieces_of(R"({"type": "Metaspace", "replacement": "_", "add_prefix_space": true})", "a",
                      false),
            (Texts{"_a"}));
}

TEST(PreTokenizer, ReadersRefuseByName) {
  const auto refused = [](const char* steps) { return refusal(read_pre_tokenizer, steps); };
  expect_part(refused(R"({"type": "BertPreTokenizer"})"), "type 'BertPreTokenizer'");
  expect_part(refused(R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Odd"})"),
              "behavior 'Odd'");
  expect_part(refused(R"({"type": "Split", "pattern": "a", "behavior": "Isolated"})"),
              "'pattern' must be");
  expect_part(refused(R"({"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated"})"),
              "an empty pattern");
  expect_part(refused(R"({"type": "Split", "pattern": {}, "behavior": "Isolated"})"),
              "one of String and Regex");
  expect_part(refused(R"({"type": "Metaspace", "replacement": "ab"})"), "allowed is one character");
  expect_part(refused(R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"})"),
              "prepend_scheme 'last'");
  expect_part(refused(R"({"type": "Metaspace", "replacement": "_", "add_prefix_space": false})"),
              "add_prefix_space is false");
  expect_part(
      refused(
          R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel", "add_prefix_space": false},
                          {"type": "Digits", "individual_digits": true}]})"),
      "behind ByteLevel");
}

TEST(Normalizer, GuardsMoveWithTheText) {
  constexpr const char* kLlama =
      R"({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "_"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "___"}]})";
  const NormalizedText text = normalized(kLlama, "a b c", {{1, 1}, {2, 2}, {4, 4}});
  EXPECT_EQ(text.text, "_a___b___c");
  ASSERT_EQ(text.guards.size(), 3u);
  const size_t expected[] = {2, 5, 9};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(text.guards[i].begin, expected[i]);
    EXPECT_EQ(text.guards[i].end, expected[i]);
  }
  // Inside what one step rewrote, a guard spreads over all of it.
  const NormalizedText composed = normalized(R"({"type": "NFC"})", "xe\xCC\x81z", {{2, 2}, {4, 4}});
  EXPECT_EQ(composed.text, "x\xC3\xA9z");
  EXPECT_EQ(composed.guards[0].begin, 1u);
  EXPECT_EQ(composed.guards[0].end, 3u);
  EXPECT_EQ(composed.guards[1].begin, 3u);
  EXPECT_EQ(composed.guards[1].end, 3u);
}

TEST(Normalizer, RefusesByNameAndBoundsGrowth) {
  expect_part(refusal(read_normalizer, R"({"type": "BertNormalizer"})"), "type 'BertNormalizer'");
  const std::string big =
      fmt::format(R"({{"type": "Prepend", "prepend": "{}"}})", std::string(65, 'x'));
  expect_part(refusal(read_normalizer, big.c_str()), "allowed are 64");
  std::string doubling = R"({"type": "Sequence", "normalizers": [)";
  for (int i = 0; i < 40; ++i)
    doubling += R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"},)";
  doubling.back() = ']';
  doubling += "}";
  EXPECT_THROW(normalized(doubling.c_str(), "aaaa"), Error);
}

TEST(Normalizer, RunsStepsInOrder) {
  EXPECT_EQ(normalized(R"({"type": "Sequence", "normalizers": [{"type": "Strip", "strip_left": true,
      "strip_right": false}, {"type": "Lowercase"}, {"type": "Replace", "pattern": {"Regex": "[0-9]+"},
      "content": "#"}]})",
                       " \xE3\x80\x80\xC4\xB0 A12b ")
                .text,
            "i\xCC\x87 a#b ");
  EXPECT_EQ(normalized(R"({"type": "NFKC"})", "\xEF\xAC\x81\xC2\xBD").text,
            "fi1\xE2\x81\x84"
            "2");
}

TEST(Decoder, ARunOfBytesThatIsNotUtf8IsReplacedThroughout) {
  const Json json =
      json_of(R"({"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})");
  const DecoderSteps how = read_decoder({json, "decoder"});
  EXPECT_EQ(decode_tokens({" ", "a", "<0xC3>", "<0xA9>", " "}, how), "a\xC3\xA9 ");
  EXPECT_EQ(decode_tokens({"<0x41>", "<0xFF>", "b"}, how),
            "\xEF\xBF\xBD\xEF\xBF\xBD"
            "b");
  // A stream cannot tell before the run ends.
  TokenStream stream(how);
  EXPECT_EQ(stream.add("<0x41>"), "");
  EXPECT_EQ(stream.add("<0xFF>"), "");
  EXPECT_EQ(stream.add("b"),
            "\xEF\xBF\xBD\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(stream.add("<0x41>"), "");
  EXPECT_EQ(stream.finish(), "A");
  EXPECT_EQ(stream.add(" a"), "a");  // a new text: its first space is stripped again
}

TEST(Decoder, StreamsOfOddChainsWaitForTheEnd) {
  const Json json = json_of(R"({"type": "Sequence", "decoders": [{"type": "Fuse"},
      {"type": "Replace", "pattern": {"String": "ab"}, "content": "c"}]})");
  const DecoderSteps how = read_decoder({json, "decoder"});
  TokenStream stream(how);
  EXPECT_EQ(stream.add("a"), "");
  EXPECT_EQ(stream.add("b"), "");
  EXPECT_EQ(stream.finish(), "c");
  expect_part(refusal(read_decoder, R"({"type": "CTC"})"), "type 'CTC'");
  expect_part(refusal(read_decoder, R"({"type": "Strip", "content": "", "start": 1, "stop": 0})"),
              "allowed is one character");
}

TEST(TextStream, NeverEndsInsideACharacter) {
  const Tokenizer tokenizer =
      Tokenizer::from_json(byte_tokenizer_json(std::vector<std::string>{"<s>"}), "test");
  TextStream stream(tokenizer, /*skip_special_tokens=*/true);
  EXPECT_EQ(stream.add(0xF0), "");
  EXPECT_EQ(stream.add(0x9F), "");
  EXPECT_EQ(stream.add(256), "");
  EXPECT_EQ(stream.add(0x98), "");
  EXPECT_EQ(stream.add(0x80), "\xF0\x9F\x98\x80");
  EXPECT_EQ(stream.add(0xC3), "");
  EXPECT_EQ(stream.add('a'),
            "\xEF\xBF\xBD"
            "a");
  EXPECT_EQ(stream.add(0xE4), "");
  EXPECT_EQ(stream.add(-5), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.finish(), "");
}

}  // namespace
}  // namespace cohort
