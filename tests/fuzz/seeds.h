// Starting points for the fuzzers: FUZZ_SEEDS names a folder, into which a target writes good files
// before it begins.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>

inline void write_seeds(std::initializer_list<std::string> seeds) {
  const char* folder = std::getenv("FUZZ_SEEDS");
  if (folder == nullptr) return;
  int number = 0;
  for (const std::string& seed : seeds)
    std::ofstream(std::filesystem::path(folder) / ("seed-" + std::to_string(number++)),
                  std::ios::binary)
        << seed;
}
