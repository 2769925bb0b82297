// The reward code from completion to score: outcomes, and programs that attack their grading.
#include <gtest/gtest.h>

#include "core/check.h"
#include "reward/code/code.h"
#include "reward/scorer.h"
#include "tests/reward/code_fixture.h"

namespace cohort {
namespace {

const Json kSum = Json::array({{{"input", "1 2\n"}, {"output", "3\n"}}, {{"input", "10 -4\n"}, {"output", "6\n"}}});
const char* const kSumProgram = "print(sum(map(int, input().split())))";

TEST_F(Code, ProgramsThatReadAndWrite) {
  expect(kSumProgram, kSum, CodeOutcome::pass);
  expect("print(3)", kSum, CodeOutcome::fail);
  expect("print(3", kSum, CodeOutcome::compile_error);
  expect("raise ValueError", kSum, CodeOutcome::fail);
  expect("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", kSum, CodeOutcome::crashed);
  expect("while True: pass", kSum, CodeOutcome::timeout, {{"timeout_s", 0.5}});
  expect("x = [0]\nwhile True: x = x + x", kSum, CodeOutcome::memory, {{"memory_mb", 64}, {"timeout_s", 60}});
  expect("while True: print('x' * 1000)", kSum, CodeOutcome::output_limit, {{"output_kb", 10}, {"timeout_s", 60}});
}

TEST_F(Code, ProgramsInCpp) {
  const Json cpp = {{"language", "cpp"}, {"compile_timeout_s", 300}, {"timeout_s", 60}};
  const auto outcome = [&](const char* code, const Json& options) { return judge(block(code, "cpp"), kSum, options); };
  const CodeVerdict right = outcome(
      "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << std::endl; }", cpp);
  EXPECT_EQ(right.outcome, CodeOutcome::pass) << right.why;
  EXPECT_EQ(right.passed, 2);
  const CodeVerdict broken = outcome("int main() { return x; }", cpp);
  EXPECT_EQ(broken.outcome, CodeOutcome::compile_error);
  EXPECT_NE(broken.why.find("main.cpp"), std::string::npos) << broken.why;
  // The compiler reads no file of the host's, nor writes one.
  EXPECT_EQ(outcome("#include \"/etc/passwd\"\nint main() {}", cpp).outcome, CodeOutcome::compile_error);
  Json short_time = cpp;
  short_time["compile_timeout_s"] = 0.1;
  EXPECT_EQ(outcome("#include <bits/stdc++.h>\nint main() {}", short_time).outcome, CodeOutcome::compile_error);
  EXPECT_EQ(outcome("int main() { __builtin_trap(); }", cpp).outcome, CodeOutcome::crashed);
  EXPECT_EQ(outcome("#include <cstdio>\nint main() { int a, b; std::scanf(\"%d %d\", &a, &b); std::printf(\"%d\\n\", a + b); std::fflush(stdout);\n"
                    "*static_cast<volatile int*>(nullptr) = 1; }", cpp).why, "case 1: ended by signal 11 (Segmentation fault)");
}

TEST_F(Code, FunctionsByAsserts) {
  const Json tests = {"assert add(1, 2) == 3", "assert add([1], [2]) == [1, 2] and add('a', 'b') == 'ab'",
                      "assert add(0.5, 0.25) == 0.75"};
  expect("def add(a, b): return a + b", tests, CodeOutcome::pass);
  expect("def add(a, b): return 3", tests, CodeOutcome::fail);
  expect("def plus(a, b): return a + b", tests, CodeOutcome::fail);
  for (const char* value : {"add = 3", "add = None", "add = True", "add = [3]", "add = '3'"}) expect(value, "assert add(1, 2) == 3", CodeOutcome::fail);
  expect("add = 3", "assert add(1, 2)", CodeOutcome::fail);
  expect("def add(a, b) return a + b", tests, CodeOutcome::compile_error);
  expect("def add(a, b):\n  while True: pass", tests, CodeOutcome::timeout, {{"timeout_s", 1}});
}

TEST_F(Code, ValuesCrossTheBorderAsWhatTheyAre) {
  const std::string program =
      "def same(x): return x\n"
      "def gen(n):\n  for i in range(n): yield i\n"
      "class Counter:\n  def __init__(self): self.n = 0\n  def up(self): self.n += 1; return self.n\n"
      "def bad(): raise KeyError('k')\n";
  const Json tests = {
      "for v in (None, True, -5, 2**5000, 1.5, float('inf'), 2j, 'é\\x00', b'\\xff', [1, [2]], (1, (2,)), {1, 2}, "
      "frozenset([3]), {'a': (1,), 2: None}, range(3)):\n"
      "  r = same(v)\n  assert type(r) is type(v) and r == v, v",
      "assert same((1, 2)) != [1, 2]",
      "assert list(gen(4)) == [0, 1, 2, 3] and sum(gen(5)) == 10",
      "c = Counter()\nassert c.up() == 1 and c.up() == 2 and c.n == 2",
      "try:\n  bad()\n  assert False\nexcept KeyError: pass",
      "assert math.isclose(same(0.1) + same(0.2), 0.3)",
      "def check(candidate):\n  assert candidate(1) == 1\ncheck(same)",
  };
  expect(program, tests, CodeOutcome::pass, {{"timeout_s", 60}});
}

TEST_F(Code, AnEntryPointNamedLikeABuiltinIsTheProgramsOwn) {
  const Json columns = {{"entry_point", "sorted"}};
  const char* const test = "def check(f):\n  assert f([2, 1]) == [1, 2] and sorted([2, 1]) == [1, 2]";
  EXPECT_EQ(judge(block("pass"), test, Json::object(), columns).outcome, CodeOutcome::fail);
  EXPECT_EQ(judge(block("def sorted(x): return x[::-1]"), test, Json::object(), columns).outcome, CodeOutcome::pass);
}

TEST_F(Code, ObjectsOfTheProgramsAreUsedByTheirMethodsOnly) {
  const std::string program =
      "import collections\nclass Box:\n  n = 1\n  def __len__(self): return 0\n  def get(self): return 2\n"
      "def make(): return Box()\ndef views(d): return [d.keys(), d.values(), d.items(), collections.deque([1])]";
  expect(program, {"b = make()\nassert b and b.n == 1 and b.get() == 2",
                   "assert views({1: 2}) == [[1], [2], [(1, 2)], [1]]"},
         CodeOutcome::pass);
  for (const char* test : {"b = make()\nb.n = 2\nassert b.n == 2", "assert len(make()) == 0",
                           "assert list(make()) == []", "assert make()[0] == 0"})
    expect(program, test, CodeOutcome::unusable);
}

TEST_F(Code, FunctionsByTheirCalls) {
  const Json tests = {
      {"fn_name", "pairs"}, {"inputs", {{{3, 1, 2}}, {Json::array()}}}, {"outputs", {{{1, 2}, {2, 3}}, Json::array()}}};
  const std::string body = "(x):\n    x = sorted(x)\n    return list(zip(x, x[1:]))\n";
  expect("def pairs" + body, tests, CodeOutcome::pass);
  expect("class Solution:\n  def pairs(self, x):\n    x = sorted(x)\n    return list(zip(x, x[1:]))", tests,
         CodeOutcome::pass);
  expect("def pairs(x): return []", tests, CodeOutcome::fail);
  const Json halves = {{"fn_name", "f"}, {"inputs", {{1}}}, {"outputs", {0.3333333}}};
  expect("def f(x): return x / 3", halves, CodeOutcome::fail);
  expect("def f(x): return x / 3", halves, CodeOutcome::pass, {{"tolerance", 1e-5}});
  const Json large = {{"fn_name", "f"}, {"inputs", {{0}}}, {"outputs", {9007199254740992}}};
  expect("def f(x): return 2**53 + 1", large, CodeOutcome::fail, {{"tolerance", 1e-17}});
  expect("def f(x): return 2**53 + 1", large, CodeOutcome::pass, {{"tolerance", 1e-15}});
  expect("def f(x): return 10**400", large, CodeOutcome::fail, {{"tolerance", 1e-5}});
  expect("f = 9007199254740992", large, CodeOutcome::fail);
}

// Nor of the group: without a score is only what the machine kept from being judged.
TEST_F(Code, SleepingIsNoWayOutOfAScore) {
  Json tests = Json::array();
  for (int i = 0; i < 12; ++i) tests.push_back({{"input", std::to_string(i)}, {"output", std::to_string(i)}});
  const std::string sleeps = block("import time\nn = int(input())\nif n > 1: time.sleep(60)\nprint(n)");
  for (const int workers : {1, 3}) {
    const Clock::time_point start = Clock::now();
    const CodeVerdict verdict = judge(sleeps, tests, {{"score", "fraction"}, {"timeout_s", 2}, {"workers", workers}});
    EXPECT_EQ(verdict.outcome, CodeOutcome::timeout) << verdict.why;
    EXPECT_EQ(score, 2.0 / 12.0) << verdict.why << "; workers " << workers;
    EXPECT_LT(seconds_since(start), 20) << "ten times two seconds otherwise";
  }
  // In each case a little less than it may, until the time of the completion is over.
  const CodeReward reward({.name = "code", .options = with_sandbox({{"timeout_s", 1}, {"workers", 1}})});
  const Json columns = {{"tests", tests}};
  const std::string dawdles = block("import time\ntime.sleep(0.6)\nprint(input())");
  const auto judged = [&](double seconds) {
    const auto wait = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    return reward.judge({.completion = dawdles, .columns = &columns}, Clock::now() + wait);
  };
  const CodeVerdict late = judged(3);
  EXPECT_EQ(late.outcome, CodeOutcome::timeout) << late.why;
  EXPECT_EQ(reward.score_of(late), 0.0);
  EXPECT_EQ(judged(-1).outcome, CodeOutcome::infra_error) << "its turn never came";
}

// None of these knows the answer.
TEST_F(Code, ProgramsThatAttackTheirGraderScoreNothing) {
  const Json tests = {"assert secret(7) == 4711"};
  for (const char* code : {
           "import os; os._exit(0)",
           "import sys; sys.exit(0)",
           "def secret(x): import os; os._exit(0)",
           "class A:\n  def __eq__(self, other): return True\n  def __ne__(self, other): return False\ndef secret(x): "
           "return A()",
           "class A(int):\n  def __eq__(self, other): return True\ndef secret(x): return A(5)",
           "import builtins, json\nbuiltins.int = lambda *a: 4711\njson.dumps = lambda *a: '{\"value\": true}'\ndef "
           "secret(x): return 5",
           // Writes what an honest grader's report might look like, wherever it can.
           "import os\nfor fd in range(1, 64):\n  try: os.write(fd, b'[\"pass\", \"\"]\\n')\n  except OSError: "
           "pass\ndef secret(x): return 5",
           "import os\nos.write(3, b'{\"value\": true}\\n' * 3)\ndef secret(x): return 5",
           "import os\nos.write(3, b'[' * 100000 + b'\\n')\ndef secret(x): return 5",
           "import os\nos.write(3, b'{\"value\": {\"r\": [0, 1000000000000000000000, 1]}}\\n')",
           "import os\nos.write(3, b'{\"value\": {\"x\": []}}\\n')",
           "import os\nos.write(3, b'{\"error\": \"SystemExit\", \"text\": \"0\"}\\n')",
           "import os\nos.write(3, b'{\"error\": {}, \"text\": []}\\n')",
           "import os\nos.write(3, b'[]\\n')",
           "import os\nos.write(3, b'x' * 20000000)",
           "def secret(x): raise SystemExit(0)",
           "def secret(x): raise StopIteration",
           "import sys, gc\nfor o in gc.get_objects():\n  if isinstance(o, dict) and 'link' in o: o['answer'] = lambda "
           "r: {'value': 5}\ndef secret(x): return 5",
           // Looks for the answer in all that the sandbox shows.
           "import os, re\ndef secret(x):\n  for root, _, files in os.walk('/box'):\n    for f in files:\n"
           "      for m in re.findall(r'secret.*== *(\\d+)', open(root + '/' + f).read()): return int(m)\n  return 5",
           "import os, signal\nfor s in (signal.SIGKILL, signal.SIGSTOP):\n  os.kill(1, s)\ntry: os.kill(-1, "
           "signal.SIGKILL)\nexcept OSError: pass\ndef secret(x): return 5",
           "import sys\nsys.stdout.write('[\"pass\", \"\"]\\n' * 10)\ndef secret(x): return 5",
           "import sys\nsys.setrecursionlimit(10**6)\ndef secret(x):\n  v = []\n  for i in range(100000): v = [v]\n  "
           "return v",
       })
    expect(code, tests, CodeOutcome::fail, {{"timeout_s", 60}});
  expect("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", tests, CodeOutcome::crashed);
  expect("import os, signal\ndef secret(x): os.kill(os.getpid(), signal.SIGSTOP)", tests, CodeOutcome::timeout,
         {{"timeout_s", 2}});
  expect("def f(x): raise StopIteration", "assert all(map(f, [1, 2]))", CodeOutcome::fail);
  // The same program with the answer passes: the tests above can fail.
  expect("def secret(x): return 4711", tests, CodeOutcome::pass);
}

TEST_F(Code, ExpectedOutputsNeverEnterTheProgramsSandbox) {
  // All files and descriptors that the program can reach, printed: the grader's stdout is compared as text.
  const char* code =
      "import os, sys\n"
      "text = open('/box/main.py').read() + sys.stdin.read() + str(os.environ) + str(sys.argv)\n"
      "for root, _, files in os.walk('/box'):\n  text += str(files)\n"
      "print('3344' in text.replace('33' + '44', ''))";
  const CodeVerdict verdict = judge(block(code), Json::array({{{"input", "x"}, {"output", "3344"}}}));
  EXPECT_EQ(verdict.outcome, CodeOutcome::fail);
  expect(code, Json::array({{{"input", "x"}, {"output", "False"}}}), CodeOutcome::pass);
}

TEST_F(Code, RowsThatCannotBeJudgedHaveNoScore) {
  for (const Json& tests : std::vector<Json>{nullptr, Json::array(), Json::array({3}), "assert (",
                                             "import no_such_module", "assert f(lambda: 1) == 2",
                                             "assert sorted([2, 1]) == [1, 2]"})
    expect("def f(x): return 2", tests, CodeOutcome::not_judged);
  const CodeReward reward({.name = "code", .options = with_sandbox(Json::object())});
  EXPECT_EQ(reward.score({.completion = "x", .columns = nullptr}), std::nullopt);
  EXPECT_EQ(reward.outcomes()[static_cast<size_t>(CodeOutcome::not_judged)], 1);
  const CodeVerdict cpp = judge(block("int main() {}", "cpp"), "assert f(1) == 1", {{"language", "cpp"}});
  EXPECT_EQ(cpp.outcome, CodeOutcome::not_judged);
}

TEST_F(Code, ACompletionWithoutAProgramFails) {
  for (const char* completion : {"", "print(3)", "```python\nprint(3)", "```python\n\n```"}) {
    EXPECT_EQ(judge(completion, kSum).outcome, CodeOutcome::fail);
    EXPECT_EQ(score, 0.0);
  }
  EXPECT_EQ(judge(kSumProgram, kSum, {{"code", "completion"}}).outcome, CodeOutcome::pass);
}

TEST_F(Code, TheShareOfCasesThatPass) {
  const Json tests = {"assert f(1) == 1", "assert f(2) == 1", "assert f(1) == 1", "assert f(4) == 1"};
  const CodeVerdict verdict = judge(block("def f(x): return x"), tests, {{"score", "fraction"}, {"workers", 3}});
  EXPECT_EQ(verdict.outcome, CodeOutcome::fail);
  EXPECT_EQ(score, 0.5);
  EXPECT_TRUE(verdict.why.starts_with("case 2:")) << verdict.why;
}

TEST_F(Code, TheSameVerdictWhateverTheWorkers) {
  Json tests = Json::array();
  for (int i = 0; i < 12; ++i)
    tests.push_back({{"input", std::to_string(i)}, {"output", i < 5 ? std::to_string(i) : "x"}});
  for (const int workers : {1, 2, 5}) {
    const CodeVerdict verdict = judge(block("print(input())"), tests, {{"workers", workers}});
    EXPECT_EQ(verdict.passed, 5);
    EXPECT_EQ(verdict.why, "case 6: another output than expected");
  }
}

TEST_F(Code, ProgramsPrintTheSameOnEveryRun) {
  const CodeReward reward({.name = "code", .options = with_sandbox(Json::object())});
  // The order of a set of texts and an address.
  const Json columns = {{"tests", Json::array({{{"input", ""}, {"output", "x"}}})}};
  SandboxPool pool(*find_nursery(), 1);
  SandboxProgram program{.command = {"/usr/bin/python3", "-s", "-c", "print({'a', 'b', 'c', 'd'}, id(object()))"},
                         .environment = {"PYTHONHASHSEED=0"}};
  const std::string first = pool.run({program, std::nullopt}).program.out;
  EXPECT_FALSE(first.empty());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pool.run({program, std::nullopt}).program.out, first);
}

TEST_F(Code, ManyAtATimeScoreAsEachAlone) {
  const std::vector<std::string> programs = {kSumProgram, "print(3)", "raise ValueError", "print(3", "import os; os.abort()", kSumProgram};
  const Json columns = {{"tests", kSum}};
  std::vector<std::string> completions;
  for (int i = 0; i < 18; ++i) completions.push_back(block(programs[static_cast<size_t>(i) % programs.size()]));
  std::vector<std::string> expected;
  for (const int workers : {1, 2, 5}) {
    const RewardSet rewards({{.name = "code", .options = with_sandbox({{"workers", workers}, {"timeout_s", 60}})}});
    ThreadPool pool(1);
    Scorer scorer(rewards, pool, static_cast<int64_t>(completions.size()), 600);
    for (size_t i = 0; i < completions.size(); ++i)
      scorer.add(static_cast<int64_t>(i), {.completion = completions[i], .columns = &columns});
    const Scores scores = scorer.finish();
    std::vector<std::string> found;
    for (size_t i = 0; i < completions.size(); ++i)
      found.push_back(fmt::format("{} {} {}", scores.rows[i].total.value_or(-1), outcome_text(rewards.reward(0), scores.rows[i].ends[0]),
                                  scores.verdicts[i][0].reason));
    EXPECT_TRUE(found[0].starts_with("1 pass")) << found[0];
    EXPECT_TRUE(found[1].starts_with("0 fail")) << found[1];
    EXPECT_TRUE(found[3].starts_with("0 compile_error")) << found[3];
    EXPECT_TRUE(found[4].starts_with("0 crashed")) << found[4];
    if (expected.empty()) expected = found;
    EXPECT_EQ(found, expected) << workers;
  }
}

TEST_F(Code, IsGivenUpAtTheDeadline) {
  const Json columns = {{"tests", kSum}};
  const RewardSet rewards({{.name = "code", .options = with_sandbox({{"workers", 1}, {"timeout_s", 300}})}});
  const std::string forever = block("while True: pass"), right = block(kSumProgram);
  const Clock::time_point start = Clock::now();
  const Verdict late = rewards.verdict(0, {.completion = forever, .columns = &columns}, start + std::chrono::milliseconds(300));
  EXPECT_LT(seconds_since(start), 60) << "and not 300";
  EXPECT_EQ(late.score, std::nullopt);
  EXPECT_EQ(late.missing, Missing::timeout) << late.reason;
  // One that waits for a worker, too; and the pool goes on.
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 2, 1);
  for (int64_t i = 0; i < 2; ++i) scorer.add(i, {.completion = forever, .columns = &columns});
  for (const RewardSet::Row& row : scorer.finish().rows) EXPECT_EQ(row.ends[0].missing, Missing::timeout);
  EXPECT_EQ(rewards.score({.completion = right, .columns = &columns}).total, 1.0);
}

