// Runs a fuzz target on files, without sanitizers: how long the slowest takes, and how much memory all of them need. One that takes more
// than limits.h allows is named and ends it. Time is the processor's, which other programs beside this one do not add to.
//
// usage: replay FOLDER...
#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string now;  // the file that is being run

void name_file(int) { std::fprintf(stderr, "%s: failed\n", now.c_str()); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  std::signal(SIGABRT, name_file);
  double slowest = 0;
  std::string which;
  int count = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(in), {}};
      now = entry.path();
      const std::clock_t start = std::clock();
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
      const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      if (seconds > slowest) slowest = seconds, which = now;
      ++count;
    }
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%d inputs, the slowest %.1f ms (%s), %ld MB at most for the process\n", count, 1e3 * slowest, which.c_str(), usage.ru_maxrss / 1024);
}
