// What the reward code reads: code blocks, test cases, options; and how it compares outputs. Nothing runs here.
#include <gtest/gtest.h>

#include "core/check.h"
#include "reward/code/cases.h"
#include "reward/code/grader.h"
#include "reward/code/language.h"
#include "reward/code/python_harness.h"

namespace cohort {
namespace {

Language language(std::vector<std::string> fences = {"python", "py"}) {
  return {.name = "python", .fences = std::move(fences)};
}

TEST(CodeBlock, TheLastClosedOneCounts) {
  const std::vector<std::pair<std::string, std::optional<std::string>>> rows = {
      {"```python\nx\n```", "x\n"},
      {"text\n```python\nx\n```\nmore\n```py\ny\n```\n", "y\n"},
      {"```python\nx\n```\n```\ny\n```\n", "x\n"},  // tagged before untagged
      {"```\nx\n```\n```cpp\ny\n```\n", "x\n"},
      {"```cpp\ny\n```\n", std::nullopt},
      {"```python\nx\n", std::nullopt},  // cut off
      {"```python\nx\n```\n```python\ny", "x\n"},
      {"```Python title=\"a\"\r\nx\r\n```\r\n", "x\n"},
      {"```{python}\nx\n```", "x\n"},  // a tag in another notation is none
      {"   ```python\nx\n   ```", "x\n"},
      {"    ```python\nx\n```", std::nullopt},  // four spaces: text
      // In a list, as Markdown has it: without the fence's own indentation, as far as a line has it.
      {"1. So:\n   ```python\n   if x:\n     y\n\n  z\n   ```\n", "if x:\n  y\n\nz\n"},
      {"10. So:\n\n    ```python\n    x\n    ```\nDone", "x\n"},
      {"- a\n  - b\n\n    ```python\n    if x:\n        y\n    ```", "if x:\n    y\n"},
      {"-\tSo:\n\t```python\n\tif x:\n\t\ty\n\t```", "if x:\n\ty\n"},
      {"- a\n\nText\n\n    ```python\n    x\n    ```", std::nullopt},  // the list is over
      {"```python\nx\n    ```\ny\n```", "x\n    ```\ny\n"},
      {"~~~python\n```\n~~~\n", "```\n"},
      {"````python\n```\n````\n", "```\n"},
      {"```python\n```", ""},
      {"<think>```python\nx\n```</think>\n```python\ny\n```", "y\n"},
      {"```python\nx\n```</think> no", std::nullopt},
      {"", std::nullopt},
      {"x", std::nullopt},
      {"``python\nx\n``", std::nullopt},
      {"```x``` it is\n```python\ny\n```", "y\n"},  // no fence: code within a text
      {"~~~python `a`\nx\n~~~", "x\n"},
  };
  for (const auto& [text, code] : rows) EXPECT_EQ(last_code_block(text, language()), code) << text;
}

TEST(CodeBlock, HostileTextTakesLinearTime) {
  for (const std::string piece : {"```python\n", "```\n", "`", "~~~ \n", "\n", "</think>", "```python\n```\n"}) {
    std::string text;
    while (text.size() < (4u << 20)) text += piece;
    last_code_block(text, language());
  }
}

std::optional<std::vector<CodeCase>> cases_of(const Json& tests, const Json& entry_point = nullptr) {
  std::string why;
  return read_cases({{"tests", tests}, {"entry_point", entry_point}}, "tests", "entry_point", why);
}

TEST(CodeCases, EveryFormIsRead) {
  const auto script = cases_of("assert f(1) == 2");
  ASSERT_TRUE(script);
  EXPECT_EQ(script->at(0).script, "assert f(1) == 2");
  const auto scripts = cases_of({"assert a", "assert b"});
  ASSERT_TRUE(scripts);
  EXPECT_EQ(scripts->size(), 2u);
  const auto set_up = cases_of({{"setup", "import math"}, {"asserts", {"assert a"}}});
  ASSERT_TRUE(set_up);
  EXPECT_EQ(set_up->at(0).script, "import math\nassert a");
  const auto human_eval = cases_of("def check(candidate):\n    assert candidate(1)\n", "f");
  ASSERT_TRUE(human_eval);
  EXPECT_EQ(human_eval->at(0).function, "f");
  for (const Json& form : std::vector<Json>{Json::array({{{"input", "1"}, {"output", "2"}}}),
                                            {{"inputs", {"1"}}, {"outputs", {"2"}}},
                                            {{"input", "1"}, {"output", "2"}},
                                            R"([{"input": "1", "output": "2", "testtype": "stdin"}])"}) {
    const auto io = cases_of(form);
    ASSERT_TRUE(io) << form;
    EXPECT_EQ(io->at(0).kind, CodeCase::Kind::io);
    EXPECT_EQ(io->at(0).input, "1");
    EXPECT_EQ(io->at(0).output, "2");
  }
  const auto lines = cases_of({{"inputs", Json::array({Json::array({"1", "2"})})}, {"outputs", {"3"}}});
  ASSERT_TRUE(lines);
  EXPECT_EQ(lines->at(0).input, "1\n2\n");
  const auto calls = cases_of({{"inputs", {{1, 2}, {3, 4}}}, {"outputs", {3, 7}}, {"fn_name", "add"}});
  ASSERT_TRUE(calls);
  EXPECT_EQ(calls->at(1).kind, CodeCase::Kind::call);
  EXPECT_EQ(calls->at(1).function, "add");
  EXPECT_EQ(calls->at(1).arguments, Json({3, 4}));
  EXPECT_EQ(calls->at(1).expected, 7);
  EXPECT_EQ(cases_of("[x for x in f(3)] == 4")->at(0).kind, CodeCase::Kind::script);  // Python that begins as JSON does
}

TEST(CodeCases, OtherFormsSayWhatIsWrong) {
  const std::vector<std::pair<Json, const char*>> rows = {
      {nullptr, "neither text, list nor map"},
      {3, "neither text, list nor map"},
      {Json::array(), "no case"},
      {Json::object(), "a map without"},
      {Json::array({3}), "a case that is neither"},
      {Json::array({{{"input", "1"}}}), "without input or output"},
      {Json::array({{{"input", 1}, {"output", "2"}}}), "no text"},
      {{{"inputs", {"1"}}, {"outputs", Json::array()}}, "other lengths"},
      {{{"inputs", {1}}, {"outputs", {1}}, {"fn_name", "f"}}, "arguments that are no list"},
      {{{"inputs", {{1}}}, {"outputs", {1}}, {"fn_name", 2}}, "fn_name that is no text"},
      {{{"asserts", "assert a"}}, "asserts that are no list"},
      {{{"asserts", {"a"}}, {"setup", 1}}, "setup that is no text"},
      {Json::array({{{"input", "1"}, {"output", "\n"}}}), "only empty outputs"},
      {std::vector<std::string>(kMaxCases + 1, "assert a"), "1001 cases; allowed are 1000"},
  };
  for (const auto& [tests, words] : rows) {
    std::string why;
    EXPECT_FALSE(read_cases({{"tests", tests}}, "tests", "entry_point", why)) << tests;
    EXPECT_NE(why.find(words), std::string::npos) << words << " in " << why;
  }
  std::string why;
  EXPECT_FALSE(read_cases({{"answer", 1}}, "tests", "entry_point", why));
  EXPECT_EQ(why, "the row has no column 'tests'");
  EXPECT_FALSE(read_cases(nullptr, "tests", "entry_point", why));
}

TEST(CompareOutputs, Table) {
  using enum CompareOutput;
  struct Row {
    const char *found, *expected;
    CompareOutput how;
    double tolerance;
    bool same;
  };
  const std::vector<Row> rows = {
      {"1\n2\n", "1\n2", lines, 0, true},
      {"1 \r\n2\n\n\n", "1\n2", lines, 0, true},
      {" 1", "1", lines, 0, false},
      {"1\n\n2", "1\n2", lines, 0, false},
      {"1 2", "1\n2", lines, 0, false},
      {"", "", lines, 0, true},
      {"\n", "", lines, 0, true},
      {"1", "", lines, 0, false},
      {"", "1", lines, 0, false},
      {"1 2\n", "1\n2", tokens, 0, true},
      {"12", "1 2", tokens, 0, false},
      {"1.0", "1", tokens, 0, false},
      {"1.0", "1", tokens, 1e-9, true},
      {"1.1", "1", tokens, 1e-9, false},
      {"x", "1", tokens, 1, false},
      {"1x", "1", tokens, 1, false},
      {"nan", "1", tokens, 1, false},
      {"1", "nan", tokens, 1, false},
      {"5", "inf", tokens, 1, false},
      {"inf", "inf", tokens, 1e-9, true},
      {"1.1", "1.0", lines, 1, false},
      {"1", "1\n", exact, 0, false},
      {"1\n", "1\n", exact, 0, true},
      {"1e400", "5", tokens, 1, false},
      {"1e400", "1.0e400", tokens, 1e-9, true},
      {"9007199254740993", "9007199254740992", tokens, 1e-17, false},
      {"9007199254740993", "9007199254740992", tokens, 1e-15, true},
      {"0.30001", "0.3", tokens, 1e-5, true},
      {"0.300010000000000000001", "0.3", tokens, 1e-5, false},
      {"+1", "1.0", tokens, 1e-9, true},
      {"-0.0", "0", tokens, 1e-9, true},
      {"1e99999", "1e99998", tokens, 1, false},
      {"1,000", "1000", tokens, 1e-9, false},
      {"0x10", "16", tokens, 1e-9, false},
      {"1000001", "1000000", tokens, 1e-5, true},
  };
  for (const Row& row : rows)
    EXPECT_EQ(same_output(row.found, row.expected, row.how, row.tolerance), row.same)
        << "'" << row.found << "' against '" << row.expected << "'";
  EXPECT_FALSE(same_output(std::string_view("1\0", 2), "1", lines, 0));
}

TEST(PythonReports, OnlyALineWithTheNonceCounts) {
  using Verdict = PythonReport::Verdict;
  EXPECT_EQ(read_python_report("abc [\"pass\", \"\"]\n", "abc").verdict, Verdict::pass);
  EXPECT_EQ(read_python_report("abc [\"fail\", \"x\"]\n", "abc").why, "x");
  EXPECT_EQ(read_python_report("abc [\"broken\", \"x\"]\n", "abc").verdict, Verdict::broken);
  for (const char* report :
       {"", "abc", "abc ", "abc \n", "abd [\"pass\", \"\"]\n", "abc [\"pass\"]\n", "abc [1, 2]\n", "abc {}\n",
        "abc [\"pass\", \"\"]", "abc [\"fail\", \"\"]\nabc [\"pass\", \"\"]\n", " abc [\"pass\", \"\"]\n"})
    EXPECT_EQ(read_python_report(report, "abc").verdict, Verdict::absent) << report;
}

std::string refusal(const Json& options) {
  try {
    require_installed(find_language({.name = "code", .options = options}));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

TEST(Languages, OthersComeByTheirCommandLines) {
  const Json shell = {{"source", "main.sh"},      {"run", {"/bin/sh", "/box/main.sh"}},
                      {"fences", {"sh", "bash"}}, {"environment", {"A=b"}},
                      {"binds", {"/opt"}},        {"address_space_mb", 100}};
  const Language found =
      find_language({.name = "code", .options = {{"language", "shell"}, {"languages", {{"shell", shell}}}}});
  EXPECT_EQ(found.run, (std::vector<std::string>{"/bin/sh", "/box/main.sh"}));
  EXPECT_EQ(found.fences, (std::vector<std::string>{"sh", "bash"}));
  EXPECT_EQ(found.address_space_mb, 100);
  // A shipped one may be replaced.
  EXPECT_EQ(find_language({.name = "code", .options = {{"languages", {{"python", shell}}}}}).source, "main.sh");
  EXPECT_EQ(find_language({.name = "code", .options = {{"language", "cpp"}}}).artifact, "program");
}

TEST(Languages, WhatIsWrongIsNamed) {
  const auto with = [](Json entry) { return refusal({{"language", "x"}, {"languages", {{"x", std::move(entry)}}}}); };
  const std::vector<std::pair<std::string, const char*>> rows = {
      {refusal({{"language", "pyton"}}), "unknown language 'pyton'; did you mean 'python'?"},
      {refusal({{"language", 3}}), "'language' is a name"},
      {refusal({{"languages", 3}}), "'languages' is a map"},
      {with(3), "languages.x is a map"},
      {with({{"source", "a"}}), "needs 'source' and 'run'"},
      {with({{"source", "a/b"}, {"run", {"/bin/sh"}}}), "languages.x.source is a plain file name"},
      {with({{"source", "a"}, {"run", "/bin/sh"}}), "languages.x.run is a list of texts"},
      {with({{"source", "a"}, {"run", {1}}}), "languages.x.run is a list of texts"},
      {with({{"source", "a"}, {"run", {"/bin/sh"}}, {"compile", {"/bin/sh"}}}), "'compile' and 'artifact' go together"},
      {with({{"source", "a"}, {"rum", {"/bin/sh"}}}), "unknown key 'rum'; did you mean 'run'?"},
      {with({{"source", "a"}, {"run", {"/bin/sh"}}, {"address_space_mb", -1}}), "a whole number of MB"},
      {with({{"source", "a"}, {"run", {"/no/such/program"}}}), "there is no program /no/such/program on this host"},
      {with({{"source", "a"}, {"run", {"sh"}}}), "the program is sh; allowed is a whole path"},
  };
  for (const auto& [message, words] : rows)
    EXPECT_NE(message.find(words), std::string::npos) << words << " in " << message;
}

}  // namespace
}  // namespace cohort
