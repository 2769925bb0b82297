// Every reward, one file each, which also has the table of its options; reward.cpp has the table of their names.
#pragma once

#include <memory>

#include "reward/option_table.h"
#include "reward/reward.h"

namespace cohort {

// 1 when the last number of the completion equals the column as a number (reward/decimal.h says
// what a number is and when two are equal), else 0; a completion without a number scores 0. Nothing
// when the row's column is missing or no number.
std::unique_ptr<Reward> make_last_number(const RewardSpec& spec);
const OptionTable& last_number_options();

// 1 when the completion equals the column, white space at the ends of both aside, else 0. A number
// in the column counts as its shortest text. Nothing when the column is missing or neither text nor
// number.
std::unique_ptr<Reward> make_exact(const RewardSpec& spec);
const OptionTable& exact_options();

// 2 M / (length of the completion + length of the column), in code points without white space at the ends: M is the length of
// their longest common piece, and of those of what is left and right of it, and so on (Ratcliff and Metzener 1988, Pattern
// matching: the gestalt approach; Python's difflib without its heuristic for long texts). Nothing when the column is missing,
// neither text nor number, empty or longer than 1,000; 0 when the completion is longer. With a tag: of the text between the first <tag> and the
// next </tag>, 0 without one.
std::unique_ptr<Reward> make_similarity(const RewardSpec& spec);
const OptionTable& similarity_options();

// 1 when the completion's answer is the column's by the rules of mathematics (reward/math/,
// docs/rewards.md), else 0. Nothing when the column is missing, neither text nor number, or cannot
// be read as an answer.
std::unique_ptr<Reward> make_math(const RewardSpec& spec);
const OptionTable& math_options();

// 1 when the completion is <think>...</think><answer>...</answer>: each tag exactly once, in this
// order, and nothing but white space around the two parts, else 0 (the format reward of DeepSeek-AI
// 2025, DeepSeek-R1). Where the prompt ended with <think>, the completion must lack that tag.
std::unique_ptr<Reward> make_format(const RewardSpec& spec);
const OptionTable& format_options();

// 1 when the length of the completion is in [min_length, max_length], else 0.
std::unique_ptr<Reward> make_length(const RewardSpec& spec);
const OptionTable& length_options();

// Soft overlong punishment (Yu et al. 2025, DAPO, equation 13): 0 up to max_length - buffer, then
// falling linearly to -1 at max_length, -1 beyond.
std::unique_ptr<Reward> make_soft_overlong(const RewardSpec& spec);
const OptionTable& soft_overlong_options();

// Cosine length scaling (Yeo et al. 2025, Demystifying long chain-of-thought reasoning, appendix
// C.1): for a length t and T = max_length, end + (start - end) (1 + cos(pi min(t / T, 1))) / 2. A
// correct completion starts at max_value_correct and ends at min_value_correct; a wrong one starts
// at min_value_wrong and ends at max_value_wrong. Which it is, another reward says: `correct`,
// whose score 1 means so; nothing when that has none.
std::unique_ptr<Reward> make_cosine_length(const RewardSpec& spec);
const OptionTable& cosine_length_options();

// Repetition penalty (Yeo et al. 2025, appendix C.2, as TRL has it): (1 - different n-grams / all
// n-grams) * max_penalty, 0 for fewer than n.
std::unique_ptr<Reward> make_repetition(const RewardSpec& spec);
const OptionTable& repetition_options();

// The share of the words in `require` that the completion has; 0 when it has one of `forbid`.
// One of the two lists must be given.
std::unique_ptr<Reward> make_keywords(const RewardSpec& spec);
const OptionTable& keywords_options();

// 1 when the completion, white space at its ends aside, matches a regular expression (PCRE2), else 0; 0 too when the match takes
// more than a million steps.
std::unique_ptr<Reward> make_regex(const RewardSpec& spec);
const OptionTable& regex_options();

// The share of the completion's letters that are of one script, or of its words that are of one language (the language consistency reward of
// DeepSeek-AI 2025, DeepSeek-R1). 1 when there are no letters, or words.
std::unique_ptr<Reward> make_language(const RewardSpec& spec);
const OptionTable& language_options();

// 1 when the completion is one JSON value, as core/json.h reads it, and fits the schema, else 0.
// What follows the last </think> counts; a ```json fence around it is left away.
// The schema is the part of JSON Schema in reward/json_schema.h.
std::unique_ptr<Reward> make_json(const RewardSpec& spec);
const OptionTable& json_options();

// What reasoning-gym's own scorer of the row's task gives (reward/tasks, docs/rewards.md).
std::unique_ptr<Reward> make_reasoning_gym(const RewardSpec& spec);
const OptionTable& reasoning_gym_options();

// 1 when the program in the completion passes the row's test cases, run in a sandbox of its own (reward/code). Refused (exit code 2) unless
// the options say sandbox: local (docs/code-reward.md).
std::unique_ptr<Reward> make_code(const RewardSpec& spec);
const OptionTable& code_options();
// Throws (exit code 2) for options that are wrong by themselves, as check_reward in reward.h.
void check_code(const RewardSpec& spec);

// What a program of the user's own answers (reward/outside, docs/outside-rewards.md).
std::unique_ptr<Reward> make_command(const RewardSpec& spec);
const OptionTable& command_options();
void check_command(const RewardSpec& spec);
// What a server answers.
std::unique_ptr<Reward> make_http(const RewardSpec& spec);
const OptionTable& http_options();
void check_http(const RewardSpec& spec);
// What a function in a shared library gives.
std::unique_ptr<Reward> make_library(const RewardSpec& spec);
const OptionTable& library_options();
void check_library(const RewardSpec& spec);

}  // namespace cohort
