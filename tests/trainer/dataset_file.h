// What the tests of data sets share: files to write, and what a refusal must say.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/check.h"
#include "trainer/dataset.h"

namespace cohort {

namespace fs = std::filesystem;

class DatasetFile : public testing::Test {
 protected:
  DatasetFile() {
    std::string name = (fs::temp_directory_path() / "cohort-dataset-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder " + name);
    folder = name;
  }
  ~DatasetFile() override {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  fs::path write(const std::string& text, const std::string& name = "data.jsonl") const {
    std::ofstream(folder / name, std::ios::binary) << text;
    return folder / name;
  }
  Dataset load(const std::string& text, int64_t max_samples = 0) const {
    return load_jsonl(write(text), max_samples);
  }
  fs::path folder;
};

template <typename Action>
std::string refusal(ExitCode code, Action action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

inline void expect_words(const std::string& message, const std::vector<std::string>& words) {
  for (const std::string& word : words)
    EXPECT_NE(message.find(word), std::string::npos) << word << " in " << message;
}

}  // namespace cohort
