// Rows of data files to examples: which tokens are learnt, what is left out, and what is refused by row.
#include "trainer/sft_data.h"

#include <algorithm>

#include "tests/trainer/dataset_file.h"

namespace cohort {
namespace {

constexpr const char* kTemplate =
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

class SftDataFile : public DatasetFile {
 protected:
  SftDataFile() {
    ModelInitConfig init{.hidden_size = 32, .intermediate_size = 48, .num_layers = 1, .num_heads = 2, .num_kv_heads = 1, .max_positions = 128};
    write_initial_model(initial_model_files(init, "float32"), folder / "model");
    set_tokenizer(byte_tokenizer_json(kSpecial), kTemplate);
    config.sft.emplace();
    config.sft->max_length = 128;
  }
  void set_tokenizer(const std::string& json, const std::string& chat_template) {
    write(json, "model/tokenizer.json");
    write(byte_tokenizer_config_json("", "<|endoftext|>", chat_template), "model/tokenizer_config.json");
    model.emplace(init_model(folder / "model", "float32", 1, 1, owner.exec()));
  }
  ExampleSet encode(const std::string& text) {
    const fs::path file = write(text);
    return encode_examples(file.string(), load_example_rows(file), *model, config, owner.exec());
  }
  std::string text_of(const Example& example) const { return model->tokenizer.decode(example.tokens); }
  std::vector<std::string> learnt(const Example& example) const {
    std::vector<std::string> texts;
    for (const TokenSpan& span : example.learnt)
      texts.push_back(model->tokenizer.decode(std::span(example.tokens).subspan(static_cast<size_t>(span.begin), static_cast<size_t>(span.size()))));
    return texts;
  }
  void expect_refusal(const std::string& row, const std::vector<std::string>& words) {
    const std::string message = refusal(ExitCode::kInput, [&] { encode(row); });
    expect_words(message, words);
    expect_words(message, {"data.jsonl"});
  }
  using Texts = std::vector<std::string>;

  inline static const std::vector<std::string> kSpecial = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  ExecOwner owner{2};
  Config config;
  std::optional<LoadedModel> model;
};

TEST_F(SftDataFile, ATextIsLearntBehindATextWithTheTokenThatEndsIt) {
  const ExampleSet set = encode("{\"id\": 7, \"prompt\": \"2+2=\", \"completion\": \"4\", \"more\": [1]}\r\n\n{\"prompt\": \"a\", \"completion\": \"b<|endoftext|>\"}\n");
  ASSERT_EQ(set.examples.size(), 2u);
  EXPECT_EQ(set.examples[0].id, "7");
  EXPECT_EQ(text_of(set.examples[0]), "2+2=4<|endoftext|>");
  EXPECT_EQ(learnt(set.examples[0]), (Texts{"4<|endoftext|>"}));
  EXPECT_EQ(set.examples[0].targets(), 2);
  EXPECT_EQ(text_of(set.examples[1]), "ab<|endoftext|>") << "it is there already";
  EXPECT_EQ(set.examples[1].id, "line 3");
}

TEST_F(SftDataFile, ConversationsAreLearntWhereTheAssistantSpeaks) {
  config.sft->stop_token_ids = {258};  // <|im_end|>
  const ExampleSet set = encode(
      R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]})" "\n"
      R"({"prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}], "completion": [{"role": "assistant", "content": "b"}]})" "\n"
      R"({"prompt": [{"role": "user", "content": "q"}], "completion": "a<|im_end|>b"})" "\n");
  EXPECT_EQ(learnt(set.examples[0]), (Texts{"a<|im_end|>", "b<|im_end|>"}));
  EXPECT_EQ(learnt(set.examples[1]), (Texts{"b<|im_end|>"}));
  EXPECT_EQ(set.examples[1].tokens, set.examples[0].tokens);
  // A text that answers messages: what it spells is text, and the template's own token ends it.
  EXPECT_EQ(learnt(set.examples[2]), (Texts{"a<|im_end|>b<|im_end|>"}));
  EXPECT_EQ(std::ranges::count(set.examples[2].tokens, 258), 2) << "of the question, and the last";
  EXPECT_TRUE(text_of(set.examples[2]).starts_with("<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na"));
  // Data or row may give the template more.
  set_tokenizer(byte_tokenizer_json(kSpecial), std::string("{{ mood }}") + kTemplate);
  config.data.chat_template_kwargs = {{"mood", "calm"}};
  EXPECT_TRUE(text_of(encode(R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})").examples[0]).starts_with("calm<|im"));
  EXPECT_TRUE(text_of(encode(R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "chat_template_kwargs": {"mood": "odd"}})").examples[0])
                  .starts_with("odd<|im"));
}

