// data.train and data.eval as lists of sources: [{name: math, path: math.jsonl, weight: 1.0}].
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "core/check.h"
#include "core/text.h"
#include "core/yaml.h"
#include "trainer/config_value.h"
#include "trainer/data_columns.h"

namespace cohort {
namespace {

constexpr double kLargestWeight = 1e6;
constexpr const char* kLabels = "letters, digits, '_', '-' and '.', at most 64";

DataSource read_source(const Json& entry, const KeyRow& key, const std::string& where) {
  const std::string lead = fmt::format("{}: {}", where, key.path());
  CHECK_USAGE(entry.is_object(), "{}: found {} as an entry; allowed: {}", lead, excerpt(entry.dump()), key.allowed());
  std::vector<std::string> known = {"name", "path"};
  if (key.has_weights) known.emplace_back("weight");
  known.emplace_back("columns");
  DataSource source;
  for (const auto& [name, value] : entry.items()) {
    if (std::ranges::find(known, name) == known.end()) {
      const std::string near = nearest_name(name, known);
      fail(ExitCode::kUsage, "{}: unknown key '{}' of a source;{} allowed: {}", lead, excerpt(name),
           near.empty() ? "" : fmt::format(" did you mean '{}'?", near), fmt::join(known, ", "));
    }
    const auto require = [&, &name = name, &value = value](bool right, const std::string& allowed) {
      CHECK_USAGE(right, "{}: {} of a source: found {}; allowed: {}", lead, name, excerpt(value.dump()), allowed);
    };
    if (name == "weight") {
      const double weight = value.is_number() ? value.get<double>() : 0;
      require(weight > 0 && weight <= kLargestWeight, "a number above 0 and at most 1000000");
      source.weight = weight;
      continue;
    }
    if (name == "columns") {
      require(value.is_object(), "a map like {prompt: question}");
      check_columns(value, fmt::format("{}: columns of a source", lead));
      source.columns = value;
      continue;
    }
    const std::string text = value.is_string() ? value.get<std::string>() : "";
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    require(!text.empty() && std::ranges::none_of(text, control), "a text that is not empty, without control characters");
    if (name == "name") require(is_label(text), kLabels);
    (name == "path" ? source.path : source.name) = text;
  }
  CHECK_USAGE(!source.path.empty(), "{}: a source without 'path'; allowed: {}", lead, key.allowed());
  if (source.name.empty()) source.name = std::filesystem::path(source.path).stem().string();
  CHECK_USAGE(is_label(source.name), "{}: the file's own name '{}' cannot be a part of metrics' names; give the source a 'name' of {}", lead,
              excerpt(source.name), kLabels);
  return source;
}

}  // namespace

bool is_label(std::string_view text) {
  constexpr size_t kLongest = 64;
  const auto allowed = [](unsigned char c) { return c < 128 && (std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.'); };
  return !text.empty() && text.size() <= kLongest && std::ranges::all_of(text, allowed);
}

std::vector<DataSource> read_sources(const Json& list, const KeyRow& key, const std::string& where) {
  std::vector<DataSource> sources;
  for (const Json& entry : list) {
    DataSource source = read_source(entry, key, where);
    CHECK_USAGE(std::ranges::find(sources, source.name, &DataSource::name) == sources.end(),
                "{}: {}: two sources are called '{}', and their metrics would have one name; give one of them a name of its own, e.g. {}", where,
                key.path(), source.name, yaml_of(Json{{"name", source.name + "_2"}, {"path", source.path}}));
    sources.push_back(std::move(source));
  }
  return sources;
}

Json source_entry(const DataSource& source, bool weight) {
  Json entry = {{"name", source.name}, {"path", source.path}};
  if (weight) entry["weight"] = source.weight;
  if (!source.columns.empty()) entry["columns"] = source.columns;
  return entry;
}

}  // namespace cohort
