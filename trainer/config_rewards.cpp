#include "trainer/config_rewards.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "core/check.h"
#include "core/text.h"
#include "reward/option_table.h"
#include "reward/reward.h"

namespace cohort {
namespace {

std::string describe_option(const OptionRow& row) {
  const std::string standard = option_default(row), range = option_range(row);
  std::string text = fmt::format("reward.{}.{}\n  {}\n  type      {}\n  default   {}\n", row.reward, row.name, row.help, option_type(row),
                                 !standard.empty() ? standard : row.needed ? "none: it must be given" : "none");
  if (!range.empty()) text += fmt::format("  allowed   {}\n", range);
  return text;
}

std::string describe_reward(const std::string& name) {
  std::string text = fmt::format("reward.{}: the options of an entry of `reward`, beside name, weight and label; docs/rewards.md says what it scores\n", name);
  const std::vector<const OptionRow*> rows = options_of_reward(name);
  if (rows.empty()) return text + "\nIt has none.\n";
  for (const OptionRow* row : rows) text += "\n" + describe_option(*row);
  return text;
}

[[noreturn]] void refuse(const char* what, const std::string& found, const std::vector<std::string>& allowed) {
  const std::string near = nearest_name(found, allowed);
  fail(ExitCode::kUsage, "no {} '{}';{} allowed are {}", what, found, near.empty() ? "" : fmt::format(" did you mean '{}'?", near), fmt::join(allowed, ", "));
}

Json option_schema(const OptionRow& row) {
  Json schema = Json::object();
  switch (row.kind) {
    case OptionKind::word: schema["enum"] = option_words(row); break;
    case OptionKind::number: case OptionKind::whole: {
      const bool whole = row.kind == OptionKind::whole;
      const auto value = [&](double number) { return whole ? Json(static_cast<int64_t>(number)) : Json(number); };
      schema = {{"type", whole ? "integer" : "number"}, {"minimum", value(row.low)}, {"maximum", value(row.high)}};
      if (row.standard) schema["default"] = value(*row.standard);
      break;
    }
    case OptionKind::column: case OptionKind::text: schema = {{"type", "string"}, {"minLength", 1}}; break;
    case OptionKind::texts: schema = {{"type", "array"}, {"items", {{"type", "string"}}}}; break;
    case OptionKind::map: schema["type"] = "object"; break;
    case OptionKind::any: break;
  }
  if (row.kind == OptionKind::word || !row.text.empty()) schema["default"] = option_default(row);
  schema["description"] = row.help;
  return schema;
}

}  // namespace

std::string explain_reward(const std::string& query) {
  constexpr std::string_view kPrefix = "reward.";
  if (!query.starts_with(kPrefix)) return "";
  const std::string rest = query.substr(kPrefix.size());
  const size_t dot = rest.find('.');
  const std::string name = rest.substr(0, dot);
  if (name == "name" || name == "weight" || name == "label") return "";
  const std::vector<std::string> names = reward_names();
  if (std::ranges::find(names, name) == names.end()) refuse("reward is called", name, names);
  if (dot == std::string::npos) return describe_reward(name);
  const std::string option = rest.substr(dot + 1);
  if (const OptionRow* row = find_option(name, option)) return describe_option(*row);
  std::vector<std::string> options;
  for (const OptionRow* row : options_of_reward(name)) options.emplace_back(row->name);
  refuse(fmt::format("option of reward '{}' is called", name).c_str(), option, options);
}

std::string reward_options_markdown() {
  std::string text = "\n| reward | option | default | allowed | what it does |\n|---|---|---|---|---|\n";
  for (const OptionRow& row : reward_option_rows()) {
    const std::string standard = option_default(row), range = option_range(row);
    text += fmt::format("| {} | `{}` | {} | {} | {} |\n", row.reward, row.name, !standard.empty() ? fmt::format("`{}`", standard) : row.needed ? "(needed)" : "",
                        range.empty() ? "a " + option_type(row) : row.kind == OptionKind::word ? range : option_type(row) + " " + range, row.help);
  }
  return text;
}

Json reward_entry_schema() {
  const Json shared = {{"name", {{"enum", reward_names()}, {"description", "which reward; docs/rewards.md says what they score"}}},
                       {"weight", {{"type", "number"}, {"minimum", -1000000}, {"maximum", 1000000}, {"default", 1.0}, {"description", "of its score in the total"}}},
                       {"label", {{"type", "string"}, {"pattern", "^[A-Za-z0-9_.-]{1,64}$"},
                                  {"description", "its name in metrics, where a reward is listed more than once"}}}};
  Json by_name = Json::array();
  for (const std::string& name : reward_names()) {
    Json properties = {{"name", true}, {"weight", true}, {"label", true}}, needed = Json::array();
    for (const OptionRow* row : options_of_reward(name)) {
      properties[std::string(row->name)] = option_schema(*row);
      if (row->needed) needed.push_back(row->name);
    }
    Json then = {{"properties", std::move(properties)}, {"additionalProperties", false}};
    if (!needed.empty()) then["required"] = std::move(needed);
    by_name.push_back({{"if", {{"properties", {{"name", {{"const", name}}}}}}}, {"then", std::move(then)}});
  }
  return {{"type", "object"}, {"properties", shared}, {"required", Json::array({"name"})}, {"allOf", std::move(by_name)}};
}

}  // namespace cohort