TEST_F(SftDataFile, ATokenizerThatPutsASpaceBeforeATextDoesNotPutOneBetween) {
  Json json = parse_json(byte_tokenizer_json(kSpecial), "test");
  json["pre_tokenizer"]["add_prefix_space"] = true;
  set_tokenizer(json.dump(), kTemplate);
  const ExampleSet set = encode(R"({"prompt": "2+2=", "completion": "4"})");
  EXPECT_EQ(learnt(set.examples[0]), (Texts{"4<|endoftext|>"}));
  EXPECT_EQ(set.examples[0].learnt[0].begin, 5) << "a space before the prompt alone";
}

TEST_F(SftDataFile, LongRowsAreAnErrorOrCounted) {
  config.sft->max_length = 8;
  const std::string rows = "{\"id\": \"short\", \"prompt\": \"1+1=\", \"completion\": \"2\"}\n{\"id\": \"long\", \"prompt\": \"1234+1=\", \"completion\": \"1235\"}\n";
  expect_refusal(rows, {"row \"long\": it has 12 tokens; sft.max_length allows 8", "sft.filter_overlong"});
  config.sft->filter_overlong = true;
  const ExampleSet set = encode(rows);
  EXPECT_EQ(set.filtered, 1);
  ASSERT_EQ(set.examples.size(), 1u);
  EXPECT_EQ(set.examples[0].id, "short");
  config.sft->max_length = 5;
  expect_refusal(rows, {"all 2 rows are longer than sft.max_length 5"});
  config.sft->max_length = 6;
  EXPECT_EQ(encode(rows).examples.size(), 1u) << "exactly as long as allowed";
  config.sft->max_length = 129;
  expect_words(refusal(ExitCode::kUsage, [&] { encode(rows); }), {"sft.max_length: found 129; the model has 128 positions"});
}

TEST_F(SftDataFile, TheFingerprintIsOfWhatIsLearnt) {
  const ExampleSet a = encode(R"({"id": "x", "prompt": "ab", "completion": "c"})"), same = encode(R"({"completion": "c", "prompt": "ab", "id": "x"})"),
                   shifted = encode(R"({"id": "x", "prompt": "a", "completion": "bc"})"), other = encode(R"({"id": "x", "prompt": "ab", "completion": "d"})");
  EXPECT_EQ(a.fingerprint, same.fingerprint);
  EXPECT_NE(a.fingerprint, shifted.fingerprint);
  EXPECT_NE(a.fingerprint, other.fingerprint);
}

TEST_F(SftDataFile, SeveralAnswersMayBeToOneProblem) {
  const ExampleSet set = encode("{\"id\": 1, \"prompt\": \"a\", \"completion\": \"b\"}\n{\"id\": 1, \"prompt\": \"a\", \"completion\": \"c\"}\n");
  ASSERT_EQ(set.examples.size(), 2u);
  EXPECT_EQ(set.examples[0].id, set.examples[1].id);
}

TEST_F(SftDataFile, TasksHaveSolutionsToLearn) {
  config.data.task = TaskConfig{.name = "reverse", .seed = 1, .train_size = 3, .eval_size = 2};
  const SftData data = load_sft_data(config, *model, owner.exec());
  ASSERT_EQ(data.train.examples.size(), 3u);
  ASSERT_EQ(data.eval.examples.size(), 2u);
  std::string word = data.train.examples[0].id;
  EXPECT_EQ(text_of(data.train.examples[0]), "reverse " + word + "=" + std::string(word.rbegin(), word.rend()) + "<|endoftext|>");
  config.data.task->chat = true;
  config.sft->stop_token_ids = {258};
  EXPECT_TRUE(learnt(load_sft_data(config, *model, owner.exec()).train.examples[0])[0].ends_with("<|im_end|>"));
}

