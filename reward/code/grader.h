// From a program and its cases to a verdict: compile, run each case, compare outside of the sandbox.
#pragma once

#include <string>
#include <vector>

#include "reward/code/cases.h"
#include "reward/code/language.h"
#include "reward/code/pool.h"
#include "reward/code/sandbox.h"

namespace cohort {

enum class CodeOutcome {
  pass,
  fail,  // ran, and gave the wrong answer or none; also: no program in the completion
  compile_error,
  timeout,
  memory,
  output_limit,
  crashed,      // by a signal
  unusable,     // gave an object where a test needs data
  infra_error,  // the machine's fault: no score
  not_judged,   // the row's: no cases, or a test that runs with no program; no score
};
constexpr int kCodeOutcomes = 10;
const char* code_outcome_name(CodeOutcome outcome);

struct CodeVerdict {
  CodeOutcome outcome = CodeOutcome::not_judged;  // of the first case, in order, that did not pass
  int64_t passed = 0, total = 0;                  // with stop_at_failure: passed counts up to the first failure
  std::string why;                                // one line for people
};

enum class CompareOutput {
  exact,   // byte for byte
  lines,   // white space at the ends of lines and empty lines at the end aside
  tokens,  // white space aside; with a tolerance also numbers that are near
};

// So many cases of a program that does not end in time are tried; the rest counts as such. Where each case is for its own time at most, all of them
// together could be for longer than anybody waits.
constexpr int64_t kMaxTimeouts = 3;

struct GraderOptions {
  Language language;
  SandboxLimits limits, compile_limits;
  CompareOutput compare = CompareOutput::lines;
  double tolerance = 0;
  bool stop_at_failure = true;
};

// Pure in its arguments but for what the program itself reads of clocks and random numbers, and for programs near a
// limit. Cases run on all workers of the pool that are idle, at a time. An infra_error of any case that counts makes the
// verdict infra_error. So does `deadline`, when it passes before the end; but where the program itself took that time (one case's, and at least
// half of all), the cases that were not judged are timeouts.
CodeVerdict grade(const std::string& program, const std::vector<CodeCase>& cases, const GraderOptions& options,
                  SandboxPool& pool, Clock::time_point deadline = Clock::time_point::max());

bool same_output(std::string_view found, std::string_view expected, CompareOutput how, double tolerance);

}  // namespace cohort
