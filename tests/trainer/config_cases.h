// What the tests of configs share: a minimal config and its variations, and cases that must be refused.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/check.h"
#include "tests/core/expect_error.h"
#include "trainer/config.h"

namespace cohort {

inline const std::string kMinimal =
    "model: {path: models/m}\n"        // line 1
    "data: {train: train.jsonl}\n"     // line 2
    "reward: [{name: last_number}]\n"  // line 3
    "";

inline Config parse(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return parse_config(yaml, "f.yaml", overrides);
}
// The minimal config and a line 4.
inline Config with(const std::string& line, const std::vector<std::string>& overrides = {}) {
  return parse(kMinimal + line + "\n", overrides);
}
// Minimal, but for the model (line 1) or the data (line 2).
inline Config with_model(const std::string& model) {
  return parse("model: " + model +
               "\ndata: {train: t, max_prompt_length: 32}\nreward: [{name: exact}]\n"
               "rollout: {max_completion_length: 32}\n");
}
inline Config with_data(const std::string& data, const std::string& more = "") {
  return parse("model: {path: m}\ndata: " + data + "\nreward: [{name: exact}]\n" + more);
}

// The minimal config, not read from a file.
inline Config minimal_config() {
  Config config;
  config.model.path = "models/m";
  config.data.train = "train.jsonl";
  config.reward = {{"last_number", 1.0, Json::object()}};
  return config;
}

struct Case {
  const char* line;     // of kMinimal's line 4
  const char* message;  // a part of it, behind "f.yaml:4: "
};

inline void expect_refused(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    EXPECT_ERROR(with(c.line), kUsage, "f.yaml:4: ");
    EXPECT_ERROR(with(c.line), kUsage, c.message);
  }
}

}  // namespace cohort
