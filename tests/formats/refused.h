// What the tests of formats share: folders that vanish, and the expectation that something is
// refused, helpfully.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "core/check.h"

namespace cohort {

// `action` throws an Error with the exit code, whose message has all the words.
inline void expect_refused(const std::function<void()>& action,
                           std::initializer_list<std::string_view> words,
                           ExitCode code = ExitCode::kInput) {
  try {
    action();
    ADD_FAILURE() << "not refused; expected: " << fmt::format("{}", fmt::join(words, " ... "));
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    for (std::string_view word : words)
      EXPECT_NE(std::string_view(error.what()).find(word), std::string_view::npos)
          << "'" << word << "' is not in: " << error.what();
  }
}

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// A test with an empty folder of its own.
class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    folder = std::filesystem::path(testing::TempDir()) /
             fmt::format("cohort-formats-{}-{}", test.name(), ::getpid());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::filesystem::path put(const std::string& name, std::string_view content) const {
    const std::filesystem::path path = folder / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  std::filesystem::path folder;
};

}  // namespace cohort
