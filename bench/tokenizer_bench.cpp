// Speed of a tokenizer: COHORT_TOKENIZER names a folder with tokenizer.json, COHORT_TEXT a text
// file. "whole": the file as one text; "lines": one text a line, as prompts come.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "core/files.h"
#include "model/text/tokenizer.h"

namespace cohort {
namespace {

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size() - 1) + 1;
    lines.push_back(text.substr(start, end - start));
    start = end;
  }
  return lines;
}

void run(benchmark::State& state, bool by_lines) {
  const std::string folder = from_environment("COHORT_TOKENIZER"),
                    file = from_environment("COHORT_TEXT");
  if (folder.empty() || file.empty()) {
    state.SkipWithError("COHORT_TOKENIZER and COHORT_TEXT are not set");
    return;
  }
  const Tokenizer tokenizer = Tokenizer::load(folder);
  const std::string text = read_file(file);
  const std::vector<std::string> texts = by_lines ? lines_of(text) : std::vector<std::string>{text};
  for (auto _ : state)
    for (const std::string& one : texts) benchmark::DoNotOptimize(tokenizer.encode(one).size());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

void load(benchmark::State& state) {
  const std::string folder = from_environment("COHORT_TOKENIZER");
  if (folder.empty()) {
    state.SkipWithError("COHORT_TOKENIZER is not set");
    return;
  }
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::load(folder).vocab_size());
}

BENCHMARK_CAPTURE(run, whole, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, lines, true)->Unit(benchmark::kMillisecond);
BENCHMARK(load)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cohort

BENCHMARK_MAIN();
