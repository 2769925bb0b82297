// The options of every reward, in one table: reading and checking a config, `cohort explain`, `schema` and the test that holds the docs to it
// look here.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

enum class OptionKind { column, word, number, whole, text, texts, map, any };

struct OptionRow {
  std::string_view reward, name;
  OptionKind kind = OptionKind::text;
  std::string_view help;
  std::string_view words = {};                 // of a word: "flexible strict", the first is the default
  double low = 0, high = 0;                    // of number and whole, both allowed; within 2^53
  std::optional<double> standard = {};         // of number and whole
  std::string_view text = {};                  // the default of a column or text
  bool needed = false;                         // there is no default
};

std::span<const OptionRow> reward_option_rows();
// In the order of the table.
std::vector<const OptionRow*> options_of_reward(std::string_view reward);
// Null when the reward has none of that name.
const OptionRow* find_option(std::string_view reward, std::string_view name);
std::vector<std::string> option_words(const OptionRow& row);

// For people: "number", "list of texts"; "answer", "3", "" where there is none; "[1, 100]", "tokens, words", "".
std::string option_type(const OptionRow& row);
std::string option_default(const OptionRow& row);
std::string option_range(const OptionRow& row);

}  // namespace cohort
