#include "trainer/config_rewards.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/check.h"
#include "core/text.h"
#include "core/yaml.h"
#include "reward/reward.h"
#include "trainer/config_describe.h"

namespace cohort {
namespace {

constexpr size_t kNameWidth = 16;

// What every entry of the list may have.
const OptionTable& entry_rows() {
  static const OptionTable rows = {
      {.name = "name", .type = OptionType::word, .help = "which reward", .needed = true, .words = reward_names()},
      {.name = "weight", .type = OptionType::number, .help = "of its score in the total", .standard = 1.0,
       .bounds = {.low = -kMaxRewardWeight, .high = kMaxRewardWeight}},
      {.name = "label", .type = OptionType::text, .help = "its name in metrics and messages, where a reward is listed more than once",
       .form = "letters, digits, '_', '-' and '.', at most 64"},
  };
  return rows;
}

std::string default_text(const OptionRow& row) {
  if (row.needed) return "none: it must be given";
  const std::string standard = option_default(row);
  return standard.empty() ? "none" : standard;
}

std::string describe_option(const std::string& path, const OptionRow& row) {
  return fmt::format("{}\n  {}\n\n  type      {}\n  default   {}\n  allowed   {}\n", path, row.help, row.type_name(), default_text(row), row.allowed());
}

// An entry of the list with what must be given.
std::string example_of(const std::string& name) {
  std::string text = fmt::format("{{name: {}", name);
  for (const OptionRow& row : reward_options(name))
    if (row.needed) text += fmt::format(", {}: {}", row.name, row.words.empty() ? "..." : row.words.front());
  return text + "}";
}

std::string describe_reward(const std::string& name) {
  std::string text = fmt::format("reward.{}\n  {}\n\n  options, beside name, weight and label:\n", name, reward_summary(name));
  for (const OptionRow& row : reward_options(name)) {
    text += fmt::format("\n  {}\n    {}\n    {}; default {}\n", row.name, row.help, row.allowed(), default_text(row));
  }
  return text + fmt::format("\n  example   reward: [{}]\n  more      docs/rewards.md\n", example_of(name));
}

[[noreturn]] void refuse(const std::string& what, const std::string& found, const std::vector<std::string>& allowed) {
  const std::string near = nearest_name(found, allowed);
  fail(ExitCode::kUsage, "{} '{}';{} allowed are {}", what, excerpt(found), near.empty() ? "" : fmt::format(" did you mean '{}'?", near),
       fmt::join(allowed, ", "));
}

Json option_schema(const OptionRow& row) {
  Json schema = Json::object();
  switch (row.type) {
    case OptionType::number: schema = bounds_schema(row.bounds, "number"); break;
    case OptionType::integer: schema = bounds_schema(row.bounds, "integer"); break;
    case OptionType::word: schema["enum"] = row.words; break;
    case OptionType::text:
    case OptionType::column: schema = {{"type", "string"}, {"minLength", 1}}; break;
    case OptionType::texts: schema = {{"type", "array"}, {"items", {{"type", "string"}}}}; break;
    case OptionType::map: schema["type"] = "object"; break;
    case OptionType::value: break;
  }
  schema["description"] = row.form.empty() ? row.help : fmt::format("{} ({})", row.help, row.form);
  if (!row.standard.is_null()) schema["default"] = row.standard;
  return schema;
}

std::string table_markdown(const OptionTable& table) {
  std::string text = "\n| option | default | allowed | what it does |\n|---|---|---|---|\n";
  for (const OptionRow& row : table) {
    const std::string standard = option_default(row);
    text += fmt::format("| `{}` | {} | {} | {} |\n", row.name, row.needed ? "(needed)" : standard.empty() ? "" : fmt::format("`{}`", standard),
                        markdown_cell(row.allowed()), markdown_cell(row.help));
  }
  return text;
}

// The properties of one reward's entries, and of no other's.
Json reward_schema(const std::string& name) {
  Json properties = Json::object(), needed = Json::array();
  for (const OptionRow& row : entry_rows()) properties[row.name] = true;
  for (const OptionRow& row : reward_options(name)) {
    properties[row.name] = option_schema(row);
    if (row.needed) needed.push_back(row.name);
  }
  Json schema = {{"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!needed.empty()) schema["required"] = std::move(needed);
  return schema;
}

}  // namespace

std::string option_default(const OptionRow& row) {
  if (row.standard.is_null()) return "";
  return row.standard.is_string() ? row.standard.get<std::string>() : row.standard.dump();
}

std::vector<std::string> reward_paths() {
  std::vector<std::string> paths;
  for (const std::string& name : reward_names()) {
    paths.push_back("reward." + name);
    for (const OptionRow& row : reward_options(name)) paths.push_back(fmt::format("reward.{}.{}", name, row.name));
  }
  return paths;
}

std::string list_rewards() {
  std::string text = "  a list of maps of\n";
  for (const OptionRow& row : entry_rows()) text += fmt::format("  {:<{}} {}\n", row.name, kNameWidth, row.help);
  text += "  and the reward's own options, which `cohort explain reward.NAME` lists:\n";
  for (const std::string& name : reward_names()) text += fmt::format("  {:<{}} {}\n", name, kNameWidth, reward_summary(name));
  return text;
}

std::optional<std::string> explain_reward(const std::string& query) {
  constexpr std::string_view kPrefix = "reward.";
  if (!query.starts_with(kPrefix)) return std::nullopt;
  const std::string rest = query.substr(kPrefix.size()), name = rest.substr(0, rest.find('.'));
  if (const OptionRow* row = find_option(entry_rows(), rest)) return describe_option(query, *row);
  const std::vector<std::string> names = reward_names();
  if (std::ranges::find(names, name) == names.end()) refuse("unknown reward", name, names);
  if (name == rest) return describe_reward(name);
  const std::string option = rest.substr(name.size() + 1);
  const OptionTable& table = reward_options(name);
  if (const OptionRow* row = find_option(table, option)) return describe_option(query, *row);
  std::vector<std::string> options;
  for (const OptionRow& row : table) options.push_back(row.name);
  refuse(fmt::format("reward '{}': unknown option", name), option, options);
}

std::vector<std::string> explain_options_called(const std::string& name) {
  std::vector<std::string> texts;
  for (const std::string& reward : reward_names())
    if (const OptionRow* row = find_option(reward_options(reward), name)) texts.push_back(describe_option(fmt::format("reward.{}.{}", reward, name), *row));
  return texts;
}

std::string rewards_markdown() {
  std::string text = "\nA list of maps, whose `name` decides what other options there are. [rewards.md](rewards.md) says how each reward scores.\n" +
                     table_markdown(entry_rows());
  for (const std::string& name : reward_names())
    text += fmt::format("\n### reward: {}\n\n{}\n{}", name, markdown_cell(reward_summary(name)), table_markdown(reward_options(name)));
  return text;
}

Json reward_entry_schema() {
  Json shared = Json::object();
  for (const OptionRow& row : entry_rows()) shared[row.name] = option_schema(row);
  shared["label"]["pattern"] = "^[A-Za-z0-9_.-]{1,64}$";
  Json by_name = Json::array();
  for (const std::string& name : reward_names())
    by_name.push_back({{"if", {{"properties", {{"name", {{"const", name}}}}}, {"required", Json::array({"name"})}}}, {"then", reward_schema(name)}});
  return {{"type", "object"}, {"properties", shared}, {"required", Json::array({"name"})}, {"allOf", std::move(by_name)}};
}

}  // namespace cohort
