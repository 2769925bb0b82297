// What the tests of the rewards of format and shape do: score a completion, and read a refusal.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/check.h"
#include "reward/reward.h"

namespace cohort {

inline std::optional<double> score(const char* name, Json options, std::string_view completion, std::vector<int32_t> ids = {},
                            const Json& columns = Json::object()) {
  return make_reward({.name = name, .options = std::move(options)})
      ->score({.completion = completion, .columns = &columns, .ids = ids});
}

inline std::string refusal(const char* name, Json options) {
  try {
    make_reward({.name = name, .options = std::move(options)});
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kUsage);
    return e.what();
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

}  // namespace cohort

#define EXPECT_SAYS(message, words) EXPECT_NE((message).find(words), std::string::npos) << (message)
