// Any two texts, parted by the first line break, as gold answer and completion: a verdict comes within 50 ms and 64 MB,
// the same one twice, and a gold that can be read is its own answer (those two for a quarter of the sizes).
#include <string_view>

#include "reward/math/judge.h"
#include "reward/math/parser.h"
#include "tests/fuzz/limits.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  write_seeds({"\\frac{1}{2}\nThe answer is $\\boxed{0.5}$.", "1, 2\n\\boxed{\\{2, 1\\}}",
               "(-\\infty, 2] \\cup (3, 5)\nx \\le 2 or 3 < x < 5",
               "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}\n[[1,2],[3,4]]",
               "\\sqrt{2+\\sqrt{3}}\n#### (sqrt6+sqrt2)/2", "5^{5^{5^5}}\n\\boxed{(x+1)^{99}(y-2)^{98}}",
               "y = 2x+1\n<answer>2x - y + 1 = 0</answer>", "\\$5.50\n$5.50 per hour",
               "x = \\pm 3\\frac{1}{2}\n-3.5, 3.5",
               "\\sin 30^\\circ + \\log_2 8 + e^{i\\pi} + \\binom{5}{2} + 10!\n1/3 + 0.\\overline{12}",
               "12 cm^2\n0.0012 square meters", "(B)\nThe answer is (B) 12.", "no solution\n\\emptyset",
               "1011_2\n1.234.567,5", "\\{x \\mid x > 1\\} \\setminus \\{2\\}\nx^2 \\ne 4"});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t split = std::min(text.find('\n'), text.size());
  const std::string_view gold = text.substr(0, split), completion = text.substr(std::min(split + 1, text.size()));
  // One way to judge an input, chosen by its size, which a fuzzer changes as easily as anything: so more inputs are seen in the time.
  const bool flexible = size % 2 == 0, twice = size % 8 < 2;
  const math::JudgeOptions options{.flexible = flexible, .compare = {.round = !flexible, .percent_either = !flexible}};
  Verdict verdict;
  {
    const FuzzLimits limits;
    verdict = math::judge(completion, gold, options);
  }
  if (verdict.score && *verdict.score != 0.0 && *verdict.score != 1.0) std::abort();
  if (!twice) return 0;
  if (verdict.score && math::judge_answer(gold, gold, options).score == std::nullopt) std::abort();
  if (math::judge(completion, gold, options).score != verdict.score) std::abort();
  return 0;
}
