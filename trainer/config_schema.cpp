#include "trainer/config_schema.h"

#include <fmt/format.h>

#include <cmath>

namespace cohort {
namespace {

// 1048576, not 1.04858e+06.
std::string number(double value) {
  const bool whole = std::abs(value) < 1e15 && value == std::trunc(value);
  return whole ? fmt::format("{}", static_cast<int64_t>(value)) : fmt::format("{}", value);
}

}  // namespace

bool Bounds::contain(double value) const {
  if (or_be && value == *or_be) return true;
  const bool low_enough = below ? value < high : value <= high;
  return low_enough && (above ? value > low : value >= low);  // false for NaN
}

std::string Bounds::text() const {
  std::string text;
  if (std::isfinite(low) && std::isfinite(high) && !above && !below) {
    text = fmt::format("from {} to {}", number(low), number(high));
  } else {
    if (std::isfinite(low)) text = fmt::format("{} {}", above ? "above" : "at least", number(low));
    if (std::isfinite(high)) {
      text += fmt::format("{}{} {}", text.empty() ? "" : " and ", below ? "below" : "at most",
                          number(high));
    }
  }
  return or_be ? fmt::format("{}, or {}", text, number(*or_be)) : text;
}

std::string KeyRow::allowed() const {
  struct Describe {
    const KeyRow& key;
    std::string operator()(bool*) const { return "true or false"; }
    std::string operator()(int64_t*) const { return "an integer " + key.bounds.text(); }
    std::string operator()(uint64_t*) const { return "an integer from 0 to 2^64 - 1"; }
    std::string operator()(float*) const { return "a number " + key.bounds.text(); }
    std::string operator()(double*) const { return "a number " + key.bounds.text(); }
    std::string operator()(Json*) const { return "a map like {enable_thinking: false}"; }
    std::string operator()(std::vector<std::string>*) const {
      return fmt::format("a list like [\"</answer>\"], of at most {} texts of 1 to {} bytes", kLongestList, kLongestEntry);
    }
    std::string operator()(std::vector<int64_t>*) const {
      return fmt::format("a list like [2, 107], of at most {} integers {}", kLongestList, key.bounds.text());
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
