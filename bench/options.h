// Command lines of benchmarks: --name=number.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

namespace cohort {

using BenchOptions = std::map<std::string, int64_t>;

// `options` with what the command line sets. Anything else ends the program (exit code 2); the head of bench/PROGRAM.cpp says what there is.
inline BenchOptions read_options(const char* program, BenchOptions options, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    char name[64];
    long long value = 0;
    if (std::sscanf(argv[i], "--%63[a-z_]=%lld", name, &value) != 2 || !options.contains(name)) {
      std::fprintf(stderr, "%s: '%s'; options: see the head of bench/%s.cpp\n", program, argv[i], program);
      std::exit(2);
    }
    options[name] = value;
  }
  return options;
}

}  // namespace cohort
