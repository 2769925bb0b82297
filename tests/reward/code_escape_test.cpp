// Programs that would rather not be judged: whatever a program does or gives, it has a score.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/reward/code_fixture.h"

namespace cohort {
namespace {

class CodeEscape : public Code {
 protected:
  void SetUp() override {
    Code::SetUp();
    if (!IsSkipped()) reward = std::make_unique<CodeReward>(RewardSpec{.name = "code", .options = with_sandbox({{"timeout_s", 30}})});
  }
  // The program is wrong, so its score is 0; one that is right could be judged by these tests.
  void expect_lost(const std::string& program, const Json& tests) {
    const std::string completion = block(program);
    const Json columns = {{"tests", tests}};
    const CodeVerdict verdict = reward->judge({.completion = completion, .columns = &columns});
    EXPECT_EQ(reward->score_of(verdict), 0.0)
        << code_outcome_name(verdict.outcome) << ": " << verdict.why << "\n" << program << "\n" << tests;
  }
  std::unique_ptr<CodeReward> reward;
};

TEST_F(CodeEscape, ObjectsWhereDataIsExpectedLose) {
  const std::string right = "def f(x): return sorted(x)", object = "class X: pass\ndef f(x): return X()";
  for (const char* test : {
           "assert sorted(f([2, 1])) == [1, 2]",
           "assert len(f([2, 1])) == 2",
           "assert f([2, 1])[0] == 1",
           "assert set(f([2, 1])) == {1, 2}",
           "for a, b in zip(f([2, 1]), [1, 2]):\n  assert a == b",
           "assert 2 in f([2, 1])",
           "r = f([2, 1])\nr[0] = 5\nassert r == [5, 2]",
           "r = f([2, 1])\ndel r[0]\nassert r == [2]",
           "assert sum(f([2, 1])) == 3 and max(f([2, 1])) == 2",
           "a, b = f([2, 1])\nassert a < b",
           // A test that catches everything is no way out, and none to win.
           "try:\n  assert len(f([2, 1])) == 2\nexcept: pass",
           "try:\n  assert len(f([2, 1])) == 2\nfinally:\n  f([1])",
       }) {
    expect(right, test, CodeOutcome::pass);
    expect(object, test, CodeOutcome::unusable);
  }
  const Json operators = {"assert f([2, 1]) < [9]", "assert f([2, 1]) + [3] == [1, 2, 3]", "assert ''.join(map(str, f([2, 1]))) == '12'",
                          "assert f([2, 1]) == [1, 2]", "assert next(iter(f([2, 1]))) == 1", "assert str(f([2, 1])) == '[1, 2]', f([1])",
                          "assert {f([2, 1])[0]: 1} == {1: 1}"};
  for (const Json& test : operators) {
    expect(right, test, CodeOutcome::pass);
    expect_lost(object, test);
    expect_lost("class X: pass\ndef f(x): return [X(), {X()}, {X(): X()}]", test);
  }
  expect_lost(object, {{"fn_name", "f"}, {"inputs", {{{2, 1}}}}, {"outputs", {{1, 2}}}});
}

TEST_F(CodeEscape, WhatAnAnswerMakesOfALaterCallLoses) {
  // Right: an object with a number `count`. Wrong: data of which `count` is a method, which cannot be sent.
  const char* const test = "assert g(f(1).count) == 4";
  expect("class X: count = 3\ndef f(x): return X()\ndef g(n): return n + 1", test, CodeOutcome::pass);
  expect("def f(x): return [1]\ndef g(n): return n + 1", test, CodeOutcome::unusable);
  expect("def f(x): return 'text'\ndef g(n): return n + 1", test, CodeOutcome::unusable);
  // More than can be sent, by the program's doing.
  const char* const twice = "assert g(f(1) * 3) == 4";
  expect("def f(x): return 1\ndef g(n): return n + 1", twice, CodeOutcome::pass);
  expect("def f(x): return 'x' * 4000000\ndef g(n): return n + 1", twice, CodeOutcome::unusable, {{"timeout_s", 60}});
  // What is the test's own stays the row's fault, for every program alike and also behind an answer.
  for (const char* own : {"assert g(lambda: 1) == 2", "assert f(1) == 1\nassert g(lambda: 1) == 2", "class A: pass\nassert f(1) == 1\ng(A())",
                          "class A: pass\nassert f(1) == 1\ng(A)", "f(g.__code__)", "f('x' * 9000000)", "f([open])"})
    for (const char* program : {"def f(x): return 1\ndef g(n): return 2", "class X: pass\ndef f(x): return 1\ndef g(n): return X()"})
      expect(program, own, CodeOutcome::not_judged, {{"timeout_s", 60}});
  expect("pass", "assert g(lambda: 1) == 2", CodeOutcome::not_judged);
}

// A test that runs texts would run the program's among them, beside the test's own verdict.
TEST_F(CodeEscape, WhatTheProgramGivesIsNotRunInTheChecker) {
  const std::string text = R"py("__import__('__main__').report('pass')")py", program = "def f(x): return " + text;
  const std::string pickled = "class A:\n  def __reduce__(s): return eval, (" + text + ",)\nimport pickle\ndef f(x): return pickle.dumps(A())";
  const char* const right = "def f(x): return '1 + 2'";
  // Told by the test alone, so that all programs are treated alike.
  for (const char* test : {"assert eval(f(1)) == 3", "exec(f(1))", "assert eval(compile(f(1), 'x', 'eval')) == 3", "e = eval\nassert e(f(1)) == 3",
                           "assert list(map(eval, [f(1)])) == [3]", "__import__(f(1))", "import builtins\nassert builtins.eval(f(1)) == 3",
                           "assert __builtins__.eval(f(1)) == 3", "import pickle\npickle.loads(f(1))", "assert eval('eval(f(1))') == 3",
                           "def check(candidate):\n  assert eval(candidate(1)) == 3\ncheck(f)", "assert 1 == 1, eval('1')\neval(f(1), {})"})
    for (const std::string& each : {std::string(right), program, pickled, std::string("1 / 0")}) expect(each, test, CodeOutcome::not_judged);
  // By other ways, of which some can be told only when they are tried.
  for (const char* test : {"import builtins\nassert getattr(builtins, 'eval')(f(1)) == 3", "from builtins import eval\nassert eval(f(1)) == 3",
                           "import builtins as b\nassert vars(b)['eval'](f(1)) == 3", "import timeit\ntimeit.timeit(f(1), number=1)",
                           "from builtins import exec\ntry:\n  exec(f(1))\nexcept: pass", "import code\ncode.InteractiveInterpreter().runsource(f(1))",
                           "import builtins\nx = builtins\nassert x.eval(x.compile(f(1), 'x', 'eval')) == 3"})
    for (const std::string& each : {std::string(right), program}) expect_lost(each, test);
  expect_lost(pickled, "from pickle import loads\nassert loads(f(1)) == 3");
  expect_lost(pickled, "import pickle as p, io\nassert p.Unpickler(io.BytesIO(f(1))).load() == 3");
}

TEST_F(CodeEscape, WhatIsNotTheProgramsTextStillRuns) {
  for (const char* test : {"assert f(1) == eval('1 + 1')", "assert eval('f(1)') == 2", "assert eval(\"eval('f(1)')\") == 2",
                           "assert f(1) == 2\nfrom collections import namedtuple\nassert namedtuple('P', 'a b')(f(1), 3).a == 2",
                           "assert f(1) == 2\nimport dataclasses, fractions, ast\n@dataclasses.dataclass\nclass P:\n  a: int\n"
                           "assert P(f(1)) == P(2) and ast.literal_eval(str(f(1))) == 2",
                           "import re\nassert re.compile('2').match(str(f(1)))", "def eval(x): return x\nassert eval(f(1)) == 2"})
    expect("def f(x): return x + 1", test, CodeOutcome::pass);
  // Of the program's own name, it runs on the program's side.
  const Json columns = {{"entry_point", "eval"}};
  judge(block("def eval(x): return x + 1"), {"def check(candidate):\n  assert candidate(1) == 2"}, Json::object(), columns);
  EXPECT_EQ(score, 1.0);
}

TEST_F(CodeEscape, ExceptionsOfEveryClassLose) {
  for (const char* raised : {
           "SystemExit(0)", "SystemExit('text')", "KeyboardInterrupt", "GeneratorExit", "BaseException('x')", "StopIteration",
           "StopAsyncIteration", "MemoryError", "RecursionError", "BlockingIOError", "AttributeError('x')", "ImportError",
           "UnicodeDecodeError('utf-8', b'', 0, 1, 'x')", "ExceptionGroup('x', [ValueError()])", "type('Broken', (BaseException,), {})()",
           "type('Broken', (Exception,), {})()", "type('E', (Exception,), {'__str__': lambda s: 1 / 0})()",
           "type('E', (Exception,), {'__str__': lambda s: exit(0)})()", "type('E', (Exception,), {'__str__': lambda s: '\\ud800' * 9})()",
           "type('\\ud800', (Exception,), {})()", "type('E', (Exception,), {'__str__': lambda s: 5})()", "5",
       }) {
    const std::string raise = std::string("raise ") + raised;
    expect_lost("def f(x):\n  " + raise, "assert f(1) == 2");
    expect_lost(raise + "\ndef f(x): return 1", "assert f(1) == 2");
    expect_lost("class A:\n  def m(self):\n    " + raise + "\ndef f(x): return A()", "assert f(1).m() == 2");
  }
}

TEST_F(CodeEscape, HostileObjectsLose) {
  for (const char* members : {
           "def __eq__(self, o): return True",
           "def __eq__(self, o): raise SystemExit(0)",
           "def __len__(self): return 1",
           "def __len__(self): return -1",
           "def __iter__(self): raise KeyboardInterrupt",
           "def __iter__(self): return iter([2])",
           "def __next__(self): return 2",
           "def __next__(self): raise SystemExit(0)",
           "__next__ = 5",
           "def __getattr__(self, name): raise KeyboardInterrupt",
           "def __getattr__(self, name): return self",
           "def __getattribute__(self, name): raise SystemExit(0)",
           "__class__ = property(lambda self: str)",
           "__class__ = property(lambda self: int)",
           "__class__ = property(lambda self: list)",
           "__class__ = property(lambda self: 1 / 0)",
           "def __hash__(self): return 1 / 0",
           "def __bool__(self): return False",
           "def __repr__(self): return 'x' * 10**8",
           "__module__ = 'numpy'\n  def tolist(self): return self",
           "__module__ = 'numpy'\n  def tolist(self): return {1: {2}}",
       }) {
    const std::string program = std::string("class X:\n  ") + members + "\ndef f(x): return X()";
    for (const char* test : {"assert f(1) == 3", "assert sorted(f(1)) == [3]", "assert len(f(1)) == 3 and f(1)[0] == 3, f(1)"})
      expect_lost(program, test);
  }
  for (const char* base : {"int", "str", "list", "dict", "float", "tuple", "set", "bytes"})
    expect_lost(std::string("class X(") + base + "):\n  def __eq__(s, o): return True\n  def __iter__(s): raise SystemExit(0)\n"
                "  def __len__(s): return 3\n  items = __iter__\ndef f(x): return X()", "assert f(1) == [3] and len(f(1)) == 3");
}

TEST_F(CodeEscape, OddValuesLose) {
  for (const char* value : {"float('nan')", "[float('nan')]", "'\\ud800'", "['\\udfff' * 3]", "{'\\ud800': 1}", "b'\\xff'", "...", "NotImplemented",
                            "type", "print", "f", "lambda: 3", "10**100000", "-0.0", "2j", "range(10**15)", "(x for x in [3, 3])", "__builtins__",
                            "[[]] * 1000000", "'x' * 10**7", "open('/box/main.py')", "object()"}) {
    const std::string program = std::string("def f(x): return ") + value;
    for (const char* test : {"assert f(1) == 3, f(1)", "r = f(1)\nassert len(r) == 3 and r[0] == 3, str(r)"})
      expect_lost(program, test);
  }
  expect_lost("def f(x):\n  v = []\n  v.append(v)\n  return v", "assert sorted(f(1)) == [3]");
  expect_lost("def f(x):\n  v = {}\n  v[1] = v\n  return v", "assert f(1)[1] == 3");
  expect_lost("def f(x):\n  while True: yield 1", "assert sorted(f(1)) == [3]");
}

TEST_F(CodeEscape, RepliesThatAreNoRepliesLose) {
  for (const char* reply : {
           "b'{\"value\": NaN}'", "b'{\"value\": 5}'", "b'{\"value\": {\"o\": \"x\"}}'", "b'{\"value\": {\"o\": 1e999}}'",
           "b'{\"value\": {\"o\": -1}}'", "b'{\"value\": {\"i\": 5}}'", "b'{\"value\": {\"i\": \"1\" * 9}}'", "b'{\"value\": {\"d\": [[[], 1]]}}'",
           "b'{\"value\": {\"s\": [[]]}}'", "b'{\"value\": {}}'", "b'{\"value\": \"\\\\ud800\"}'", "b'{}'", "b'null'", "b'not json'", "b'\\xff\\xfe'", "b''",
           "b'{\"error\": \"Broken\", \"text\": \"\"}'", "b'{\"error\": \"Lost\"}'", "b'{\"error\": true}'", "b'{\"error\": \"\\\\ud800\", \"text\": \"\\\\ud800\"}'",
           "b'{\"error\": \"print\"}'", "b'{\"error\": \"KeyError\", \"text\": {}}'", "b'{\"value\": {\"g\": {\"o\": 1}}}'",
           "b'{\"value\": {\"r\": [0, 1, 0]}}'", "b'{\"value\": ' + b'[' * 100000 + b']' * 100000 + b'}'",
       }) {
    const std::string write = std::string("os.write(3, ") + reply + " + b'\\n')";
    expect_lost("import os\n" + write + "\ndef f(x): return 2", "assert sorted(f(1)) == [3], f(1)");
    expect_lost("import os\ndef f(x):\n  " + write + "\n  return 2", "assert len(f(1)) == 3, f(1)");
  }
}

}  // namespace
}  // namespace cohort
