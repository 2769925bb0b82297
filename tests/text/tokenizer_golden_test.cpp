// The tokenizer against the `tokenizers` package: files written by
// scripts/goldens/make_tokenizer_goldens.py.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "core/files.h"
#include "core/text.h"
#include "model/text/tokenizer.h"
#include "tests/text/golden_lines.h"

namespace cohort {
namespace {

const std::filesystem::path kGoldens = std::filesystem::path(GOLDEN_DIR) / "text";

void expect_same_ids(const Tokenizer& tokenizer, const std::string& name) {
  const std::vector<Json> texts = read_lines(kGoldens / "texts.jsonl");
  const std::vector<Json> ids = read_lines(kGoldens / (name + "_ids.jsonl"));
  ASSERT_EQ(texts.size(), ids.size());
  ASSERT_GE(texts.size(), 1000u);
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string text = texts[i]["text"];
    EXPECT_EQ(tokenizer.encode(text), ids[i].get<std::vector<int32_t>>())
        << "line " << i + 1 << ": " << texts[i];
  }
}

// What the stream of parts gives.
std::string streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip) {
  TextStream stream(tokenizer, skip);
  std::string text;
  for (int32_t id : ids) {
    const std::string part = stream.add(id);
    EXPECT_TRUE(is_utf8(part));
    text += part;
  }
  return text + stream.finish();
}

void expect_same_text(const Tokenizer& tokenizer, const std::string& name) {
  for (const Json& line : read_lines(kGoldens / (name + "_decode.jsonl"))) {
    const auto ids = line["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.decode(ids), line["text"].get<std::string>()) << line;
    EXPECT_EQ(tokenizer.decode(ids, true), line["plain"].get<std::string>()) << line;
    EXPECT_EQ(streamed(tokenizer, ids, false), line["text"].get<std::string>()) << line;
    EXPECT_EQ(streamed(tokenizer, ids, true), line["plain"].get<std::string>()) << line;
  }
}

Tokenizer tokenizer_of(const std::string& kind) {
  const std::filesystem::path path = kGoldens / (kind + "_tokenizer.json");
  return Tokenizer::from_json(read_file(path), path.string());
}

Tokenizer small_tokenizer() {
  const std::filesystem::path path = kGoldens / "small_tokenizer.json";
  return Tokenizer::from_json(read_file(path), path.string());
}

// The folder with SmolLM2's tokenizer.json, or "".
std::filesystem::path smollm2_dir() {
  const char* dir = std::getenv("COHORT_SMOLLM2");
  return dir ? dir : "";
}

TEST(TokenizerGolden, SmallVocabularyEncodesAsThePackageDoes) {
  expect_same_ids(small_tokenizer(), "small");
}
TEST(TokenizerGolden, SmallVocabularyDecodesAsThePackageDoes) {
  expect_same_text(small_tokenizer(), "small");
}

class TokenizerKind : public testing::TestWithParam<std::string> {};

TEST_P(TokenizerKind, EncodesAndDecodesAsThePackageDoes) {
  const Tokenizer tokenizer = tokenizer_of(GetParam());
  expect_same_ids(tokenizer, GetParam());
  expect_same_text(tokenizer, GetParam());
}
INSTANTIATE_TEST_SUITE_P(Goldens, TokenizerKind,
                         testing::Values("gpt2", "llama3", "qwen2", "deepseek", "deepseek_coder",
                                         "o200k", "possessive", "tekken", "llama2",
                                         "llama2_normalized", "mistral", "gemma", "metaspace",
                                         "few_bytes", "plain", "mixed"),
                         [](const auto& info) { return info.param; });

TEST(TokenizerGolden, SmolLM2EncodesAndDecodesAsThePackageDoes) {
  if (smollm2_dir().empty()) GTEST_SKIP() << "COHORT_SMOLLM2 names no model folder";
  const Tokenizer tokenizer = Tokenizer::load(smollm2_dir());
  EXPECT_EQ(tokenizer.vocab_size(), 49152);
  expect_same_ids(tokenizer, "smollm2");
  expect_same_text(tokenizer, "smollm2");
}

}  // namespace
}  // namespace cohort
