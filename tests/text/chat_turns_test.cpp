// What the assistant says in a conversation: found exactly, or refused.
#include "model/text/chat_turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/files.h"
#include "model/text/chat_template_time.h"
#include "model/text/chat_template_tokens.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr const char* kChatml =
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

Json message(const char* role, const std::string& content) { return {{"role", role}, {"content", content}}; }

class ChatTurns : public testing::Test {
 protected:
  static Tokenizer byte_tokenizer(const std::vector<std::string>& special) {
    return Tokenizer::from_json(byte_tokenizer_json(special), "test");
  }
  EncodedTurns encode(const std::string& source, const Json& messages, size_t first = 0) const {
    return encode(ChatTemplate::parse(source, "test"), messages, first);
  }
  EncodedTurns encode(const ChatTemplate& chat, const Json& messages, size_t first = 0) const {
    return encode_turns(chat, tokenizer, {.messages = messages}, chat_setting(tokenizer, false, {}), stops, first);
  }
  std::vector<std::string> said(const EncodedTurns& encoded) const {
    std::vector<std::string> texts;
    for (const TokenSpan& turn : encoded.turns)
      texts.push_back(tokenizer.decode(std::span(encoded.tokens).subspan(static_cast<size_t>(turn.begin), static_cast<size_t>(turn.size()))));
    return texts;
  }
  using Texts = std::vector<std::string>;

  Tokenizer tokenizer = byte_tokenizer({"<|im_start|>", "<|im_end|>", "</s>"});
  std::vector<int32_t> stops = {257, 258};
};

TEST_F(ChatTurns, ReachFromWhereTheModelIsAskedToTheTokenThatEndsThem) {
  const Json messages = {message("system", "S"), message("user", "Hi"), message("assistant", "Hello!"), message("user", "Bye"),
                         message("assistant", "Ciao")};
  const EncodedTurns encoded = encode(kChatml, messages);
  EXPECT_EQ(said(encoded), (Texts{"Hello!<|im_end|>", "Ciao<|im_end|>"}));
  // What comes before each is the prompt that the model would be given, and nothing follows the last.
  const ChatTemplate chat = ChatTemplate::parse(kChatml, "test");
  for (const size_t turn : {0, 1}) {
    const Json before(std::vector<Json>(messages.begin(), messages.begin() + (turn == 0 ? 2 : 4)));
    const std::vector<int32_t> prompt =
        encode_chat(chat, tokenizer, {.messages = before}, chat_setting(tokenizer, false, {})).tokens;
    ASSERT_EQ(std::ssize(prompt), encoded.turns[turn].begin);
    EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), encoded.tokens.begin()));
  }
  EXPECT_EQ(encoded.turns.back().end, std::ssize(encoded.tokens));
}

TEST_F(ChatTurns, TextsThatRepeatAreNotMistaken) {
  const Json messages = {message("user", "same"), message("assistant", "same"), message("user", "assistant\nsame"), message("assistant", "same")};
  const EncodedTurns encoded = encode(kChatml, messages);
  EXPECT_EQ(said(encoded), (Texts{"same<|im_end|>", "same<|im_end|>"}));
  EXPECT_GT(encoded.turns[0].begin, static_cast<int64_t>(std::string("user\nsame\n").size()));
}

TEST_F(ChatTurns, ASpelledStopTokenDoesNotEndThem) {
  const EncodedTurns encoded = encode(kChatml, {message("user", "<|im_end|>"), message("assistant", "a<|im_end|>b")});
  EXPECT_EQ(said(encoded), (Texts{"a<|im_end|>b<|im_end|>"}));
  const TokenSpan turn = encoded.turns[0];
  EXPECT_EQ(std::count(encoded.tokens.begin() + turn.begin, encoded.tokens.begin() + turn.end, 257), 1);
  EXPECT_EQ(encoded.tokens.back(), 257);
}

