// Any bytes as the answer to any of reasoning-gym's tasks: a score between 0 and 1 with its reason, within 50 ms and 64 MB.
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "core/text.h"
#include "reward/tasks/expression.h"
#include "reward/tasks/reasoning_gym.h"
#include "tests/fuzz/limits.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  write_seeds({"(5+3)*2-1/4", "2**3**2//7%3", "5!!+3!", "6^3|1&2", "1_000.5e-3", "sqrt(16) == 4 != 5", "0/0", "['-69', '1.5', \"2\"]",
               "[1, -2.5e3, NaN, -Infinity, true, \"\\u0031\"]", "alpha, beta,gamma", "+01,000.00", "١٢٣", "İstanbul", "<answer> 5 </answer>"});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // What the reward hands on is valid UTF-8.
  const std::string text = to_valid_utf8({reinterpret_cast<const char*>(data), size});
  const FuzzLimits limits;
  const Json metadata = {{"numbers", {5, 3, 2}}, {"target", 16}, {"direction", "ascending"}, {"sorted_words", {"alpha", "beta"}}};
  for (const tasks::Task& task : tasks::tasks()) {
    for (const char* answer : {"5", "['1', '2.5']", "nus"}) {
      const Verdict verdict = task.score(text, {answer, metadata});
      if (verdict.score && (!(*verdict.score >= 0 && *verdict.score <= 1) || verdict.reason.empty())) std::abort();
    }
  }
  tasks::extract_answer(text);
  return 0;
}