TEST_F(Code, AFailingRunDoesNotWaitForPrograms) {
  const Json columns = {{"tests", kSum}};
  const RewardSet rewards({{.name = "code", .options = with_sandbox({{"workers", 2}, {"timeout_s", 600}})}});
  const std::string forever = block("while True: pass");
  const Clock::time_point start = Clock::now();
  {
    ThreadPool pool(1);
    Scorer scorer(rewards, pool, 5);
    for (int64_t i = 0; i < 4; ++i) scorer.add(i, {.completion = forever, .columns = &columns});  // two run, two wait
  }
  EXPECT_LT(seconds_since(start), 60) << "and not 600";
  const Verdict later = rewards.verdict(0, {.completion = forever, .columns = &columns}, Clock::now() + std::chrono::hours(1));
  EXPECT_EQ(later.missing, Missing::error);
  EXPECT_NE(later.reason.find("given up: the run is failing"), std::string::npos) << later.reason;
}

// What is refused before anything of the machine is looked at.
std::string refusal(const Json& options) {
  try {
    CodeReward({.name = "code", .options = options});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  ADD_FAILURE() << "was not refused: " << options;
  return "";
}

TEST(CodeOptions, OffUntilTheConfigSaysOtherwise) {
  for (const Json& options :
       std::vector<Json>{nullptr, Json::object(), {{"sandbox", "off"}}, {{"sandbox", true}}, {{"language", "cpp"}}}) {
    const std::string message = refusal(options);
    EXPECT_NE(message.find("is off until the config says so: allowed is 'sandbox: local'"), std::string::npos)
        << message;
    EXPECT_NE(message.find("cohort doctor --sandbox"), std::string::npos) << message;
  }
}

TEST(CodeOptions, WhatIsWrongIsNamed) {
  const std::vector<std::pair<Json, const char*>> rows = {
      {{{"timeout", 3}}, "unknown option 'timeout'; did you mean 'timeout_s'?"},
      {{{"timeout_s", 0}}, "'timeout_s' is 0; allowed is a number from 0.1 to 3600"},
      {{{"timeout_s", "3"}}, "'timeout_s' is \"3\"; allowed is a number"},
      {{{"memory_mb", 1.5}}, "'memory_mb' is 1.5; allowed is an integer"},
      {{{"workers", 0}}, "'workers' is 0; allowed is an integer from 1 to 1024"},
      {{{"score", "most"}}, "'score' is 'most'; allowed are all, fraction"},
      {{{"compare", 1}}, "'compare' is '1'; allowed are lines, tokens, exact"},
      {{{"code", "last"}}, "'code' is 'last'; allowed are block, completion"},
      {{{"column", ""}}, "'column' is \"\"; allowed is the name of a data column"},
      {{{"entry_point", 3}}, "'entry_point' is 3; allowed is the name of a data column"},
      {{{"language", "pythn"}}, "did you mean 'python'?"},
  };
  for (const auto& [options, words] : rows) {
    const std::string message = refusal(with_sandbox(options));
    EXPECT_NE(message.find(words), std::string::npos) << words << " in " << message;
  }
}

// On a host that has the program, in a folder that the sandbox lacks.
TEST_F(Code, ALanguageThatTheSandboxCannotSeeIsRefused) {
  const Json away = {{"source", "a.sh"}, {"run", {SOURCE_DIR "/scripts/test.sh"}}};
  const std::string message = refusal(with_sandbox({{"language", "away"}, {"languages", {{"away", away}}}}));
  EXPECT_NE(message.find("language 'away': the sandbox sees no program"), std::string::npos) << message;
  Json bound = away;
  bound["binds"] = {"/no/such/folder"};
  EXPECT_NE(refusal(with_sandbox({{"language", "away"}, {"languages", {{"away", bound}}}}))
                .find("/no/such/folder cannot be shown"),
            std::string::npos);
}

TEST(CodeOptions, MissingMeansAreNamedWithTheirRemedy) {
  const std::vector<Means> means = {{"user namespace", false, true, "Operation not permitted", "allow them"},
                                    {"Landlock", false, false, "absent", "a newer kernel"},
                                    {"pid namespace", true, true, "works", ""}};
  try {
    require_means(means, "reward 'code'");
    FAIL() << "was not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    const std::string message = error.what();
    EXPECT_NE(message.find("user namespace (Operation not permitted); remedy: allow them"), std::string::npos)
        << message;
    EXPECT_EQ(message.find("Landlock"), std::string::npos) << message;
  }
  EXPECT_THROW(require_means({}, "x"), Error);
  EXPECT_NO_THROW(require_means({means[1], means[2]}, "x"));
  EXPECT_EQ(means_table(decode_means(encode(means))), means_table(means));
  EXPECT_THROW(decode_means("[[1]]"), Error);
  EXPECT_THROW(decode_means(""), Error);
}

}  // namespace
}  // namespace cohort
