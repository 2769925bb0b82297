// Any bytes as a worker's answer, a checker's report, a completion, a row's tests or an output: refused or read,
// nothing else.
#include <cstdlib>
#include <string_view>

#include "core/check.h"
#include "reward/code/cases.h"
#include "reward/code/grader.h"
#include "reward/code/language.h"
#include "reward/code/means.h"
#include "reward/code/python_harness.h"
#include "reward/code/wire.h"
#include "tests/fuzz/limits.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  SandboxRequest request{{.command = {"/bin/x"}, .files = {{"f", "bytes", true}}, .input = "in", .take = {"t"}},
                         SandboxProgram{}};
  SandboxResult result;
  result.program.files = {{"f", "b", false}}, result.checker = ProgramResult{}, result.error = "why";
  write_seeds({encode(request), encode(result),
               "abc [\"pass\", \"\"]\n", "<think>x</think>\n```python\nx\n```\n~~~\ny\n~~~\n",
               R"([{"input": "1", "output": "2"}])", R"-({"asserts": ["assert f(1)"], "setup": "import math"})-",
               R"({"inputs": [[1, "2"]], "outputs": [3], "fn_name": "f"})",
               R"([["user namespace", true, true, "works", ""]])", "1 2.50\n3e-1\t\n"});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const FuzzLimits limits;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto request = decode_request(text); request && encode(*request) != text) std::abort();
  decode_result(text);
  read_python_report(text, "abc");
  static const Language python{.name = "python", .fences = {"python", "py"}};
  last_code_block(text, python);
  std::string why;
  const bool read =
      read_cases({{"tests", std::string(text)}, {"entry_point", "f"}}, "tests", "entry_point", why).has_value();
  if (read != why.empty()) std::abort();
  for (const CompareOutput how : {CompareOutput::exact, CompareOutput::lines, CompareOutput::tokens})
    if (!same_output(text, text, how, 1e-6)) std::abort();
  try {
    decode_means(text);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInput) std::abort();
  }
  return 0;
}
