// Which options a reward has. Each reward's table stands in its own file and is what it reads them by (OptionReader, reward/options.h);
// `cohort explain`, `schema`, `completion`, `man` and docs/config.md say what it says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/bounds.h"
#include "core/json.h"

namespace cohort {

enum class OptionType {
  number,
  integer,
  word,    // one of `words`
  text,    // that is not empty
  column,  // the name of a data column
  texts,   // a list of texts
  map,
  value,   // any
};

struct OptionRow {
  std::string name;
  OptionType type;
  std::string help;                // one line
  Json standard = nullptr;         // the default; null: there is none
  bool needed = false;             // without it the reward is refused
  Bounds bounds = {};              // number, integer
  std::vector<std::string> words;  // word
  std::string form = {};           // where the type does not say what is allowed: "a list like [python3, checker.py]"

  std::string type_name() const;  // "integer", "list of texts"
  std::string allowed() const;    // "an integer from 1 to 4096", "one of all, share"
};
using OptionTable = std::vector<OptionRow>;

// nullptr when there is none.
const OptionRow* find_option(const OptionTable& table, std::string_view name);

// What a reward scores, in a line, and its options. Throws (exit code 2) for an unknown name, with the nearest known one.
std::string reward_summary(const std::string& name);
const OptionTable& reward_options(const std::string& name);
// Of an entry of the config's list.
constexpr double kMaxRewardWeight = 1e6;  // far from where a weighted sum could overflow

// The row that many rewards share: the data column that the completion is compared with.
OptionRow answer_column(std::string help = "the data column with the right answer");
// What lengths are counted in (LengthUnit, reward/options.h).
OptionRow length_unit();

}  // namespace cohort
