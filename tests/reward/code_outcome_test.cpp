// What the reward code says of programs that end badly, and of rows that name the function that they test.
#include <gtest/gtest.h>

#include "tests/reward/code_fixture.h"

namespace cohort {
namespace {

const Json kSum = Json::array({{{"input", "1 2\n"}, {"output", "3\n"}}, {{"input", "10 -4\n"}, {"output", "6\n"}}});

TEST_F(Code, WhoeverFallsOverBehindTheRightOutputHasCrashed) {
  const std::string flushed = "import os, sys\nprint(sum(map(int, input().split())), flush=True)\n";
  for (const char* end : {"os.kill(os.getpid(), 11)", "os.abort()", "raise ValueError", "input()", "sys.exit(3)", "os._exit(1)"})
    expect(flushed + end, kSum, CodeOutcome::crashed);
  expect(flushed + "print(file=sys.stderr); sys.exit(0)", kSum, CodeOutcome::pass);
  expect("import sys; sys.exit(3)", kSum, CodeOutcome::fail);
  const CodeVerdict verdict = judge(block(flushed + "raise ValueError('late')"), kSum);
  EXPECT_EQ(verdict.why, "case 1: the right output, but no end as it should be; exit code 1: ValueError: late");
}

// A row may name its function and test it by itself.
TEST_F(Code, CheckIsCalledOnlyWhereTheTestDefinesIt) {
  const std::string program = "def add(a, b): return a + b\ndef check(x): return x == 3\ndef sum(x): return x[0] + x[1] + x[2]";
  const auto outcome = [&](const char* entry_point, const Json& tests) {
    const CodeVerdict verdict = judge(block(program), tests, Json::object(), {{"entry_point", entry_point}});
    return fmt::format("{} {}", code_outcome_name(verdict.outcome), verdict.why);
  };
  EXPECT_EQ(outcome("add", {"assert add(1, 2) == 3", "# def check(f):\nassert add(2, 2) == 4"}), "pass all 2 cases passed");
  EXPECT_EQ(outcome("add", "class T:\n  def check(self, x): assert x == 3\nT().check(add(1, 2))"), "pass all 1 cases passed");
  EXPECT_EQ(outcome("check", "assert check(add(1, 2)) and not check(4)"), "pass all 1 cases passed") << "the program's own";
  EXPECT_EQ(outcome("sum", {"assert sum([1, 2, 3]) == 6"}), "pass all 1 cases passed");
  for (const char* check : {"def check(f):\n  assert f(1, 2) == 4", "if True:\n  def check ( f ) :\n    assert f(1, 2) == 4",
                            "def one(f):\n  assert f(1, 2) == 4\ncheck = one"})
    EXPECT_TRUE(outcome("add", check).starts_with("fail")) << check;
  EXPECT_TRUE(outcome("add", {{"setup", "def check(f):\n  assert f(1, 2) == 3"}, {"asserts", {"assert add(1, 1) == 2"}}}).starts_with("pass"));
}

}  // namespace
}  // namespace cohort
