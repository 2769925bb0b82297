// Test cases out of a data column.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"

namespace cohort {

// One thing that a program must do.
struct CodeCase {
  enum class Kind {
    io,      // write `output` when it reads `input`
    call,    // give `expected` when `function` is called with `arguments`
    script,  // hold what the Python text `script` asserts about its functions
  } kind;
  std::string input, output;
  std::string function;  // of a script: what `entry_point` names, the program's even where Python has one of that name
  Json arguments, expected;
  std::string script;
};

// The column `column` in one of these forms; a text that is a JSON list or object is read as that.
//   "assert f(1) == 2"  or a list of such texts                     one script each
//   {"asserts": [...], "setup": "import math"}                      the same, each behind the setup
//   [{"input": "...", "output": "..."}, ...]                        io
//   {"inputs": [...], "outputs": [...]}                             io; a list stands for its lines
//   {"inputs": [...], "outputs": [...], "fn_name": "f"}             call: each of inputs is a list of arguments
// A row whose column `entry_point` names a function f gets `check(f)` behind each script (HumanEval's form).
// Nothing, and why, when the row has no such column, no case, more than kMaxCases, or another form.
constexpr size_t kMaxCases = 1000;
std::optional<std::vector<CodeCase>> read_cases(const Json& columns, const std::string& column,
                                                const std::string& entry_point, std::string& why);

}  // namespace cohort
