#include "trainer/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>

#include "core/check.h"
#include "core/files.h"
#include "core/yaml.h"
#include "trainer/config_check.h"
#include "trainer/config_names.h"
#include "trainer/config_schema.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

// A config while it is read.
struct Reader {
  Config config;
  KeyPlaces places;

  std::map<std::string, std::string> overridden;  // paths, and the overrides that gave them

  void file(const YAML::Node& root, const ConfigSource& source);
  void section(const SectionRow& row, const YAML::Node& node, const ConfigSource& source);
  void optional_map(const SectionRow& row, const YAML::Node& node, const ConfigSource& source);
  void rewards(const YAML::Node& node, const ConfigSource& source);
  RewardSpec reward(const YAML::Node& node, const ConfigSource& source) const;
  void override_key(const std::string& text);
};

void check_map(const YAML::Node& node, const std::string& name, const std::string& where) {
  CHECK_USAGE(node.IsMap(), "{}: {} must be a map of keys and values, found {}", where, name,
              describe(node));
}

// A dotted name is for the command line; in a file it was meant to be a key inside of a section.
std::string explain_dotted(const std::string& path) {
  const size_t dot = path.find_last_of('.');
  if (dot == std::string::npos ||
      (find_section(path) == nullptr &&
       find_key(path.substr(0, dot), path.substr(dot + 1)) == nullptr)) {
    return explain_unknown(path);
  }
  return fmt::format("unknown section '{}'; write '{}' inside of section '{}'", path,
                     path.substr(dot + 1), path.substr(0, dot));
}

void Reader::file(const YAML::Node& root, const ConfigSource& source) {
  if (root.IsNull()) fail(ExitCode::kUsage, "{}: the config is empty", source.name);
  check_map(root, "a config", source.at(root));
  for (const auto& entry : root) {
    const std::string& name = entry.first.Scalar();
    const SectionRow* row = name.find('.') == std::string::npos ? find_section(name) : nullptr;
    if (row == nullptr)
      fail(ExitCode::kUsage, "{}: {}", source.at(entry.first), explain_dotted(name));
    places[name] = source.at(entry.first);
    if (name == "reward") {
      rewards(entry.second, source);
    } else if (row->optional()) {
      optional_map(*row, entry.second, source);
    } else {
      section(*row, entry.second, source);
    }
  }
}

void Reader::section(const SectionRow& row, const YAML::Node& node, const ConfigSource& source) {
  check_map(node, row.name, places.at(row.name));
  for (const auto& entry : node) {
    const std::string path = row.name + "." + entry.first.Scalar();
    const std::string where = source.at(entry.first);
    places[path] = where;
    if (const SectionRow* map = find_section(path)) {
      optional_map(*map, entry.second, source);
    } else if (const KeyRow* key = find_key(row.name, entry.first.Scalar())) {
      read_value(*key, entry.second, config, where);
    } else {
      fail(ExitCode::kUsage, "{}: {}", where, explain_unknown(path));
    }
  }
}

void Reader::optional_map(const SectionRow& row, const YAML::Node& node,
                          const ConfigSource& source) {
  row.set_present(config, !node.IsNull());
  std::erase_if(places, [&](const auto& place) { return place.first.starts_with(row.name + "."); });
  if (!node.IsNull()) section(row, node, source);
}

RewardSpec Reader::reward(const YAML::Node& node, const ConfigSource& source) const {
  check_map(node, "an entry of reward", source.at(node));
  RewardSpec spec;
  spec.options = yaml_to_json(node, source);
  const auto name = spec.options.find("name");
  CHECK_USAGE(name != spec.options.end() && name->is_string(),
              "{}: an entry of reward needs a 'name'; allowed: {}", source.at(node),
              fmt::join(reward_names(), ", "));
  spec.name = name->get<std::string>();
  if (const auto weight = spec.options.find("weight"); weight != spec.options.end()) {
    CHECK_USAGE(weight->is_number(), "{}: weight of reward '{}': found {}; allowed: a number",
                source.at(node["weight"]), spec.name, describe(node["weight"]));
    spec.weight = weight->get<double>();
  }
  if (const auto label = spec.options.find("label"); label != spec.options.end()) {
    CHECK_USAGE(label->is_string() && is_label(label->get_ref<const std::string&>()),
                "{}: label of reward '{}': found {}; allowed: letters, digits, '_', '-' and '.', at most 64", source.at(node["label"]),
                spec.name, describe(node["label"]));
    spec.kind = std::exchange(spec.name, label->get<std::string>());
    if (spec.kind == spec.name) spec.kind.clear();
  }
  for (const char* key : {"name", "weight", "label"}) spec.options.erase(key);
  return spec;
}

