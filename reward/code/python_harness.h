// How functions of a Python program are tested without trusting it: the program and its test run in two sandboxes.
//
// The program's side (main.py beside candidate.py) answers calls; it never sees a test. The checker's side (checker.py)
// holds the test, in which each name that the test does not define stands for a function of the program: calling it
// sends the arguments over descriptor 3 and builds the answer anew out of plain data. So the test's own == meets true
// ints and lists, never an object with methods of the program's, and what the program does to its interpreter stays
// there. The checker reports on a descriptor of its own.
#pragma once

#include <string>
#include <string_view>

#include "reward/code/cases.h"
#include "reward/code/language.h"
#include "reward/code/sandbox.h"

namespace cohort {

// For a case of kind call or script. `nonce`: a text that nobody can guess; the report begins with it. `tolerance`: of
// floats in the answer to a call, absolute or relative.
SandboxRequest python_request(const std::string& program, const CodeCase& test, const Language& language,
                              const SandboxLimits& limits, double tolerance, const std::string& nonce);

struct PythonReport {
  // unusable: the program gave an object where the test needs data; broken: the test cannot be run with any program
  enum class Verdict { pass, fail, unusable, broken, absent } verdict = Verdict::absent;
  std::string why;
};
// Absent unless `report` is one line that begins with the nonce.
PythonReport read_python_report(std::string_view report, const std::string& nonce);

}  // namespace cohort
