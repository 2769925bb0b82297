// Judges completions with the reward code, where this machine can run its sandbox.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "core/check.h"
#include "reward/code/code.h"

namespace cohort {

inline std::string block(const std::string& code, const char* tag = "python") {
  return std::string("Here:\n```") + tag + "\n" + code + "\n```\n";
}

inline Json with_sandbox(Json options) {
  options["sandbox"] = "local";
  return options;
}

// Why this machine cannot run the sandbox, or "".
inline const std::string& lack() {
  static const std::string why = [] {
    start_nursery();
    try {
      require_means(SandboxPool(*find_nursery(), 1).examine(), "this test");
    } catch (const std::exception& error) {
      return std::string(error.what());
    }
    return std::string();
  }();
  return why;
}

class Code : public testing::Test {
 protected:
  void SetUp() override {
    if (!lack().empty()) GTEST_SKIP() << lack();
    if (access("/usr/bin/python3", X_OK) != 0) GTEST_SKIP() << "there is no /usr/bin/python3";
  }
  CodeVerdict judge(const std::string& completion, const Json& tests, Json options = Json::object(),
                    Json columns = Json::object()) {
    columns["tests"] = tests;
    const CodeReward reward({.name = "code", .options = with_sandbox(std::move(options))});
    const CodeVerdict verdict = reward.judge({.completion = completion, .columns = &columns});
    score = reward.score_of(verdict);
    return verdict;
  }
  void expect(const std::string& code, const Json& tests, CodeOutcome outcome, Json options = Json::object()) {
    const CodeVerdict verdict = judge(block(code), tests, std::move(options));
    EXPECT_STREQ(code_outcome_name(verdict.outcome), code_outcome_name(outcome)) << verdict.why << "\n" << code;
    const bool none = outcome == CodeOutcome::not_judged || outcome == CodeOutcome::infra_error;
    EXPECT_EQ(score, none ? std::nullopt : std::optional(outcome == CodeOutcome::pass ? 1.0 : 0.0));
  }
  std::optional<double> score;
};

}  // namespace cohort