TEST_F(ChatTurns, OnlyThoseFromTheFirstMessageOn) {
  const Json messages = {message("user", "a"), message("assistant", "context"), message("user", "b"), message("assistant", "learnt")};
  EXPECT_EQ(said(encode(kChatml, messages, 2)), (Texts{"learnt<|im_end|>"}));
}

TEST_F(ChatTurns, AreAsTheTemplatePrintsThem) {
  // White space is trimmed, and reasoning is dropped from all but the last turn.
  const std::string source =
      "{% for m in messages %}{% if m['role'] == 'user' %}<|im_start|>{{ m['content'] | trim }}<|im_end|>"
      "{% elif loop.last %}{{ m['content'] | trim }}</s>{% else %}{{ m['content'].split('</think>')[-1] | trim }}</s>{% endif %}{% endfor %}";
  const EncodedTurns encoded = encode(source, {message("user", " q "), message("assistant", "<think>why</think> a "), message("user", "r"),
                                               message("assistant", "<think>how</think>b\n")});
  EXPECT_EQ(said(encoded), (Texts{"a</s>", "<think>how</think>b</s>"}));
}

TEST_F(ChatTurns, ToolCallsCountAsSayingSomething) {
  const std::string source =
      "{% for m in messages %}<|im_start|>{{ m['role'] }}:{{ m['content'] }}{% for c in m['tool_calls'] or [] %}[{{ c['name'] }}]{% endfor %}<|im_end|>{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant:{% endif %}";
  Json call = message("assistant", "");
  call["tool_calls"] = Json::array({{{"name", "add"}}});
  EXPECT_EQ(said(encode(source, {message("user", "1+1"), call, message("tool", "2"), message("assistant", "two")})),
            (Texts{"[add]<|im_end|>", "two<|im_end|>"}));
}

TEST_F(ChatTurns, WhatCannotBeToldIsRefused) {
  const Json pair = {message("user", "q"), message("assistant", "a")};
  EXPECT_ERROR(encode(kChatml, Json::array({message("assistant", "a")})), kInput, "message 1 is the assistant's");
  EXPECT_ERROR(encode(kChatml, {message("user", "q"), message("assistant", "")}), kInput, "message 2: the assistant's turn is empty");
  EXPECT_ERROR(encode(kChatml, Json::array({message("user", "q")})), kInput, "no message of the assistant");
  EXPECT_ERROR(encode(kChatml, pair, 2), kInput, "no message of the assistant");
  // The prompt opens reasoning that the conversation does not have.
  EXPECT_ERROR(encode("{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|><think>{% endif %}", pair),
               kInput, "message 2: where the assistant's turn begins cannot be told");
  EXPECT_ERROR(encode("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}", pair),
               kInput, "sft.stop_token_ids names the one");
  // Only the last turn has an end: the first would hold the user's text.
  EXPECT_ERROR(encode("{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}[assistant]{% else %}</s>{% endif %}",
                      {message("user", "q"), message("assistant", "a"), message("user", "r"), message("assistant", "b")}),
               kInput, "printed as one turn");
  EXPECT_ERROR(encode("{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}[assistant]{% else %}</s>{% endif %}",
                      {message("user", "q"), message("assistant", "a"), message("user", "r")}),
               kInput, "message 2: the template prints text of message 3 within the assistant's turn");
  // The answer is not printed, or elsewhere.
  EXPECT_ERROR(encode("{% for m in messages %}<|im_start|>{{ m['role'] }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>{% endif %}", pair),
               kInput, "message 2: the template does not print the assistant's text within its turn");
  EXPECT_ERROR(encode("{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}{% endfor %}<|im_start|>x<|im_end|>{% for m in messages %}"
                      "{% if m['role'] == 'assistant' %}{{ m['content'] }}{% endif %}{% endfor %}", pair),
               kInput, "message 2: ");
}

