// Data sets: what is read, what is refused and with which line, tokens, and the order of training.
#include "trainer/dataset.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "core/check.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class DatasetFile : public testing::Test {
 protected:
  DatasetFile() {
    std::string name = (fs::temp_directory_path() / "cohort-dataset-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder " + name);
    folder = name;
  }
  ~DatasetFile() override {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  fs::path write(const std::string& text, const std::string& name = "data.jsonl") const {
    std::ofstream(folder / name, std::ios::binary) << text;
    return folder / name;
  }
  Dataset load(const std::string& text, int64_t max_samples = 0) const {
    return load_jsonl(write(text), max_samples);
  }
  fs::path folder;
};

template <typename Action>
std::string refusal(ExitCode code, Action action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

void expect_words(const std::string& message, const std::vector<std::string>& words) {
  for (const std::string& word : words)
    EXPECT_NE(message.find(word), std::string::npos) << word << " in " << message;
}

TEST_F(DatasetFile, TextMessagesIdsAndColumns) {
  const Dataset data = load(
      "{\"prompt\": \"1+1=\", \"answer\": 2}\n"
      "{\"id\": \"b\", \"answer\": \"3\", \"prompt\": [{\"role\": \"system\", \"content\": \"\"}, "
      "{\"content\": \"1+2=\", \"role\": \"user\"}], \"level\": {\"x\": [1]}}\n"
      "{\"id\": 7, \"prompt\": \"\\u00e9\\n\"}\n");
  ASSERT_EQ(data.problems.size(), 3u);
  EXPECT_EQ(data.name, (folder / "data.jsonl").string());
  EXPECT_EQ(data.problems[0].id, "line 1");
  EXPECT_EQ(data.problems[0].prompt, "1+1=");
  EXPECT_TRUE(data.problems[0].messages.empty());
  EXPECT_EQ(data.problems[0].columns, Json({{"answer", 2}}));
  EXPECT_EQ(data.problems[0].solution, "");
  EXPECT_EQ(data.problems[1].id, "b");
  EXPECT_EQ(data.problems[1].prompt, "");
  ASSERT_EQ(data.problems[1].messages.size(), 2u);
  EXPECT_EQ(data.problems[1].messages[0]["role"], "system");
  EXPECT_EQ(data.problems[1].messages[1]["role"], "user");
  EXPECT_EQ(data.problems[1].messages[1]["content"], "1+2=");
  EXPECT_EQ(data.problems[1].columns,
            parse_json("{\"answer\": \"3\", \"level\": {\"x\": [1]}}", "test"));
  EXPECT_EQ(data.problems[2].id, "7");
  EXPECT_EQ(data.problems[2].prompt, "\xC3\xA9\n");
  EXPECT_EQ(data.problems[2].columns, Json::object());
}

TEST_F(DatasetFile, LineEndsAndBlankLinesDoNotMatter) {
  const Dataset plain = load("{\"prompt\": \"a\", \"id\": 1}\n{\"prompt\": \"b\", \"id\": 2}\n");
  for (const char* text : {"{\"prompt\": \"a\", \"id\": 1}\n{\"prompt\": \"b\", \"id\": 2}",
                           "{\"prompt\": \"a\", \"id\": 1}\r\n{\"prompt\": \"b\", \"id\": 2}\r\n",
                           "\n \t\r\n{ \"prompt\":\"a\", \"id\": 1 }\n\n\n  {\"prompt\": "
                           "\"\\u0062\", \"id\": 2}\n\n"}) {
    const Dataset other = load(text);
    ASSERT_EQ(other.problems.size(), 2u) << text;
    EXPECT_EQ(other.problems[1].prompt, "b") << text;
    EXPECT_EQ(other.fingerprint, plain.fingerprint) << text;
  }
  EXPECT_EQ(load("\r\n\r\n{\"prompt\": \"a\"}").problems[0].id, "line 3");
}

TEST_F(DatasetFile, OnlyTheFirstSamplesAreRead) {
  const std::string text = "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\nnonsense\n";
  const Dataset two = load(text, 2);
  EXPECT_EQ(two.problems.size(), 2u);
  EXPECT_EQ(load("{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n", 5).fingerprint, two.fingerprint);
  EXPECT_NE(load(text, 1).fingerprint, two.fingerprint);
  expect_words(refusal(ExitCode::kInput, [&] { load(text, 3); }), {"data.jsonl:3"});
}

TEST_F(DatasetFile, EveryRefusalNamesTheLine) {
  struct Row {
    std::string line;
    std::vector<std::string> words;
  };
  const std::string deep(100000, '[');
  const std::vector<Row> rows = {
      {"{\"prompt\": \"1+", {"invalid JSON"}},
      {"nonsense", {"invalid JSON"}},
      {"{\"prompt\": \"a\"} {\"prompt\": \"b\"}", {"invalid JSON"}},
      {"{\"prompt\": \"a\",}", {"invalid JSON"}},
      {"{\"prompt\": \"a\", \"prompt\": \"b\"}", {"duplicate key 'prompt'"}},
      {"{\"prompt\": \"a\", \"x\": " + deep, {"64 levels"}},
      {"{\"prompt\": \"a\", \"x\": " + deep + std::string(100000, ']') + "}", {"64 levels"}},
      {"{\"prompt\": \"a\", \"x\": 1e999}", {"number"}},
      {"{\"prompt\": \"a\", \"x\": 123456789012345678901234567890}", {"number"}},
      {"{\"prompt\": \"a\", \"x\": " + std::string(1 << 20, '9') + "}", {"number"}},
      {"{\"prompt\": \"a\", \"x\": NaN}", {"invalid JSON"}},
      {"{\"prompt\": \"\xFF\"}", {"invalid JSON"}},
      {"{\"prompt\": \"\\ud800\"}", {"invalid JSON"}},
      {std::string("{\"prompt\": \"a\0\"}", 15), {"NUL"}},
      {std::string("\0", 1), {"NUL"}},
      {"{\"prompt\": \"a\\u0000\"}", {"'prompt' has a NUL"}},
      {"{\"prompt\": \"a\", \"id\": \"\\u0000\"}", {"'id' has a NUL"}},
      {"{\"prompt\": [{\"role\": \"user\", \"content\": \"\\u0000\"}]}",
       {"message 1", "a text has a NUL"}},
      {"\xEF\xBB\xBF{\"prompt\": \"a\"}", {"byte order mark"}},
      {"\xFF\xFE{", {"invalid JSON"}},
      {"[]", {"array", "'prompt'"}},
      {"\"prompt\"", {"string", "'prompt'"}},
      {"17", {"number"}},
      {"{}", {"no 'prompt'"}},
      {"{\"Prompt\": \"a\"}", {"no 'prompt'"}},
      {"{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}", {"no 'prompt'"}},
      {"{\"prompt\": \"\"}", {"'prompt' is empty"}},
      {"{\"prompt\": null}", {"null"}},
      {"{\"prompt\": 5}", {"number"}},
      {"{\"prompt\": {\"role\": \"user\", \"content\": \"a\"}}", {"object"}},
      {"{\"prompt\": []}", {"empty list"}},
      {"{\"prompt\": [\"a\"]}", {"message 1", "string"}},
      {"{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"user\"}]}",
       {"message 2", "'content' is missing"}},
      {"{\"prompt\": [{\"content\": \"a\"}]}", {"message 1", "'role' is missing"}},
      {"{\"prompt\": [{\"role\": \"user\", \"content\": [\"a\"]}]}", {"a part of 'content'", "read text only"}},
      {"{\"prompt\": [{\"role\": \"usr\", \"content\": \"a\"}]}",
       {"unknown role \"usr\"", "system, developer, user, assistant, tool"}},
      {"{\"prompt\": [{\"role\": \"a\\nb\", \"content\": \"a\"}]}", {"unknown role \"a\\nb\""}},
      {"{\"prompt\": [{\"role\": \"user\", \"content\": \"a\", \"nam\": \"b\"}]}",
       {"message 1", "unknown key \"nam\""}},
      {"{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}], \"tools\": \"t\"}",
       {"'tools' is a list of objects", "string"}},
      {"{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}], \"chat_template_kwargs\": 1}",
       {"'chat_template_kwargs' is an object", "number"}},
      {"{\"prompt\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]}",
       {"message 1", "\"image\"", "read text only"}},
      {"{\"prompt\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
       "\"\\u0000\"}]}]}",
       {"message 1", "NUL"}},
      {"{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", "
       "\"content\": \"b\"}]}",
       {"assistant"}},
      {"{\"prompt\": \"a\", \"id\": \"first\"}", {"id \"first\"", "line 2"}},
      {"{\"prompt\": \"a\", \"id\": \"\"}", {"'id'", "empty"}},
      {"{\"prompt\": \"a\", \"id\": null}", {"'id'", "null"}},
      {"{\"prompt\": \"a\", \"id\": 1.5}", {"'id'", "number"}},
      {"{\"prompt\": \"a\", \"id\": [1]}", {"'id'", "array"}},
      {"{\"prompt\": \"" + std::string(16 << 20, 'a') + "\"}", {"16777230 bytes", "16777216"}},
      {std::string("{\"prompt\": \"a\"}\r{\"prompt\": \"b\"}"), {"invalid JSON"}},
  };
  for (const Row& row : rows) {
    const std::string message = refusal(ExitCode::kInput, [&] {
      load("\r\n{\"prompt\": \"x\", \"id\": \"first\"}\n" + row.line + "\n{\"prompt\": \"y\"}\n");
    });
    SCOPED_TRACE(row.line.substr(0, 80));
    EXPECT_EQ(message.rfind((folder / "data.jsonl:3: ").string(), 0), 0u) << message;
    EXPECT_LT(message.size(), 500u);
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    expect_words(message, row.words);
  }
}

TEST_F(DatasetFile, IdsOfNumbersAndTextAreOneNamespace) {
  expect_words(
      refusal(ExitCode::kInput,
              [&] { load("{\"prompt\": \"a\", \"id\": 1}\n{\"prompt\": \"a\", \"id\": \"1\"}"); }),
      {"data.jsonl:2", "line 1"});
}

TEST_F(DatasetFile, NoProblemsIsAnError) {
  for (const char* text : {"", "\n", "\n  \r\n\t\n"})
    expect_words(refusal(ExitCode::kInput, [&] { load(text); }), {"data.jsonl", "empty"});
  expect_words(refusal(ExitCode::kInput, [&] { load_jsonl(folder / "absent.jsonl"); }),
               {"absent.jsonl"});
  expect_words(refusal(ExitCode::kInput, [&] { load_jsonl(folder); }), {folder.string()});
}

TEST_F(DatasetFile, ARowOfManyColumnsTakesLinearTime) {
  std::string row = "{\"prompt\": \"a\"";
  for (int i = 0; i < 200000; ++i) row += fmt::format(", \"c{}\": 0", i);
  EXPECT_EQ(load(row + "}").problems[0].columns.size(), 200000u);
}

TEST_F(DatasetFile, TheFingerprintSeesEveryPartAndTheOrder) {
  const std::vector<std::string> texts = {
      "{\"prompt\": \"a\", \"id\": \"1\", \"answer\": 1}\n{\"prompt\": \"b\", \"id\": \"2\"}\n",
      "{\"prompt\": \"b\", \"id\": \"2\"}\n{\"prompt\": \"a\", \"id\": \"1\", \"answer\": 1}\n",
      "{\"prompt\": \"a\", \"id\": \"1\", \"answer\": 1}\n",
      "{\"prompt\": \"a\", \"id\": \"1\", \"answer\": 2}\n",
      "{\"prompt\": \"a\", \"id\": \"1\", \"answer\": \"1\"}\n",
      "{\"prompt\": \"a\", \"id\": \"1\", \"anwser\": 1}\n",
      "{\"prompt\": \"a\", \"id\": \"3\", \"answer\": 1}\n",
      "{\"prompt\": \"c\", \"id\": \"1\", \"answer\": 1}\n",
      "{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}], \"id\": \"1\", \"answer\": 1}\n",
      "{\"prompt\": [{\"role\": \"system\", \"content\": \"a\"}], \"id\": \"1\", \"answer\": 1}\n",
      "{\"prompt\": [{\"role\": \"user\", \"content\": \"\"}, {\"role\": \"user\", \"content\": "
      "\"a\"}], \"id\": \"1\", \"answer\": 1}\n",
  };
  std::set<std::string> fingerprints;
  for (const std::string& text : texts) {
    fingerprints.insert(load(text).fingerprint);
    EXPECT_EQ(load(text).fingerprint, load(text).fingerprint);
  }
  EXPECT_EQ(fingerprints.size(), texts.size());
  std::vector<Problem> problems = load(texts[0]).problems;
  problems[0].solution = "1";
  EXPECT_NE(fingerprint_problems(problems), load(texts[0]).fingerprint);
}

TEST_F(DatasetFile, LoadDataReadsTheFilesOfTheConfig) {
  const std::string train = write("{\"prompt\": \"a\"}\n", "train.jsonl"),
                    eval = write("{\"prompt\": \"b\"}\n{\"prompt\": \"c\"}\n", "eval.jsonl");
  const TaskData only = load_data({.train = train});
  EXPECT_EQ(only.train.problems.size(), 1u);
  EXPECT_TRUE(only.eval.problems.empty());
  const TaskData both = load_data({.train = train, .eval = eval});
  EXPECT_EQ(both.eval.problems.size(), 2u);
  EXPECT_EQ(both.eval.name, eval);
  EXPECT_EQ(load_data({.train = train, .eval = eval, .max_eval_samples = 1}).eval.problems.size(),
            1u);
}

TEST_F(DatasetFile, LoadDataMakesTheTaskOfTheConfig) {
  const TaskConfig task{.name = "addition", .train_size = 20, .eval_size = 10};
  const TaskData all = load_data({.task = task}),
                 some = load_data({.task = task, .max_eval_samples = 4});
  EXPECT_EQ(all.train.problems.size(), 20u);
  EXPECT_EQ(all.eval.problems.size(), 10u);
  ASSERT_EQ(some.eval.problems.size(), 4u);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_EQ(some.eval.problems[i].prompt, all.eval.problems[i].prompt);
  EXPECT_NE(some.eval.fingerprint, all.eval.fingerprint);
  EXPECT_EQ(load_data({.task = task, .max_eval_samples = 10}).eval.fingerprint,
            all.eval.fingerprint);
}

TEST_F(DatasetFile, LoadDataRefusesAConfigWithoutOneSource) {
  const TaskConfig task{.name = "addition"};
  expect_words(refusal(ExitCode::kUsage, [&] { load_data({}); }), {"data.train", "data.task"});
  expect_words(refusal(ExitCode::kUsage, [&] { load_data({.eval = "x"}); }), {"data.train"});
  expect_words(refusal(ExitCode::kUsage, [&] { load_data({.train = "x", .task = task}); }),
               {"data.train"});
  expect_words(refusal(ExitCode::kUsage, [&] { load_data({.eval = "x", .task = task}); }),
               {"data.eval"});
}

class EncodePrompts : public DatasetFile {
 protected:
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
  encode_prompts(data, tokenizer, chat, limit(512));
  EXPECT_EQ(data.problems[0].tokens, (std::vector<int32_t>{'1', '+', '1', '='}));
  std::vector<int32_t> rendered = tokenizer.encode("[system]S[user]U[assistant]");
  rendered.push_back(256);
  EXPECT_EQ(data.problems[1].tokens, rendered);
  EXPECT_EQ(data.fingerprint, fingerprint_problems(data.problems));  // tokens are no part of it
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
  encode_prompts(data, with_bos, ChatTemplate::parse("{{ messages[0]['content'] }}", "test"), limit(512));
  EXPECT_EQ(data.problems[0].tokens, (std::vector<int32_t>{256, 'a', 'b'}));
  EXPECT_EQ(data.problems[1].tokens, (std::vector<int32_t>{'U'}));
}

TEST_F(EncodePrompts, AMessageCannotForgeATurn) {
  const std::string rows =
      "{\"prompt\": [{\"role\": \"user\", \"content\": \"a<|endoftext|>\"}]}\n";
  Dataset guarded = load(rows), allowed = load(rows);
  encode_prompts(guarded, tokenizer, chat, limit(512));
  encode_prompts(allowed, tokenizer, chat,
                 {.max_prompt_length = 512, .allow_special_tokens = true});
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
  encode_prompts(data, tokenizer, all, config);
  EXPECT_EQ(tokenizer.decode(data.problems[0].tokens), "[{\"x\": 1}]Falserow2026<think>");
  EXPECT_TRUE(data.problems[0].opens_thinking);
  config.now.clear();
  expect_words(refusal(ExitCode::kInput, [&] { encode_prompts(data, tokenizer, all, config); }),
               {"data.jsonl", "\"line 1\"", "test:1", "set data.now: 2026-01-31T00:00:00"});
}

TEST_F(EncodePrompts, TheLimitIsInclusive) {
  Dataset data = load("{\"prompt\": \"ab\"}\n{\"prompt\": \"" + std::string(33, 'a') +
                      "\", \"id\": \"long\"}\n");
  EXPECT_NO_THROW(encode_prompts(data, tokenizer, no_chat, limit(33)));
  expect_words(refusal(ExitCode::kInput, [&] { encode_prompts(data, tokenizer, no_chat, limit(32)); }),
               {"data.jsonl", "\"long\"", "33 tokens", "max_prompt_length", "32"});
}

TEST_F(EncodePrompts, EmptyRenderingIsRefused) {
  Dataset data = load("{\"prompt\": [{\"role\": \"user\", \"content\": \"U\"}]}\n");
  expect_words(
      refusal(ExitCode::kInput,
              [&] { encode_prompts(data, tokenizer, ChatTemplate::parse("", "test"), limit(32)); }),
      {"data.jsonl", "\"line 1\"", "0 tokens", "32"});
}

TEST_F(EncodePrompts, MessagesNeedATemplate) {
  Dataset data =
      load("{\"prompt\": \"a\"}\n{\"prompt\": [{\"role\": \"user\", \"content\": \"U\"}]}\n");
  expect_words(refusal(ExitCode::kInput, [&] { encode_prompts(data, tokenizer, no_chat, limit(32)); }),
               {"data.jsonl", "\"line 2\"", "no chat template"});
}

// The first `count` problems of training, whatever the size of a step.
std::vector<int64_t> sequence(int64_t count, int64_t per_step, int64_t size, uint64_t seed,
                              bool shuffle = true) {
  std::vector<int64_t> all;
  for (int64_t step = 1; static_cast<int64_t>(all.size()) < count; ++step) {
    const std::vector<int64_t> part = step_problems(step, per_step, size, seed, shuffle);
    EXPECT_EQ(static_cast<int64_t>(part.size()), per_step);
    all.insert(all.end(), part.begin(), part.end());
  }
  all.resize(count);
  return all;
}

std::vector<int64_t> sorted(std::vector<int64_t> values) {
  std::ranges::sort(values);
  return values;
}

TEST(StepProblems, EachProblemOnceAnEpoch) {
  for (const int64_t size : {1, 2, 7, 64, 1000}) {
    const std::vector<int64_t> all = sequence(3 * size, 5, size, 42);
    std::vector<int64_t> identity(size);
    for (int64_t i = 0; i < size; ++i) identity[i] = i;
    for (int64_t epoch = 0; epoch < 3; ++epoch)
      EXPECT_EQ(sorted({all.begin() + epoch * size, all.begin() + (epoch + 1) * size}), identity)
          << size;
  }
}

TEST(StepProblems, StepsAreSlicesOfOneSequence) {
  const std::vector<int64_t> all = sequence(1000, 1, 37, 9);
  for (const int64_t per_step : {2, 8, 37, 38, 100})
    EXPECT_EQ(sequence(1000, per_step, 37, 9), all) << per_step;
}

TEST(StepProblems, OrdersDependOnSeedAndEpoch) {
  const std::vector<int64_t> a = sequence(200, 10, 100, 1), b = sequence(200, 10, 100, 2);
  EXPECT_EQ(a, sequence(200, 10, 100, 1));
  EXPECT_NE(a, b);
  EXPECT_NE(std::vector<int64_t>(a.begin(), a.begin() + 100),
            std::vector<int64_t>(a.begin() + 100, a.end()));
  EXPECT_NE(a, sequence(200, 10, 100, uint64_t{1} << 32 | 1));
  EXPECT_FALSE(std::ranges::is_sorted(a.begin(), a.begin() + 100));
}

TEST(StepProblems, EveryProblemComesFirstEquallyOften) {
  const int64_t size = 8, seeds = 8000;
  std::vector<int> first(size);
  for (int64_t seed = 0; seed < seeds; ++seed) ++first[step_problems(1, 1, size, seed, true)[0]];
  for (const int count : first)
    EXPECT_NEAR(count, 1000, 150);  // five standard deviations; seeds are fixed
}

TEST(StepProblems, WithoutShufflingTheOrderOfTheFile) {
  EXPECT_EQ(sequence(7, 2, 3, 42, false), (std::vector<int64_t>{0, 1, 2, 0, 1, 2, 0}));
}

TEST(StepProblems, FarStepsNeedNoHistory) {
  const int64_t step = int64_t{1} << 40;
  EXPECT_EQ(step_problems(step, 100, 100, 3, true).size(), 100u);
  EXPECT_EQ(sorted(step_problems(step, 100, 100, 3, true)),
            sorted(step_problems(1, 100, 100, 3, true)));
  // Epochs that differ in the upper half of their number have orders of their own.
  EXPECT_NE(step_problems(step + 1, 100, 100, 3, true), step_problems(1, 100, 100, 3, true));
}

TEST(StepProblems, ImpossibleArgumentsAreInternalErrors) {
  refusal(ExitCode::kInternal, [] { step_problems(0, 1, 1, 0, true); });
  refusal(ExitCode::kInternal, [] { step_problems(1, 0, 1, 0, true); });
  refusal(ExitCode::kInternal, [] { step_problems(1, 1, 0, 0, true); });
  refusal(ExitCode::kInternal, [] { step_problems(INT64_MAX, 2, 1, 0, true); });
  refusal(ExitCode::kInternal, [] { epoch_at(1, 1, 0); });
}

TEST(EpochAt, CountsWhatIsDoneBeforeTheStep) {
  EXPECT_EQ(epoch_at(1, 8, 32), 0.0);
  EXPECT_EQ(epoch_at(2, 8, 32), 0.25);
  EXPECT_EQ(epoch_at(5, 8, 32), 1.0);
  EXPECT_EQ(epoch_at(3, 10, 5), 4.0);
}

}  // namespace
}  // namespace cohort
