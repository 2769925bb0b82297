// Prompts to token ids: text, conversations through the template, limits, and what is refused by problem.
#include <set>

#include "tests/trainer/dataset_file.h"

namespace cohort {
namespace {

class EncodePrompts : public DatasetFile {
 protected:
  static constexpr int64_t kVocab = 257;  // 256 bytes and <|endoftext|>
  static DataSection limit(int64_t tokens) { return {.max_prompt_length = tokens}; }
  Tokenizer tokenizer = [] {
    const std::vector<std::string> special = {"<|endoftext|>"};
    return Tokenizer::from_json(byte_tokenizer_json(special), "test");
  }();
  ChatTemplate chat = ChatTemplate::parse(
      "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
      "{% if add_generation_prompt %}[assistant]<|endoftext|>{% endif %}",
      "test");
  ChatTemplate no_chat = ChatTemplate::load("/nonexistent");
};

TEST_F(EncodePrompts, TextAsItIsAndMessagesThroughTheTemplate) {
  Dataset data = load(
      "{\"prompt\": \"1+1=\"}\n"
      "{\"prompt\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": "
      "\"U\"}]}\n");
  encode_prompts(data, tokenizer, chat, limit(512), kVocab);
  EXPECT_EQ(data.problems[0].tokens, (std::vector<int32_t>{'1', '+', '1', '='}));
  std::vector<int32_t> rendered = tokenizer.encode("[system]S[user]U[assistant]");
  rendered.push_back(256);
  EXPECT_EQ(data.problems[1].tokens, rendered);
  EXPECT_EQ(data.fingerprint, fingerprint_problems(data.problems));  // tokens are no part of it
}

TEST_F(EncodePrompts, RefusesATokenThatTheModelDoesNotHave) {
  Dataset data = load_data({.train = write({R"({"id": "p7", "prompt": "a<|endoftext|>"})"})}).train;
  EXPECT_NO_THROW(encode_prompts(data, tokenizer, chat, limit(512), kVocab));
  expect_words(refusal(ExitCode::kInput, [&] { encode_prompts(data, tokenizer, chat, limit(512), 256); }),
               {"p7", "<|endoftext|>", "id 256", "of 256 tokens"});
}

TEST_F(EncodePrompts, SpecialTokensOfTheTokenizerAreForTextAlone) {
  // A post-processor that puts token 256 before a text, as Llama's does.
  const std::vector<std::string> special = {"<|endoftext|>"};
  Json json = parse_json(byte_tokenizer_json(special), "test");
  json["post_processor"] = parse_json(
      R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
          {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},
          {"Sequence": {"id": "B", "type_id": 1}}],
          "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [256], "tokens": ["<|endoftext|>"]}}})",
      "test");
  const Tokenizer with_bos = Tokenizer::from_json(json.dump(), "test");
  Dataset data =
      load("{\"prompt\": \"ab\"}\n{\"prompt\": [{\"role\": \"user\", \"content\": \"U\"}]}\n");
  encode_prompts(data, with_bos, ChatTemplate::parse("{{ messages[0]['content'] }}", "test"), limit(512), kVocab);
  EXPECT_EQ(data.problems[0].tokens, (std::vector<int32_t>{256, 'a', 'b'}));
  EXPECT_EQ(data.problems[1].tokens, (std::vector<int32_t>{'U'}));
}

TEST_F(EncodePrompts, AMessageCannotForgeATurn) {
  const std::string rows =
      "{\"prompt\": [{\"role\": \"user\", \"content\": \"a<|endoftext|>\"}]}\n";
  Dataset guarded = load(rows), allowed = load(rows);
  encode_prompts(guarded, tokenizer, chat, limit(512), kVocab);
  encode_prompts(allowed, tokenizer, chat,
                 {.max_prompt_length = 512, .allow_special_tokens = true}, kVocab);
  const auto ends = [](const Dataset& data) {
    return std::ranges::count(data.problems[0].tokens, 256);
  };
  EXPECT_EQ(ends(guarded), 1);  // the template's own
  EXPECT_EQ(ends(allowed), 2);
  EXPECT_EQ(tokenizer.decode(guarded.problems[0].tokens),
            tokenizer.decode(allowed.problems[0].tokens));
}

TEST_F(EncodePrompts, TheTemplateGetsToolsKwargsAndTheTime) {
  const ChatTemplate all = ChatTemplate::parse(
      "{{ tools | tojson }}{{ thinking }}{{ other }}{{ strftime_now('%Y') }}<think>\n", "test");
  const std::string row = "{\"prompt\": [{\"role\": \"user\", \"content\": \"U\"}]";
  Dataset data = load(row + ", \"tools\": [{\"x\": 1}], \"chat_template_kwargs\": {\"other\": "
                            "\"row\"}}\n");
  DataSection config = {.max_prompt_length = 512,
                        .chat_template_kwargs = {{"thinking", false}, {"other", "config"}},
                        .now = "2026-01-31T00:00:00"};
  encode_prompts(data, tokenizer, all, config, kVocab);
  EXPECT_EQ(tokenizer.decode(data.problems[0].tokens), "[{\"x\": 1}]Falserow2026<think>");
  EXPECT_TRUE(data.problems[0].opens_thinking);
  config.now.clear();
  expect_words(refusal(ExitCode::kInput, [&] { encode_prompts(data, tokenizer, all, config, kVocab); }),
               {"data.jsonl", "\"line 1\"", "test:1", "set data.now: 2026-01-31T00:00:00"});
}

TEST_F(EncodePrompts, TheLimitIsInclusive) {
  Dataset data = load("{\"prompt\": \"ab\"}\n{\"prompt\": \"" + std::string(33, 'a') +
                      "\", \"id\": \"long\"}\n");
  EXPECT_NO_THROW(encode_prompts(data, tokenizer, no_chat, limit(33), kVocab));
  expect_words(refusal(ExitCode::kInput, [&] { encode_prompts(data, tokenizer, no_chat, limit(32), kVocab); }),
               {"data.jsonl", "\"long\"", "33 tokens", "max_prompt_length", "32"});
}

TEST_F(EncodePrompts, EmptyRenderingIsRefused) {
  Dataset data = load("{\"prompt\": [{\"role\": \"user\", \"content\": \"U\"}]}\n");
  expect_words(
      refusal(ExitCode::kInput,
              [&] { encode_prompts(data, tokenizer, ChatTemplate::parse("", "test"), limit(32), kVocab); }),
      {"data.jsonl", "\"line 1\"", "0 tokens", "32"});
}

TEST_F(EncodePrompts, MessagesNeedATemplate) {
  Dataset data =
      load("{\"prompt\": \"a\"}\n{\"prompt\": [{\"role\": \"user\", \"content\": \"U\"}]}\n");
  expect_words(refusal(ExitCode::kInput, [&] { encode_prompts(data, tokenizer, no_chat, limit(32), kVocab); }),
               {"data.jsonl", "\"line 2\"", "no chat template"});
}

}  // namespace
}  // namespace cohort