TEST_F(SftDataFile, RowsAreRefusedByLine) {
  expect_refusal("[1]", {":1: a row is an object with 'prompt' and 'completion', or 'messages'"});
  expect_refusal("", {"the data set is empty"});
  expect_refusal(R"({"text": "a"})", {":1: the row has neither 'prompt' and 'completion' nor 'messages'"});
  expect_refusal(R"({"prompt": "a", "messages": []})", {":1: the row has both"});
  expect_refusal(R"({"prompt": "a"})", {":1: the row has no 'completion'"});
  expect_refusal(R"({"completion": "a"})", {":1: the row has no 'prompt'"});
  expect_refusal(R"({"prompt": "a", "completion": ""})", {":1: 'completion' is empty"});
  expect_refusal(R"({"prompt": "", "completion": "a"})", {":1: 'prompt' is empty"});
  expect_refusal(R"({"prompt": 1, "completion": "a"})", {":1: 'prompt' is a text or a list of messages, found number"});
  expect_refusal(R"({"prompt": "a", "completion": "b\u0000"})", {":1: 'completion' has a NUL"});
  expect_refusal(R"({"prompt": "a", "completion": [{"role": "assistant", "content": "b"}]})", {"'completion' is a list of messages, but 'prompt' is a text"});
  expect_refusal(R"({"prompt": [], "completion": "b"})", {":1: 'prompt' is an empty list"});
  expect_refusal(R"({"prompt": [{"role": "assistant", "content": "b"}], "completion": "b"})", {":1: the last message of 'prompt' is the assistant's"});
  expect_refusal(R"({"prompt": [{"role": "user", "content": "b"}], "completion": [{"role": "user", "content": "b"}]})",
                 {":1: 'completion' begins and ends with a message of the assistant, found 'user' and 'user'"});
  expect_refusal(R"({"messages": "a"})", {":1: 'messages' is a list of messages, found string"});
  expect_refusal(R"({"messages": [{"role": "user", "content": "a"}]})", {":1: 'messages' has no message of the assistant"});
  expect_refusal(R"({"messages": [{"role": "user"}]})", {":1: 'messages': message 1: 'content' is missing"});
  expect_refusal(R"({"messages": [{"role": "user", "content": "\u0000"}, {"role": "assistant", "content": "b"}]})", {":1: 'messages': message 1: a text has a NUL"});
  expect_refusal(R"({"prompt": [{"role": "user", "content": "b"}], "completion": "b", "tools": [1]})", {":1: 'tools' is a list of objects"});
  expect_refusal(R"({"prompt": [{"role": "user", "content": "b"}], "completion": "b", "chat_template_kwargs": {"messages": 1}})", {":1: 'chat_template_kwargs'"});
}

TEST_F(SftDataFile, AndByRowWhereTheModelIsAsked) {
  const std::string conversation = R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})";
  expect_refusal(conversation, {"row \"line 1\": message 2: no token that ends the model's answers (<|endoftext|>)", "sft.stop_token_ids"});
  expect_refusal(R"({"prompt": [{"role": "user", "content": "q"}], "completion": "a"})", {"row \"line 1\": the template writes no token that ends"});
  config.sft->stop_token_ids = {258};
  expect_refusal(R"({"id": "e", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": ""}]})", {"row \"e\": message 2: the assistant's turn is empty"});
  expect_refusal(R"({"id": "e", "messages": [{"role": "assistant", "content": "b"}]})", {"row \"e\": message 1 is the assistant's"});
  config.sft->stop_token_ids = {999};
  expect_words(refusal(ExitCode::kUsage, [&] { encode(conversation); }), {"sft.stop_token_ids: found 999; the model's tokens are 0 to 271"});
  config.sft->stop_token_ids = {258};
  set_tokenizer(byte_tokenizer_json(kSpecial), "");
  expect_refusal(conversation, {"row \"line 1\": it has messages, but the model has no chat template"});
  // One token would be half prompt, half completion.
  Json json = parse_json(byte_tokenizer_json(kSpecial), "test");
  json["pre_tokenizer"]["add_prefix_space"] = true;
  json["model"]["vocab"]["=4"] = 259;
  json["model"]["merges"].push_back(Json::array({"=", "4"}));
  set_tokenizer(json.dump(), "");
  expect_refusal(R"({"prompt": "2+2=", "completion": "4"})", {"row \"line 1\": one token reaches across the end of 'prompt'"});
}

}  // namespace
}  // namespace cohort
