#include "reward/option_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <sstream>

namespace cohort {
namespace {

using enum OptionKind;

constexpr double kNoLimit = static_cast<double>(int64_t{1} << 40), kLarge = 1e6;
constexpr std::string_view kAnswerColumn = "the data column with the right answer", kUnits = "tokens words characters";
constexpr std::string_view kMode = "which parts of a completion may be its answer", kDecimals = "round: a decimal in the column stands for what rounds to it",
                           kPercent = "either: 25 and 0.25 both answer 25 %", kUnit = "what lengths are counted in";

constexpr std::array kRows = {
    // clang-format off
    OptionRow{.reward = "last_number", .name = "column", .kind = column, .help = kAnswerColumn, .text = "answer"},
    OptionRow{.reward = "exact", .name = "column", .kind = column, .help = kAnswerColumn, .text = "answer"},

    OptionRow{.reward = "format", .name = "tags", .kind = word, .help = "think: the answer stands without tags behind </think>", .words = "think_answer think"},
    OptionRow{.reward = "format", .name = "score", .kind = word, .help = "share: the share of the tags that stand there exactly once", .words = "all share"},

    OptionRow{.reward = "math", .name = "column", .kind = column, .help = "the data column with the right answer, bare or as a solution with \\boxed{...} or ####", .text = "answer"},
    OptionRow{.reward = "math", .name = "mode", .kind = word, .help = kMode, .words = "flexible strict"},
    OptionRow{.reward = "math", .name = "decimals", .kind = word, .help = kDecimals, .words = "exact round"},
    OptionRow{.reward = "math", .name = "percent", .kind = word, .help = kPercent, .words = "exact either"},

    OptionRow{.reward = "length", .name = "min_length", .kind = whole, .help = "shorter completions score 0", .low = 0, .high = kNoLimit, .standard = 0},
    OptionRow{.reward = "length", .name = "max_length", .kind = whole, .help = "longer completions score 0; the default is no limit", .low = 0, .high = kNoLimit, .standard = kNoLimit},
    OptionRow{.reward = "length", .name = "unit", .kind = word, .help = kUnit, .words = kUnits},

    OptionRow{.reward = "soft_overlong", .name = "max_length", .kind = whole, .help = "the score is -1 from here on", .low = 1, .high = kNoLimit, .needed = true},
    OptionRow{.reward = "soft_overlong", .name = "buffer", .kind = whole, .help = "over how much before max_length the score falls from 0; at most max_length", .low = 0, .high = kNoLimit, .needed = true},
    OptionRow{.reward = "soft_overlong", .name = "unit", .kind = word, .help = kUnit, .words = kUnits},

    OptionRow{.reward = "cosine_length", .name = "max_length", .kind = whole, .help = "the length at which the score reaches its end", .low = 1, .high = kNoLimit, .needed = true},
    OptionRow{.reward = "cosine_length", .name = "min_value_wrong", .kind = number, .help = "of a wrong completion of length 0", .low = -kLarge, .high = kLarge, .standard = -1},
    OptionRow{.reward = "cosine_length", .name = "max_value_wrong", .kind = number, .help = "of a wrong one of max_length", .low = -kLarge, .high = kLarge, .standard = -0.5},
    OptionRow{.reward = "cosine_length", .name = "min_value_correct", .kind = number, .help = "of a correct one of max_length", .low = -kLarge, .high = kLarge, .standard = 0.5},
    OptionRow{.reward = "cosine_length", .name = "max_value_correct", .kind = number, .help = "of a correct one of length 0", .low = -kLarge, .high = kLarge, .standard = 1},
    OptionRow{.reward = "cosine_length", .name = "unit", .kind = word, .help = kUnit, .words = kUnits},
    OptionRow{.reward = "cosine_length", .name = "correct", .kind = word, .help = "the reward that says which completions are correct; its own options may stand here, too", .words = "math last_number exact"},
    OptionRow{.reward = "cosine_length", .name = "column", .kind = column, .help = kAnswerColumn, .text = "answer"},
    OptionRow{.reward = "cosine_length", .name = "mode", .kind = word, .help = kMode, .words = "flexible strict"},
    OptionRow{.reward = "cosine_length", .name = "decimals", .kind = word, .help = kDecimals, .words = "exact round"},
    OptionRow{.reward = "cosine_length", .name = "percent", .kind = word, .help = kPercent, .words = "exact either"},

    OptionRow{.reward = "repetition", .name = "n", .kind = whole, .help = "of the n-grams", .low = 1, .high = 100, .standard = 3},
    OptionRow{.reward = "repetition", .name = "max_penalty", .kind = number, .help = "the score when all n-grams are the same", .low = -kLarge, .high = 0, .standard = -1},
    OptionRow{.reward = "repetition", .name = "unit", .kind = word, .help = "what n-grams are made of", .words = "tokens words"},

    OptionRow{.reward = "keywords", .name = "require", .kind = texts, .help = "the score is the share of these that the completion has"},
    OptionRow{.reward = "keywords", .name = "forbid", .kind = texts, .help = "0 when it has one of these"},
    OptionRow{.reward = "keywords", .name = "case", .kind = word, .help = "insensitive: capital letters aside", .words = "sensitive insensitive"},

    OptionRow{.reward = "language", .name = "script", .kind = word, .help = "the score is the share of the letters that are of it",
              .words = "latin han cyrillic greek arabic hebrew devanagari hangul kana japanese thai"},
    OptionRow{.reward = "language", .name = "part", .kind = word, .help = "thinking: only what stands before </think>", .words = "all thinking"},

    OptionRow{.reward = "json", .name = "schema", .kind = any, .help = "what the completion must fit (docs/rewards.md); without it any JSON will do"},

    OptionRow{.reward = "similarity", .name = "column", .kind = column, .help = "the data column with the text to be like", .text = "answer"},
    OptionRow{.reward = "similarity", .name = "tag", .kind = text, .help = "only what stands between the first <tag> and the next </tag> counts; without it all does"},

    OptionRow{.reward = "reasoning_gym", .name = "task", .kind = word, .help = "row: what metadata.source_dataset says",
              .words = "row countdown chain_sum number_sorting word_sorting spell_backward basic_arithmetic letter_counting"},
    OptionRow{.reward = "reasoning_gym", .name = "column", .kind = column, .help = "the data column with the entry's answer", .text = "answer"},
    OptionRow{.reward = "reasoning_gym", .name = "metadata", .kind = column, .help = "the data column with the entry's metadata", .text = "metadata"},
    OptionRow{.reward = "reasoning_gym", .name = "extract", .kind = word, .help = "tags: what stands between the last <answer> and </answer>; completion: all of it", .words = "tags completion"},

    OptionRow{.reward = "code", .name = "sandbox", .kind = any, .help = "local: run programs in a sandbox on this machine; off until it is given (docs/sandbox.md)", .needed = true},
    OptionRow{.reward = "code", .name = "language", .kind = text, .help = "python, cpp, or a name in languages", .text = "python"},
    OptionRow{.reward = "code", .name = "languages", .kind = map, .help = "more languages (docs/code-reward.md)"},
    OptionRow{.reward = "code", .name = "column", .kind = column, .help = "the data column with the cases", .text = "tests"},
    OptionRow{.reward = "code", .name = "entry_point", .kind = column, .help = "the data column with the name of the function that check(...) is called with", .text = "entry_point"},
    OptionRow{.reward = "code", .name = "code", .kind = word, .help = "block: the last closed code block; completion: all of it", .words = "block completion"},
    OptionRow{.reward = "code", .name = "score", .kind = word, .help = "fraction: the share of cases that pass", .words = "all fraction"},
    OptionRow{.reward = "code", .name = "compare", .kind = word, .help = "of outputs; lines: white space at the ends of lines aside; tokens: all white space aside", .words = "lines tokens exact"},
    OptionRow{.reward = "code", .name = "tolerance", .kind = number, .help = "absolute or relative, of numbers in outputs and answers", .low = 0, .high = 1, .standard = 0},
    OptionRow{.reward = "code", .name = "workers", .kind = whole, .help = "runs at a time, of each rank", .low = 1, .high = 1024, .standard = 2},
    OptionRow{.reward = "code", .name = "timeout_s", .kind = number, .help = "wall clock of one case", .low = 0.1, .high = 3600, .standard = 10},
    OptionRow{.reward = "code", .name = "memory_mb", .kind = whole, .help = "of all processes of a case together", .low = 16, .high = 1 << 20, .standard = 512},
    OptionRow{.reward = "code", .name = "output_kb", .kind = whole, .help = "of standard output and of standard error", .low = 1, .high = 1 << 16, .standard = 1024},
    OptionRow{.reward = "code", .name = "scratch_mb", .kind = whole, .help = "what it may write to files", .low = 1, .high = 1 << 16, .standard = 64},
    OptionRow{.reward = "code", .name = "processes", .kind = whole, .help = "of a case at a time", .low = 1, .high = 4096, .standard = 16},
    OptionRow{.reward = "code", .name = "open_files", .kind = whole, .help = "of a process", .low = 16, .high = 4096, .standard = 64},
    OptionRow{.reward = "code", .name = "compile_timeout_s", .kind = number, .help = "wall clock of the compiler", .low = 0.1, .high = 3600, .standard = 30},
    OptionRow{.reward = "code", .name = "compile_memory_mb", .kind = whole, .help = "of the compiler", .low = 16, .high = 1 << 20, .standard = 2048},

    OptionRow{.reward = "command", .name = "command", .kind = texts, .help = "the program, found by PATH, and its arguments; there is no shell", .needed = true},
    OptionRow{.reward = "command", .name = "workers", .kind = whole, .help = "processes, of each rank", .low = 1, .high = 1024, .standard = 2},
    OptionRow{.reward = "command", .name = "in_flight", .kind = whole, .help = "requests that one process has at a time", .low = 1, .high = 4096, .standard = 1},
    OptionRow{.reward = "command", .name = "timeout_s", .kind = number, .help = "for an answer, from when its request is the oldest that the process has", .low = 0.1, .high = 3600, .standard = 10},
    OptionRow{.reward = "command", .name = "start_timeout_s", .kind = number, .help = "until the ready line", .low = 0.1, .high = 3600, .standard = 60},
    OptionRow{.reward = "command", .name = "line_kb", .kind = whole, .help = "of one answer", .low = 1, .high = 1 << 14, .standard = 64},
    OptionRow{.reward = "command", .name = "output_kb", .kind = whole, .help = "of all that is written between two answers", .low = 1, .high = 1 << 20, .standard = 1024},

    OptionRow{.reward = "http", .name = "url", .kind = text, .help = "https://HOST/PATH or http://...", .needed = true},
    OptionRow{.reward = "http", .name = "batch", .kind = whole, .help = "completions in a request, at most", .low = 1, .high = 4096, .standard = 16},
    OptionRow{.reward = "http", .name = "workers", .kind = whole, .help = "requests at a time, of each rank", .low = 1, .high = 1024, .standard = 4},
    OptionRow{.reward = "http", .name = "timeout_s", .kind = number, .help = "of one request", .low = 0.1, .high = 3600, .standard = 10},
    OptionRow{.reward = "http", .name = "retries", .kind = whole, .help = "further tries when there is no answer in time or the connection breaks", .low = 0, .high = 100, .standard = 2},
    OptionRow{.reward = "http", .name = "backoff_s", .kind = number, .help = "the pause before the second try; doubled for each further one", .low = 0.01, .high = 30, .standard = 0.5},
    OptionRow{.reward = "http", .name = "reconnect_s", .kind = number, .help = "how long a server that is away is waited for", .low = 0, .high = 86400, .standard = 120},
    OptionRow{.reward = "http", .name = "response_kb", .kind = whole, .help = "of an answer", .low = 1, .high = 1 << 20, .standard = 1024},
    OptionRow{.reward = "http", .name = "ca_file", .kind = text, .help = "certificates to trust; the default is the system's"},
    OptionRow{.reward = "http", .name = "headers", .kind = map, .help = "more headers: names and texts"},
    OptionRow{.reward = "http", .name = "token_env", .kind = text, .help = "the environment variable with a secret, sent as Authorization: Bearer"},

    OptionRow{.reward = "library", .name = "path", .kind = text, .help = "of the shared library", .needed = true},
    OptionRow{.reward = "library", .name = "options", .kind = map, .help = "what the library gets, as JSON"},
    OptionRow{.reward = "library", .name = "threads", .kind = word, .help = "one: calls come one at a time; many: from several threads at once", .words = "one many"},
    // clang-format on
};

// The shortest digits, without a point that says nothing.
std::string plain(double value) { return value == static_cast<double>(static_cast<int64_t>(value)) ? fmt::format("{}", static_cast<int64_t>(value)) : fmt::format("{}", value); }

}  // namespace

std::span<const OptionRow> reward_option_rows() { return kRows; }

std::vector<const OptionRow*> options_of_reward(std::string_view reward) {
  std::vector<const OptionRow*> rows;
  for (const OptionRow& row : kRows)
    if (row.reward == reward) rows.push_back(&row);
  return rows;
}

const OptionRow* find_option(std::string_view reward, std::string_view name) {
  for (const OptionRow& row : kRows)
    if (row.reward == reward && row.name == name) return &row;
  return nullptr;
}

std::vector<std::string> option_words(const OptionRow& row) {
  std::istringstream stream{std::string(row.words)};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string option_type(const OptionRow& row) {
  switch (row.kind) {
    case column: return "data column";
    case number: return "number";
    case whole: return "whole number";
    case texts: return "list of texts";
    case map: return "map";
    case any: return row.reward == "json" ? "schema" : "text";
    case word: case text: return "text";
  }
  return "";
}

std::string option_default(const OptionRow& row) {
  if (row.needed) return "";
  if (row.kind == word) return option_words(row).front();
  if (row.standard && *row.standard == row.high && row.high == kNoLimit) return "";
  return row.standard ? plain(*row.standard) : std::string(row.text);
}

std::string option_range(const OptionRow& row) {
  if (row.kind == word) return fmt::format("{}", fmt::join(option_words(row), ", "));
  if (row.kind != number && row.kind != whole) return "";
  return row.high == kNoLimit ? fmt::format("at least {}", plain(row.low)) : fmt::format("[{}, {}]", plain(row.low), plain(row.high));
}

}  // namespace cohort