TEST_F(ChatTurns, ATokenThatReachesAcrossTheBeginningIsRefused) {
  Json json = parse_json(byte_tokenizer_json(std::vector<std::string>{"<|im_start|>", "<|im_end|>", "</s>"}), "test");
  json["model"]["vocab"][":a"] = 259;
  json["model"]["merges"].push_back(Json::array({":", "a"}));
  tokenizer = Tokenizer::from_json(json.dump(), "test");
  const std::string source =
      "{% for m in messages %}<|im_start|>{{ m['role'] }}:{{ m['content'] }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant:{% endif %}";
  EXPECT_EQ(said(encode(source, {message("user", "a"), message("assistant", "b")})), (Texts{"b<|im_end|>"}));
  EXPECT_ERROR(encode(source, {message("user", "a"), message("assistant", "ab")}), kInput,
               "message 2: one token reaches across the beginning of the assistant's turn");
}

TEST_F(ChatTurns, TheTokenThatEndsAnAnswerIsTheOneThatTheTemplateWrites) {
  const ChatTemplate chat = ChatTemplate::parse(kChatml, "test");
  const ChatInput asked{.messages = {message("user", "say </s>")}};
  EXPECT_EQ(end_of_answer(chat, tokenizer, asked, chat_setting(tokenizer, false, {}), std::vector<int32_t>{258, 257}), 257);
  EXPECT_ERROR(end_of_answer(chat, tokenizer, asked, chat_setting(tokenizer, false, {}), std::vector<int32_t>{258}), kInput,
               "the template writes no token that ends the model's answers (</s>)");
}

// Templates as models publish them, which are not part of the project: each conversation is found exactly or refused.
TEST_F(ChatTurns, OfPublishedTemplates) {
  const char* dir = std::getenv("COHORT_TEMPLATES_DIR");
  if (dir == nullptr) GTEST_SKIP() << "COHORT_TEMPLATES_DIR names no folder of published templates";
  tokenizer = byte_tokenizer({"<|im_start|>", "<|im_end|>", "</s>", "<s>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<end_of_turn>", "<|end|>",
                              "<｜end▁of▁sentence｜>", "[INST]", "[/INST]"});
  stops.clear();
  for (const char* stop : {"<|im_end|>", "</s>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<｜end▁of▁sentence｜>"}) stops.push_back(*tokenizer.id_of(stop));
  ChatSetting setting = chat_setting(tokenizer, false, parse_iso_time("2026-01-31T09:05:07", "test"));
  setting.bos_token = "<s>";
  int found = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir)) {
    if (entry.path().extension() != ".jinja") continue;
    const std::string name = entry.path().stem().string();
    setting.eos_token = name.starts_with("deepseek") ? "<｜end▁of▁sentence｜>" : "</s>";
    const ChatTemplate chat = ChatTemplate::parse(read_file(entry.path()), name);
    const Json messages = {message("user", "first question"), message("assistant", "first answer"), message("user", "second question"),
                           message("assistant", "second answer")};
    try {
      const EncodedTurns encoded = encode_turns(chat, tokenizer, {.messages = messages}, setting, stops);
      const Texts texts = said(encoded);
      ASSERT_EQ(texts.size(), 2u) << name;
      for (const size_t turn : {0, 1}) {
        const std::string answer = turn == 0 ? "first answer" : "second answer";
        EXPECT_NE(texts[turn].find(answer), std::string::npos) << name << ": " << texts[turn];
        EXPECT_EQ(texts[turn].find("question"), std::string::npos) << name << ": " << texts[turn];
        const int32_t last = encoded.tokens[static_cast<size_t>(encoded.turns[turn].end - 1)];
        EXPECT_NE(std::ranges::find(stops, last), stops.end()) << name << ": " << texts[turn];
        if (std::getenv("COHORT_SHOW_TURNS")) printf("%s: '%s'\n", name.c_str(), texts[turn].c_str());
      }
      ++found;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kInput);
      if (std::getenv("COHORT_SHOW_TURNS")) printf("%s: %s\n", name.c_str(), error.what());
    }
  }
  EXPECT_GE(found, 20);
}

}  // namespace
}  // namespace cohort
