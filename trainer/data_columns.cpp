#include "trainer/data_columns.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/check.h"
#include "trainer/jsonl_rows.h"

namespace cohort {
namespace {

// What `path` names in the row; null when there is nothing.
const Json* find_column(const Json& row, const std::string& path) {
  if (const auto whole = row.find(path); whole != row.end()) return &*whole;
  const Json* at = &row;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    if (!at->is_object()) return nullptr;
    const auto found = at->find(path.substr(begin, end - begin));
    if (found == at->end()) return nullptr;
    at = &*found;
    begin = end + 1;
  }
  return at;
}

std::vector<std::string> names_of(const Json& row) {
  constexpr size_t kMost = 12;
  std::vector<std::string> names;
  for (const auto& [name, value] : row.items()) {
    if (names.size() == kMost) return names.emplace_back("..."), names;
    names.push_back(shown(name));
  }
  return names;
}

}  // namespace

void check_columns(const Json& columns, const std::string& where) {
  for (const auto& [ours, theirs] : columns.items())
    CHECK_USAGE(theirs.is_string() && !theirs.get_ref<const std::string&>().empty() && !ours.empty(),
                "{}: '{}': found {}; allowed: the name of a column of the file, e.g. {{prompt: question, answer: reward_model.ground_truth}}", where,
                ours, theirs.dump());
}

Json map_columns(Json row, const Json& columns, const std::string& where) {
  if (columns.empty()) return row;
  Json mapped = Json::object(), rest = row;
  for (const auto& [ours, theirs] : columns.items()) {
    const std::string& path = theirs.get_ref<const std::string&>();
    const Json* found = find_column(row, path);
    CHECK_INPUT(found != nullptr, "{}: the row has no column '{}', which data.columns calls '{}'; its columns are {}", where, path, ours,
                fmt::join(names_of(row), ", "));
    mapped[ours] = *found;
    rest.erase(path);
  }
  for (const auto& [ours, value] : mapped.items()) rest[ours] = value;
  return rest;
}

std::string columns_hint(const Json& row, const std::string& missing) {
  constexpr std::array kPrompts = {"question", "problem", "instruction", "query", "input"};
  if (row.empty()) return "";
  std::string hint = fmt::format("; its columns are {}", fmt::join(names_of(row), ", "));
  if (missing != "prompt") return hint;
  const auto likely = std::ranges::find_if(kPrompts, [&](const char* name) { return row.contains(name); });
  return hint + (likely == kPrompts.end() ? "; data.columns says which is meant"
                                          : fmt::format("; data.columns says which is meant, e.g. data.columns={{prompt: {}}}", *likely));
}

}  // namespace cohort
