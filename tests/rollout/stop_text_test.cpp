// A stop string ends a completion at the token that completes it, wherever tokens and characters are cut.
#include "rollout/stop_text.h"

#include <gtest/gtest.h>

#include "core/rng.h"
#include "rollout/generator.h"
#include "tests/core/expect_error.h"
#include "tests/rollout/tiny_text.h"

namespace cohort {
namespace {

// At which token (counted from 1) the text first holds one of `stop`; 0: never.
size_t ends_at(const Tokenizer& tokenizer, const std::vector<std::string>& stop, const std::vector<std::string>& tokens) {
  StopText text(tokenizer, stop);
  size_t at = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto id = tokenizer.id_of(tokens[i]);
    EXPECT_TRUE(id.has_value()) << tokens[i];
    if (text.add(id.value_or(0)) && at == 0) at = i + 1;
  }
  return at;
}

std::string spelled(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += spell_byte(static_cast<unsigned char>(byte));
  return text;
}

TEST(StopText, EndsInsideAToken) {
  const Tokenizer tokenizer = tiny_tokenizer();
  EXPECT_EQ(ends_at(tokenizer, {"b"}, {"x", "abc", "x"}), 2u);
  EXPECT_EQ(ends_at(tokenizer, {"xab"}, {"x", "abc"}), 2u) << "begins in one and ends in the next";
  EXPECT_EQ(ends_at(tokenizer, {"end."}, {"e", "n", "d", "a", "en", "d", "."}), 7u);
  EXPECT_EQ(ends_at(tokenizer, {"nothing", "a"}, {"x", "y", "a"}), 3u);
  EXPECT_EQ(ends_at(tokenizer, {"end"}, {"en", "x", "d"}), 0u);
  EXPECT_EQ(ends_at(tokenizer, {"\n\n"}, {spelled("\n"), spelled("\n")}), 2u);
}

TEST(StopText, ComesWithTheLastByteOfItsLastCharacter) {
  const Tokenizer tokenizer = tiny_tokenizer();
  const std::string c3 = spelled("\xC3"), a9 = spelled("\xA9");
  EXPECT_EQ(ends_at(tokenizer, {"é"}, {"a", c3, a9, "b"}), 3u);
  EXPECT_EQ(ends_at(tokenizer, {"bé"}, {"a", spelled("b\xC3"), spelled("\xA9" "c")}), 3u);
  EXPECT_EQ(ends_at(tokenizer, {"é"}, {c3, "a", a9}), 0u) << "two broken characters";
  EXPECT_EQ(ends_at(tokenizer, {"b"}, {"a", spelled("b\xC3"), a9}), 2u) << "a whole character before an open one";
  EXPECT_EQ(ends_at(tokenizer, {"😀"}, {spelled("\xF0"), spelled("\x9F"), spelled("\x98"), spelled("\x80")}), 4u);
}

TEST(StopText, SpecialTokensAreNoText) {
  const Tokenizer tokenizer = tiny_tokenizer();
  EXPECT_EQ(ends_at(tokenizer, {"<stop>", "pad"}, {"<pad>", "<stop>"}), 0u);
  EXPECT_EQ(ends_at(tokenizer, {"xa"}, {"x", "<pad>", "a"}), 3u) << "the text around it joins, as in what rewards see";
}

TEST(StopText, ARunOfByteTokensIsLookedAtBeforeItEnds) {
  // As SentencePiece spells characters that it has no token for: <0x0A> is a line break.
  Json json = parse_json(byte_tokenizer_json({}), "test");
  Json vocabulary = Json::object();
  for (const char* token : {"<0x0A>", "<0xC3>", "<0xA9>", "a", "b", "\u2581"}) vocabulary[token] = vocabulary.size();
  json["model"]["vocab"] = vocabulary;
  json["pre_tokenizer"] = nullptr;
  json["decoder"] = {{"type", "Sequence"},
                     {"decoders",
                      {{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
                       {{"type", "ByteFallback"}},
                       {{"type", "Fuse"}},
                       {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}};
  const Tokenizer tokenizer = Tokenizer::from_json(json.dump(), "test");
  EXPECT_EQ(ends_at(tokenizer, {"\n"}, {"a", "<0x0A>", "b"}), 2u);
  EXPECT_EQ(ends_at(tokenizer, {"\n\n"}, {"a", "<0x0A>", "<0x0A>", "<0x0A>"}), 3u);
  EXPECT_EQ(ends_at(tokenizer, {"a\né"}, {"a", "<0x0A>", "<0xC3>", "<0xA9>", "b"}), 4u);
  EXPECT_EQ(ends_at(tokenizer, {"\n"}, {"<0xC3>", "<0x0A>", "b"}), 0u) << "a broken run is U+FFFD altogether";
  EXPECT_EQ(ends_at(tokenizer, {" a"}, {"\u2581", "a"}), 0u) << "the first space is stripped";
}

// The slow twin: the whole text of each prefix.
TEST(StopText, AgreesWithTheWholeTextOfEachPrefix) {
  constexpr uint64_t kSeed = 77120;
  SCOPED_TRACE(kSeed);
  Random random(kSeed, Stream::kTest);
  const Tokenizer tokenizer = tiny_tokenizer();
  const std::vector<std::string> all = {"a", "ab", "é", "€b", "end.", "\n\n", "cd", " a", "😀", "zzz", "bc\n", "xab"};
  int found = 0;
  for (int round = 0; round < 400; ++round) {
    std::vector<std::string> stop;
    for (int64_t i = random.between(1, 3); i > 0; --i) stop.push_back(all[random.below(all.size())]);
    StopText text(tokenizer, stop);
    std::vector<int32_t> ids;
    for (int step = 0; step < 60; ++step) {
      ids.push_back(static_cast<int32_t>(random.below(random.below(3) == 0 ? 14 : 60)));
      const std::string whole = tokenizer.decode(ids, true);
      const bool expected = std::ranges::any_of(stop, [&](const auto& s) { return whole.find(s) != std::string::npos; });
      const bool ends = text.add(ids.back());
      ASSERT_EQ(ends, expected) << "round " << round << ", token " << step << ": " << whole;
      if (!ends) continue;
      ++found;
      break;
    }
  }
  EXPECT_GT(found, 200);
}

struct Fixture {
  Fixture() : owner(1), policy(tiny_policy(DType::bf16, 9, owner.exec())), tokenizer(tiny_tokenizer()) {
    c.max_completion_length = 40;
    c.stop_token_ids = {1};
    c.tokenizer = &tokenizer;
    for (uint32_t s = 0; s < 12; ++s) requests.push_back({prompt, 0, s});
  }
  std::vector<Rollout> generate() { return Generator(*policy, c, 8).generate(requests, 0, owner.exec()); }
  ExecOwner owner;
  std::unique_ptr<Policy> policy;
  Tokenizer tokenizer;
  GeneratorConfig c;
  std::vector<int32_t> prompt = {9, 30, 12};
  std::vector<GenerateRequest> requests;
};

TEST(StopText, ACompletionIsTheOneWithoutItCutBehindTheToken) {
  Fixture f;
  const std::vector<Rollout> whole = f.generate();
  f.c.stop = {"b", "ne", "é"};
  int stopped = 0;
  const std::vector<Rollout> got = f.generate();
  for (size_t i = 0; i < whole.size(); ++i) {
    const Rollout& r = got[i];
    const size_t count = r.tokens.size();
    ASSERT_LE(count, whole[i].tokens.size());
    EXPECT_TRUE(std::equal(r.tokens.begin(), r.tokens.end(), whole[i].tokens.begin()));
    EXPECT_TRUE(std::equal(r.logprobs.begin(), r.logprobs.end(), whole[i].logprobs.begin()));
    EXPECT_EQ(r.logprobs.size(), count);
    const auto holds_one = [&](size_t tokens) {
      const std::string text = f.tokenizer.decode(std::span(r.tokens).first(tokens), true);
      return std::ranges::any_of(f.c.stop, [&](const auto& s) { return text.find(s) != std::string::npos; });
    };
    EXPECT_FALSE(holds_one(count - 1));
    if (!holds_one(count)) continue;
    ++stopped;
    EXPECT_EQ(r.finish_reason, FinishReason::stop);
  }
  EXPECT_GT(stopped, 5);
}

TEST(StopText, DoesNotCountBeforeTheMinimum) {
  Fixture f;
  f.c.stop = {"b"};
  size_t shortest = 100;
  for (const Rollout& r : f.generate()) shortest = std::min(shortest, r.tokens.size());
  ASSERT_LT(shortest, 9u) << "the case should need the minimum";
  f.c.min_completion_length = 9;
  for (const Rollout& r : f.generate()) {
    EXPECT_GE(r.tokens.size(), 10u);
    if (r.finish_reason != FinishReason::stop || r.tokens.back() == 1) continue;
    const std::string before = f.tokenizer.decode(std::span(r.tokens).first(r.tokens.size() - 1), true);
    EXPECT_NE(f.tokenizer.decode(r.tokens, true).find('b', before.size()), std::string::npos)
        << "ended by one that came after the minimum";
  }
}

TEST(StopText, NeedsATokenizerAndTexts) {
  Fixture f;
  EXPECT_ERROR(StopText(f.tokenizer, std::vector<std::string>{""}), kInternal, "an empty stop string");
  f.c.stop = {"b"};
  f.c.tokenizer = nullptr;
  EXPECT_ERROR(f.generate(), kInternal, "stop strings without a tokenizer");
}

}  // namespace
}  // namespace cohort
