#include "reward/option_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace cohort {

std::string OptionRow::type_name() const {
  switch (type) {
    case OptionType::number: return "number";
    case OptionType::integer: return "integer";
    case OptionType::word:
    case OptionType::text:
    case OptionType::column: return "text";
    case OptionType::texts: return "list of texts";
    case OptionType::map: return "map";
    case OptionType::value: break;
  }
  return "any";
}

std::string OptionRow::allowed() const {
  if (!form.empty()) return form;
  switch (type) {
    case OptionType::number: return "a number " + bounds.text();
    case OptionType::integer: return "an integer " + bounds.text();
    case OptionType::word: return fmt::format("{}{}", words.size() > 1 ? "one of " : "", fmt::join(words, ", "));
    case OptionType::text: return "a text that is not empty";
    case OptionType::column: return "the name of a data column";
    case OptionType::texts: return "a list of texts that are not empty";
    case OptionType::map: return "a map";
    case OptionType::value: break;
  }
  return "any value";
}

const OptionRow* find_option(const OptionTable& table, std::string_view name) {
  const auto it = std::ranges::find(table, name, &OptionRow::name);
  return it == table.end() ? nullptr : &*it;
}

OptionRow answer_column(std::string help) {
  return {.name = "column", .type = OptionType::column, .help = std::move(help), .standard = "answer"};
}

OptionRow length_unit() {
  return {.name = "unit", .type = OptionType::word, .help = "what lengths are counted in; words stand between white space, characters are code points",
          .standard = "tokens", .words = {"tokens", "words", "characters"}};
}

}  // namespace cohort
