// Arguments that several commands share, and how many threads a process uses.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "trainer/config.h"

namespace cohort {

// CONFIG [section.key=value ...]
struct ConfigArguments {
  std::string file;
  std::vector<std::string> overrides;
  void add_options(CLI::App& app);
  Config load() const { return load_config(file, overrides); }
};

// --dtype and --threads of the commands that run a model without a config.
struct ModelArguments {
  std::string path, dtype = "auto";
  int threads = 0;
  void add_options(CLI::App& app);
  int thread_count() const;  // 0: as many as this process may use
};

// Threads of this rank: `wanted`, or (0) its share of the cores that it and the ranks bound to the
// same cores may use.
int choose_threads(int64_t wanted, Comm& comm);

}  // namespace cohort
