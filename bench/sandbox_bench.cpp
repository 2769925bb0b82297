// What the sandbox adds to a plain fork and exec of the same program.
#include <benchmark/benchmark.h>
#include <spawn.h>
#include <sys/wait.h>

#include <string>
#include <vector>

#include "core/check.h"
#include "reward/code/pool.h"

namespace cohort {
namespace {

const std::vector<std::string> kTrue = {"/bin/true"};
const std::vector<std::string> kPython = {"/usr/bin/python3", "-I", "-B", "-c", "print(1)"};

void plain(benchmark::State& state, std::vector<std::string> command) {
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", 1, 0);
  for (auto _ : state) {
    pid_t child;
    CHECK(posix_spawn(&child, argv[0], &quiet, nullptr, argv.data(), environ) == 0, "{} does not start", command[0]);
    waitpid(child, nullptr, 0);
  }
}

void sandboxed(benchmark::State& state, std::vector<std::string> command) {
  SandboxPool pool(*find_nursery(), 1);
  const SandboxRequest request{{.command = std::move(command)}, std::nullopt};
  for (auto _ : state) {
    const SandboxResult result = pool.run(request);
    CHECK(result.error.empty() && result.program.end == SandboxEnd::exited, "{}", result.error);
  }
}

BENCHMARK_CAPTURE(plain, true, kTrue)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sandboxed, true, kTrue)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plain, python, kPython)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sandboxed, python, kPython)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cohort

int main(int argc, char** argv) {
  cohort::start_nursery();  // while there is one thread
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