void Reader::rewards(const YAML::Node& node, const ConfigSource& source) {
  CHECK_USAGE(node.IsSequence(),
              "{}: reward must be a list like [{{name: {}, weight: 1.0}}], found {}",
              source.at(node), reward_names().front(), describe(node));
  config.reward.clear();
  std::erase_if(places, [](const auto& place) { return place.first.starts_with("reward."); });
  for (const YAML::Node& item : node) {
    RewardSpec spec = reward(item, source);
    const std::string where = source.at(item);
    const auto [earlier, is_new] = places.emplace("reward." + spec.name, where);
    CHECK_USAGE(is_new,
                "{}: reward '{}' is listed twice{}, and their metrics would have one name; give one of them a label of its own, e.g. "
                "{{name: {}, label: {}_2}}",
                where, spec.name, source.has_lines ? fmt::format(" (it stands already at {})", earlier->second) : "", spec.reward(),
                spec.name);
    try {
      check_reward(spec);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}: {}", where, error.what()));
    }
    config.reward.push_back(std::move(spec));
  }
}

void Reader::override_key(const std::string& text) {
  const ConfigSource source{"command line: " + excerpt(text), false};
  const size_t equals = text.find('=');
  CHECK_USAGE(equals != std::string::npos && equals > 0,
              "{}: expected section.key=value, e.g. trainer.max_steps=20", source.name);
  CHECK_USAGE(text.find_first_of("\r\n") == text.npos,
              "{}: it has a line break, which YAML would take for a space; write \\n in double quotes", source.name);
  const std::string path = text.substr(0, equals);
  const YAML::Node value = parse_yaml(text.substr(equals + 1), source.name, false);
  const size_t dot = path.find_last_of('.');
  const std::string section_name = dot == std::string::npos ? "" : path.substr(0, dot);
  const SectionRow *section_row = find_section(section_name), *row = find_section(path);
  const auto [earlier, is_new] = overridden.emplace(path, excerpt(text));
  CHECK_USAGE(is_new, "{}: given twice; it stands already as {}", source.name, earlier->second);
  places[path] = source.name;
  if (path == "reward") return rewards(value, source);
  CHECK_USAGE(section_name != "reward",
              "{}: reward is a list, replaced as a whole: reward=[{{name: {}}}]", source.name,
              reward_names().front());
  if (row != nullptr && row->optional()) return optional_map(*row, value, source);
  CHECK_USAGE(row == nullptr, "{}: {} is a section; name one of its keys: {}.KEY=value",
              source.name, path, path);
  const KeyRow* key =
      dot == std::string::npos ? nullptr : find_key(section_name, path.substr(dot + 1));
  if (key == nullptr) fail(ExitCode::kUsage, "{}: {}", source.name, explain_unknown(path));
  if (section_row->optional() && !section_row->present(config)) {
    section_row->set_present(config, true);
    places[section_name] = source.name;
  }
  read_value(*key, value, config, source.name);
}

}  // namespace

Config parse_config(const std::string& yaml, const std::string& where,
                    const std::vector<std::string>& overrides, ConfigUse use) {
  Reader reader;
  if (use == ConfigUse::sft || use == ConfigUse::rm) reader.config.trainer.max_steps = -1;
  reader.file(parse_yaml(yaml, where), {where});
  for (const std::string& text : overrides) reader.override_key(text);
  check_config(reader.config, where, reader.places, use);
  return std::move(reader.config);
}

Config load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides, ConfigUse use) {
  std::string text;
  try {
    text = read_file(file, kMaxYamlBytes);
  } catch (const Error& error) {
    // Part of the command line, not of the run's input.
    fail(ExitCode::kUsage, "{}; CONFIG is a YAML file, and `cohort init TASK > FILE` makes one", error.what());
  }
  return parse_config(text, file.string(), overrides, use);
}

}  // namespace cohort
