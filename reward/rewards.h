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

// 2 M / (length of the completion + length of the column), in code points without white space at the ends: M is the length of
// their longest common piece, and of those of what is left and right of it, and so on (Ratcliff and Metzener 1988, Pattern
// matching: the gestalt approach; Python's difflib without its heuristic for long texts). Nothing when the column is missing,
// neither text nor number, empty or longer than 1,000; 0 when the completion is longer. Options: column (default answer); tag
// (the text between the first <tag> and the next </tag> counts, 0 without one; default: all of the completion).
std::unique_ptr<Reward> make_similarity(const RewardSpec& spec);

// 1 when the completion's answer is the column's by the rules of mathematics (reward/math/,
// docs/rewards.md), else 0. Nothing when the column is missing, neither text nor number, or cannot
// be read as an answer. Options: column (default answer); mode: strict or flexible (default:
// flexible; which parts of a completion may be its answer, reward/math/extract.h); decimals: exact
// or round (default: exact; round: a decimal in the column stands for what rounds to it); percent:
// exact or either (default: exact; either: 25 also answers 25 %, and the other way around).
std::unique_ptr<Reward> make_math(const RewardSpec& spec);

// 1 when the completion is <think>...</think><answer>...</answer>: each tag exactly once, in this
// order, and nothing but white space around the two parts, else 0 (the format reward of DeepSeek-AI
// 2025, DeepSeek-R1). Where the prompt ended with <think>, the completion must lack that tag.
// Options: tags (think_answer, or think: <think>...</think> and then an answer without tags, which
// must not be empty; default think_answer), score (all or share: the share of the tags that stand
// there exactly once; default all).
std::unique_ptr<Reward> make_format(const RewardSpec& spec);

// 1 when the length of the completion is in [min_length, max_length], else 0. Options: min_length
// (default 0), max_length (default: no limit), unit (tokens, words or characters; default tokens).
std::unique_ptr<Reward> make_length(const RewardSpec& spec);

// Soft overlong punishment (Yu et al. 2025, DAPO, equation 13): 0 up to max_length - buffer, then
// falling linearly to -1 at max_length, -1 beyond. Options: max_length, buffer (at most
// max_length), unit.
std::unique_ptr<Reward> make_soft_overlong(const RewardSpec& spec);

// Cosine length scaling (Yeo et al. 2025, Demystifying long chain-of-thought reasoning, appendix
// C.1): for a length t and T = max_length, end + (start - end) (1 + cos(pi min(t / T, 1))) / 2. A
// correct completion starts at max_value_correct and ends at min_value_correct; a wrong one starts
// at min_value_wrong and ends at max_value_wrong. Which it is, another reward says: `correct`,
// whose score 1 means so; nothing when that has none. Options: max_length, the four values
// (defaults 1, 0.5, -1, -0.5), unit, correct (math, last_number or exact; default math) and that
// reward's own.
std::unique_ptr<Reward> make_cosine_length(const RewardSpec& spec);

// Repetition penalty (Yeo et al. 2025, appendix C.2, as TRL has it): (1 - different n-grams / all
// n-grams) * max_penalty, 0 for fewer than n. Options: n (default 3), max_penalty (default -1, at
// most 0), unit (tokens or words; default tokens).
std::unique_ptr<Reward> make_repetition(const RewardSpec& spec);

// The share of the words in `require` that the completion has; 0 when it has one of `forbid`.
// Options: require, forbid (lists of texts, at least one of them), case (sensitive or insensitive,
// for ASCII letters; default sensitive).
std::unique_ptr<Reward> make_keywords(const RewardSpec& spec);

// 1 when the completion, white space at its ends aside, matches a regular expression (PCRE2), else 0; 0 too when the match takes
// more than a million steps. Options: pattern, mode (search: anywhere, full: all of it; default search), part (all, or answer:
// what follows the last </think>; default all), case (sensitive or insensitive; default sensitive).
std::unique_ptr<Reward> make_regex(const RewardSpec& spec);

// The share of the completion's letters that are of one script (the language consistency reward of
// DeepSeek-AI 2025, DeepSeek-R1, counts words of the target language; a script is what can be told
// without a model). 1 when there are no letters. Options: script (latin, han, cyrillic, greek,
// arabic, hebrew, devanagari, hangul, kana, japanese = han and kana, thai), part (all or thinking:
// up to </think>; default all).
std::unique_ptr<Reward> make_language(const RewardSpec& spec);

// 1 when the completion is one JSON value, as core/json.h reads it, and fits the schema, else 0.
// What follows the last </think> counts; a ```json fence around it is left away. Options: schema
// (the part of JSON Schema in reward/json_schema.h; default: any value).
std::unique_ptr<Reward> make_json(const RewardSpec& spec);

// What reasoning-gym's own scorer of the row's task gives (reward/tasks, docs/rewards.md). Options: task (row: what the
// metadata's source_dataset says, or one of its names; default row), column (default answer), metadata (the column with the
// entry's metadata, default metadata; without it the row's own columns), extract (tags: the last <answer>...</answer>; or
// completion; default tags).
std::unique_ptr<Reward> make_reasoning_gym(const RewardSpec& spec);

// 1 when the program in the completion passes the row's test cases, run in a sandbox of its own (reward/code). Refused (exit code 2) unless
// the options say sandbox: local. Options: docs/code-reward.md.
std::unique_ptr<Reward> make_code(const RewardSpec& spec);
// Throws (exit code 2) for options that are wrong by themselves, as check_reward in reward.h.
void check_code(const RewardSpec& spec);

// What a program of the user's own answers (reward/outside). Options: docs/outside-rewards.md.
std::unique_ptr<Reward> make_command(const RewardSpec& spec);
void check_command(const RewardSpec& spec);
// What a server answers.
std::unique_ptr<Reward> make_http(const RewardSpec& spec);
void check_http(const RewardSpec& spec);
// What a function in a shared library gives.
std::unique_ptr<Reward> make_library(const RewardSpec& spec);
void check_library(const RewardSpec& spec);

}  // namespace cohort
