// Any bytes as what a checker or a server answers: refused or read, nothing else, however they come in pieces.
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "reward/outside/http.h"
#include "reward/outside/lines.h"
#include "tests/fuzz/limits.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  write_seeds({R"({"id": 0, "score": 0.5, "reason": "why"})", R"({"id": 1, "score": null})", "{\"ready\": 1}\n{\"id\": 7}\r\n",
               R"({"answers": [{"id": 1, "score": 1}, {"id": 0, "score": -1e6}]})", "a\n\nbc", "Traceback:\n  x\n\x1b[31m"});
  return 0;
}

namespace {

void check_verdict(const OutsideVerdict& verdict) {
  if (verdict.score.has_value() != (verdict.end == OutsideEnd::scored)) std::abort();
  if (verdict.score && !(std::abs(*verdict.score) <= kMaxScore)) std::abort();
  if (verdict.end == OutsideEnd::error && verdict.reason.empty()) std::abort();
}

// Whole lines of at most `limit` bytes before the first longer one, read in pieces of `step` bytes.
std::vector<std::string> lines_of(std::string_view text, size_t limit, size_t step) {
  LineReader reader(limit);
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size(); at += step) {
    reader.append(text.substr(at, step));
    while (auto line = reader.next()) lines.push_back(std::move(*line));
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const FuzzLimits limits;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = lines_of(text, 16, size + 1);
  if (lines_of(text, 16, 1) != lines || lines_of(text, 16, 5) != lines) std::abort();
  for (const std::string& line : lines)
    if (line.size() > 16) std::abort();
  LastLines last;
  last.append(text);
  if (last.text().find_first_of("\x1b\n") != std::string::npos) std::abort();
  std::string why;
  const auto verdicts = read_http_answers(std::string(text), 2, why);
  if (verdicts.size() != (why.empty() ? 2 : 0)) std::abort();
  for (const OutsideVerdict& verdict : verdicts) check_verdict(verdict);
  try {
    const OutsideAnswer answer = read_answer(parse_json(text, "fuzz", 8));
    if (answer.id && *answer.id < 0) std::abort();
    if (answer.id) check_verdict(answer.verdict);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInput) std::abort();
  }
  return 0;
}
