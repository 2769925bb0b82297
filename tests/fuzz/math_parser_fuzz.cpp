// Any text is either refused with a reason or parsed into a tree, within 50 ms and 64 MB; a tree equals itself.
#include <string_view>

#include "reward/math/compare.h"
#include "reward/math/parser.h"
#include "reward/math/units.h"
#include "reward/math/words.h"
#include "tests/fuzz/limits.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  write_seeds({"\\frac{1}{2}",
               "3\\frac12x^{2y}",
               "1,234,567.89",
               "1.234.567,89",
               "0.1\\overline{23}",
               "{1,2}",
               "\\left\\{1,2\\right\\}",
               "[[1,2],[3,4]]",
               "|x-1| < 2",
               "\\sin^{-1}\\left(\\frac{x}{2}\\right)",
               "\\log_{2} 8",
               "log2(8)",
               "\\sqrt[3]{8}",
               "12\\text{ cm}^2",
               "$5.00/hour",
               "30^\\circ 15'",
               "x \\equiv 3 \\pmod{5}",
               "3:2:1",
               "f(x) = 2x",
               "\\begin{array}{cc} 1 & 2 \\\\ 3 & 4 \\end{array}",
               "\\text{(A)}",
               "2\u221A3 \u00B1 \u00BD",
               "x \\in \\mathbb{R} \\setminus \\{0\\}",
               "5 million dollars",
               "1.5e-3",
               "1011_{2}"});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const FuzzLimits limits;
  for (const math::Commas commas : {math::Commas::kGroups, math::Commas::kSeparators, math::Commas::kDecimal}) {
    const math::Parsed parsed = math::parse_answer(text, commas);
    if (!parsed.ok()) continue;
    if (math::to_text(parsed.expr).size() > 1000) std::abort();
    math::Comparison comparison({}, 1);
    if (comparison.equal(parsed.expr, parsed.expr) == math::Truth::kNo) std::abort();
  }
  math::read_unit(text);
  math::normal_words(text);
  math::read_label(text);
  return 0;
}
