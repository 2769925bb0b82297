#include "trainer/config_schema.h"

#include <fmt/format.h>

namespace cohort {

namespace {

std::string or_like(const KeyRow& key, const char* usual) { return key.like.empty() ? usual : key.like; }

}  // namespace

std::string KeyRow::allowed() const {
  struct Describe {
    const KeyRow& key;
    std::string operator()(bool*) const { return "true or false"; }
    std::string operator()(int64_t*) const { return "an integer " + key.bounds.text(); }
    std::string operator()(uint64_t*) const { return "an integer from 0 to 2^64 - 1"; }
    std::string operator()(float*) const { return "a number " + key.bounds.text(); }
    std::string operator()(double*) const { return "a number " + key.bounds.text(); }
    std::string operator()(Json*) const { return "a map like " + or_like(key, "{enable_thinking: false}"); }
    std::string operator()(std::vector<std::string>*) const {
      return fmt::format("a list like {}, of at most {} texts of 1 to {} bytes", or_like(key, "[\"</answer>\"]"), kLongestList, kLongestEntry);
    }
    std::string operator()(std::vector<int64_t>*) const {
      return fmt::format("a list like {}, of at most {} integers {}", or_like(key, "[2, 107]"), kLongestList, key.bounds.text());
    }
    std::string operator()(DataFiles*) const {
      return fmt::format("the path of a JSONL file, null, or a list like [{{name: math, path: math.jsonl{}}}] of at most {} sources",
                         key.has_weights ? ", weight: 1.0" : "", kLongestList);
    }
    std::string operator()(std::string*) const {
      if (key.words.empty()) return key.may_be_null ? "text or null" : "text";
      return fmt::format("one of {}", fmt::join(key.words, ", "));
    }
  };
  Config config = full_config();
  return std::visit(Describe{*this}, value(config));
}

Config full_config() {
  Config config;
  for (const SectionRow& row : config_sections()) {
    if (row.optional()) row.set_present(config, true);
  }
  return config;
}

std::string SectionRow::parent() const {
  const size_t dot = name.find('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

std::string SectionRow::own_name() const { return name.substr(name.find('.') + 1); }

const SectionRow* find_section(std::string_view name) {
  for (const SectionRow& row : config_sections()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

const KeyRow* find_key(std::string_view section, std::string_view name) {
  for (const KeyRow& row : config_keys()) {
    if (row.section == section && row.name == name) return &row;
  }
  return nullptr;
}

std::vector<const KeyRow*> keys_of(std::string_view section) {
  std::vector<const KeyRow*> rows;
  for (const KeyRow& row : config_keys()) {
    if (row.section == section) rows.push_back(&row);
  }
  return rows;
}

}  // namespace cohort
