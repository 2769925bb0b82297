// Weights of tokens by a pattern: which tokens a match holds, and what they do to the update.
#include "trainer/token_weights.h"

#include <set>

#include "core/rng.h"
#include "tests/core/expect_error.h"
#include "tests/trainer/tiny_run.h"

namespace cohort {
namespace {

Tokenizer byte_tokenizer() {
  const std::vector<std::string> special = {"<pad>", "<end>"};
  return Tokenizer::from_files(byte_tokenizer_json(special), byte_tokenizer_config_json("<pad>", "<end>", "{{ messages }}"), "bytes");
}

Group group_of(const Tokenizer& tokenizer, const std::vector<std::vector<int32_t>>& completions) {
  Group group;
  for (const std::vector<int32_t>& tokens : completions) {
    group.rollouts.emplace_back().tokens = tokens;
    group.texts.push_back(tokenizer.decode(tokens, /*skip_special_tokens=*/true));
  }
  return group;
}

std::vector<int32_t> bytes(std::string_view text) {
  std::vector<int32_t> tokens;
  for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
  return tokens;
}

// Of one completion, as digits: its weights, 7 for those within a match.
std::string weights_of(const std::string& pattern, const std::vector<int32_t>& tokens, const Tokenizer& tokenizer = byte_tokenizer()) {
  ExecOwner owner(2);
  std::vector<Group> groups = {group_of(tokenizer, {tokens})};
  TokenWeights({.token_weight_pattern = pattern, .token_weight = 7}).set(groups, tokenizer, owner.exec());
  std::string digits;
  for (const float weight : groups[0].token_weights.at(0)) digits += std::to_string(static_cast<int>(weight));
  return digits;
}

TEST(TokenWeights, TokensWithinAMatchHaveTheWeight) {
  EXPECT_EQ(weights_of("b+", bytes("abbcab")), "177117");
  EXPECT_EQ(weights_of("<t>.*?</t>", bytes("<t>a</t>b<t>c</t>")), "77777777177777777");
  EXPECT_EQ(weights_of("a|", bytes("bab")), "171") << "empty matches hold nothing and do not stand still";
  EXPECT_EQ(weights_of("|a", bytes("bab")), "171") << "nor do they hide others";
  EXPECT_EQ(weights_of("(?<=a)b", bytes("abab")), "1717") << "what is before a match is seen";
  EXPECT_EQ(weights_of("^a", bytes("aab")), "711") << "the second one does not begin the text";
  EXPECT_EQ(weights_of("x", bytes("abc")), "111");
  EXPECT_EQ(weights_of(".", {}), "");
}

TEST(TokenWeights, TokensOfOneCharacterBelongTogetherAndSpecialOnesToNothing) {
  EXPECT_EQ(weights_of("\u00e9", bytes("a\u00e9b")), "1771");
  EXPECT_EQ(weights_of("b", bytes("a\u00e9b")), "1117");
  EXPECT_EQ(weights_of("(?s).*", {'a', 256, 'b', 257}), "7171");
  EXPECT_EQ(weights_of("(?s).*", {0xC3, 257}), "71") << "half a character at the end";
  EXPECT_EQ(weights_of("a", {0xC3, 'a', 256, 'a'}), "1717");
  EXPECT_EQ(weights_of("\uFFFD", {0xC3, 'a', 0xE2, 0x82, 0xC3, 0xA9}), "717711");
  EXPECT_EQ(weights_of("\u20ac", bytes("a\u20ac\u00e9")), "177711");
  EXPECT_EQ(weights_of("\u00e9", bytes("a\u20ac\u00e9")), "111177");
}

TEST(TokenWeights, BytesOfTokensAreThoseOfTheText) {
  const Tokenizer tokenizer = byte_tokenizer();
  Random random(3, Stream::kTest);
  for (int round = 0; round < 300; ++round) {
    std::vector<int32_t> tokens;
    for (uint32_t i = random.below(12); i > 0; --i)
      tokens.push_back(static_cast<int32_t>(random.below(2) == 0 ? 0xC0 + random.below(66) : random.below(258)));
    const std::string text = tokenizer.decode(tokens, /*skip_special_tokens=*/true);
    std::set<size_t> covered;
    size_t before = 0;
    for (const TokenBytes& token : bytes_of_tokens(tokens, tokenizer)) {
      ASSERT_LE(before, token.begin);
      ASSERT_LE(token.begin, token.end);
      ASSERT_LE(token.end, text.size());
      before = token.begin;
      for (size_t i = token.begin; i < token.end; ++i) covered.insert(i);
    }
    ASSERT_EQ(covered.size(), text.size()) << text;
  }
}

// A decoder that drops the first space and spells unknown characters in bytes, as those of Llama 2 and Mistral do.
TEST(TokenWeights, ATokenIsReadInItsPlace) {
  const Tokenizer tokenizer = Tokenizer::from_json(R"({"model": {"type": "BPE", "byte_fallback": true, "merges": [],
      "vocab": {"\u2581": 0, "a": 1, "b": 2, "<0xC3>": 3, "<0xA9>": 4, "<0x41>": 5}},
      "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"},
      {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}})", "sentencepiece");
  EXPECT_EQ(weights_of(" ", {1, 0, 0, 2}, tokenizer), "1771");
  EXPECT_EQ(weights_of("a", {0, 1, 0}, tokenizer), "171") << "the first space is no text";
  EXPECT_EQ(weights_of("(?s).+", {0, 1, 0}, tokenizer), "177");
  EXPECT_EQ(weights_of("A", {1, 5, 2}, tokenizer), "171");
  EXPECT_EQ(weights_of("b", {5, 2, 3, 4, 2}, tokenizer), "17117");
  EXPECT_EQ(weights_of("\u00e9", {5, 2, 3, 4, 2}, tokenizer), "11771");
  EXPECT_EQ(weights_of("\uFFFD", {1, 4, 2, 3}, tokenizer), "1717");
}

