// What the rewards share: their options in the config, and the data column that they compare with.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reward/option_table.h"
#include "reward/reward.h"

namespace cohort {

// `text` without ASCII white space at its ends.
std::string_view trim(std::string_view text);

// The options of an entry of the config by the reward's table, which it refers to. What is read here is what the table says: a type that is
// not the row's, and a name that has no row, are errors of the program.
class OptionReader {
 public:
  // Throws (exit code 2) for an option that the table does not have, with the nearest one.
  OptionReader(const RewardSpec& spec, const OptionTable& table);

  // The option's value, or its default. These throw (exit code 2) for a value that the table does not allow, and for none where it must be
  // given; `given` tells whether it stands in the config.
  bool given(const std::string& name) const;
  double number(const std::string& name) const;
  int64_t integer(const std::string& name) const;
  std::string word(const std::string& name) const;
  std::string text(const std::string& name) const;  // also a column's name; "" where there is neither a value nor a default
  std::vector<std::string> texts(const std::string& name) const;
  // As it stands in the config, for the reward to check; null: not given.
  const Json* value(const std::string& name) const;

  const std::string& reward() const { return spec_.name; }  // for messages

 private:
  const OptionRow& row(const std::string& name, std::initializer_list<OptionType> types) const;
  const Json& value_or_default(const OptionRow& row) const;
  [[noreturn]] void refuse(const OptionRow& row, const Json& found) const;

  const RewardSpec& spec_;
  const OptionTable& table_;
};

// What a length is counted in. Tokens need RewardInput::ids; words are what stands between white
// space, characters are code points.
enum class LengthUnit { kTokens, kWords, kCharacters };
LengthUnit unit_option(const OptionReader& options);  // of the row length_unit()
// Nothing when tokens are asked for and not known.
std::optional<int64_t> completion_length(const RewardInput& input, LengthUnit unit);

// The row's column as text: a text as it is, a number in its shortest decimal form. Nothing when
// the row has no such column or it is of another type: such a row cannot be judged.
std::optional<std::string> column_text(const RewardInput& input, const std::string& column);

// For reasons: the beginning of a text in quotes, and why there is no verdict without a column or a length.
std::string in_quotes(std::string_view text);
Verdict no_column(const std::string& column);
Verdict no_length();

}  // namespace cohort
