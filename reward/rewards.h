// Every reward, one file each; reward.cpp has the table of their names.
#pragma once

#include <memory>

#include "reward/reward.h"

namespace cohort {

// 1 when the last number of the completion equals the column as a number (reward/decimal.h says
// what a number is and when two are equal), else 0; a completion without a number scores 0. Nothing
// when the row's column is missing or no number. Options: column (default answer).
std::unique_ptr<Reward> make_last_number(const RewardSpec& spec);

// 1 when the completion equals the column, white space at the ends of both aside, else 0. A number
// in the column counts as its shortest text. Nothing when the column is missing or neither text nor
// number. Options: column (default answer).
std::unique_ptr<Reward> make_exact(const RewardSpec& spec);

// 1 when the completion is <think>...</think><answer>...</answer>: each tag exactly once, in this
// order, and nothing but white space around the two parts, else 0 (the format reward of DeepSeek-AI
// 2025, DeepSeek-R1). Where the prompt ended with <think>, the completion must lack that tag. No
// options.
std::unique_ptr<Reward> make_format(const RewardSpec& spec);

// 1 when the program in the completion passes the row's test cases, run in a sandbox of its own (reward/code). Refused (exit code 2) unless
// the options say sandbox: local. Options: docs/code-reward.md.
std::unique_ptr<Reward> make_code(const RewardSpec& spec);

}  // namespace cohort
