// Data sets: what is read, what is refused and with which line.
#include "trainer/dataset.h"

#include <algorithm>
#include <set>

#include "tests/trainer/dataset_file.h"

namespace cohort {
namespace {

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

TEST_F(DatasetFile, SourcesStandBehindEachOther) {
  const std::string a = write("{\"prompt\": \"a\"}\n{\"prompt\": \"b\", \"id\": \"x\"}\n", "a.jsonl"), b = write("{\"prompt\": \"c\", \"id\": \"x\"}\n", "b.jsonl");
  DataSection section;
  section.train.sources = {{"a", a, 3}, {"b", b, 1}};
  section.eval.sources = {{"first", b}, {"second", a}};
  const TaskData data = load_data(section);
  ASSERT_EQ(data.train.problems.size(), 3u);
  EXPECT_EQ(data.train.problems[0].id, "a/line 1");
  EXPECT_EQ(data.train.problems[1].id, "a/x");
  EXPECT_EQ(data.train.problems[2].id, "b/x");
  EXPECT_EQ(data.train.problems[2].prompt, "c");
  ASSERT_EQ(data.train.parts.size(), 2u);
  EXPECT_EQ(data.train.parts[1].name, "b");
  EXPECT_EQ(data.train.parts[1].file, b);
  EXPECT_EQ(data.train.parts[0].weight, 3);
  EXPECT_EQ(data.train.parts[1].begin, 2);
  EXPECT_EQ(data.train.parts[1].end, 3);
  EXPECT_EQ(data.train.name, a + ", " + b);
  EXPECT_EQ(data.eval.parts[0].size(), 1);
  EXPECT_EQ(data.eval.parts[1].size(), 2);
  // Each set is cut by itself.
  section.max_eval_samples = 1;
  EXPECT_EQ(load_data(section).eval.problems.size(), 2u);
  // Names, order and content are part of the data; paths and weights are not.
  const auto fingerprint = [&](std::vector<DataSource> sources) {
    DataSection other;
    other.train.sources = std::move(sources);
    return load_data(other).train.fingerprint;
  };
  EXPECT_EQ(fingerprint({{"a", a, 1}, {"b", b, 1}}), data.train.fingerprint);
  EXPECT_NE(fingerprint({{"b", b, 1}, {"a", a, 1}}), data.train.fingerprint);
  EXPECT_NE(fingerprint({{"c", a, 1}, {"b", b, 1}}), data.train.fingerprint);
  EXPECT_NE(fingerprint({{"a", b, 1}, {"b", b, 1}}), data.train.fingerprint);
  section.train.sources[1].path = (folder / "none.jsonl").string();
  expect_words(refusal(ExitCode::kInput, [&] { load_data(section); }), {"none.jsonl"});
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

}  // namespace
}  // namespace cohort