TEST(TokenWeights, TheShareWithinMatchesIsTold) {
  const Tokenizer tokenizer = byte_tokenizer();
  ExecOwner owner(2);
  std::vector<Group> groups = {group_of(tokenizer, {bytes("ab"), bytes("bb")}), group_of(tokenizer, {bytes("aaaa")})};
  const TokenWeights weights({.token_weight_pattern = "a", .token_weight = 0});
  EXPECT_EQ(weights.set(groups, tokenizer, owner.exec()).within, 5.0 / 8);
  EXPECT_EQ(weights.set(groups, tokenizer, owner.exec()).within, 5.0 / 8) << "again";
  EXPECT_EQ(groups[0].token_weights, (std::vector<std::vector<float>>{{0, 1}, {1, 1}}));
  std::vector<Group> none;
  EXPECT_EQ(weights.set(none, tokenizer, owner.exec()).within, 0);
}

// A pattern that takes for ever takes its steps, and the same ones on every machine.
TEST(TokenWeights, MatchingEnds) {
  const std::string weights = weights_of("b|(a+)+$", bytes("b" + std::string(64, 'a') + "!b"));
  EXPECT_EQ(weights, "7" + std::string(66, '1'));
  const Tokenizer tokenizer = byte_tokenizer();
  ExecOwner owner(1);
  std::vector<Group> groups = {group_of(tokenizer, {bytes(std::string(64, 'a') + "!"), bytes("aa")})};
  EXPECT_EQ(TokenWeights({.token_weight_pattern = "(a+)+$", .token_weight = 2}).set(groups, tokenizer, owner.exec()).unfinished, 0.5);
}

TEST(TokenWeights, APatternThatDoesNotCompileIsNamed) {
  EXPECT_ERROR(TokenWeights({.token_weight_pattern = "(", .token_weight = 2}), kUsage, "algorithm.token_weight_pattern: the pattern ( does not compile");
}

// The update sees the weights: all of 2 is twice the gradient, none is nothing to learn.
TEST(TokenWeights, TheUpdateCountsThem) {
  const auto norm = [](float weight) {
    TinyRun run(DType::f32);
    run.config.algorithm.token_weight_pattern = weight == 1 ? "" : "(?s).+";
    run.config.algorithm.token_weight = weight;
    std::vector<Group> groups = run.sample(1, {{1, 0, 0.25, 0.5}, {0, 1, 1, 0}, {0, 0.5, 1, 0}});
    const Tokenizer tokenizer = byte_tokenizer();  // the tiny model's 80 tokens are bytes to it
    for (Group& group : groups)
      for (const Rollout& rollout : group.rollouts) group.texts.push_back(tokenizer.decode(rollout.tokens));
    if (weight != 1) {
      EXPECT_EQ(TokenWeights(run.config.algorithm).set(groups, tokenizer, run.owner.exec()).within, 1);
    }
    return run.update(groups, 1).get("grad_norm");
  };
  const double once = norm(1);
  EXPECT_GT(once, 0);
  EXPECT_NEAR(norm(2), 2 * once, 1e-5 * once);
  EXPECT_NEAR(norm(0.5f), once / 2, 1e-5 * once);
  EXPECT_EQ(norm(0), 0);
}

}  // namespace
}  // namespace cohort
