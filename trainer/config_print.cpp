// Prints a config as YAML with every key that its run reads, and its help.
#include <fmt/format.h>

#include "trainer/config.h"
#include "trainer/config_check.h"
#include "trainer/config_schema.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

constexpr size_t kHelpColumn = 36;

void print_line(std::string& yaml, std::string line, const std::string& help) {
  if (line.size() + 2 < kHelpColumn) line.resize(kHelpColumn - 2, ' ');
  yaml += fmt::format("{}  # {}\n", line, help);
}

void print_section(std::string& yaml, const SectionRow& row, const Config& config, size_t indent) {
  const std::string margin(indent, ' ');
  if (row.optional() && !row.present(config)) {
    return print_line(yaml, margin + row.own_name() + ": null", row.help);
  }
  print_line(yaml, margin + row.own_name() + ":", row.help);
  for (const KeyRow* key : keys_of(row.name)) {
    if (!config_reads(config, key->path())) continue;
    print_line(yaml, fmt::format("{}  {}: {}", margin, key->name, yaml_of(*key, config)),
               key->help);
  }
}

void print_rewards(std::string& yaml, const SectionRow& row, const Config& config) {
  print_line(yaml, config.reward.empty() ? "reward: []" : "reward:", row.help);
  for (const RewardSpec& spec : config.reward)
    yaml += fmt::format("  - {}\n", yaml_of(reward_entry(spec)));
}

}  // namespace

std::string config_to_yaml(const Config& config) {
  std::string yaml = "# Every key of the run, also those left at their defaults.\n";
  for (const SectionRow& row : config_sections()) {
    if (!config_reads(config, row.name)) continue;
    if (row.name == "reward") {
      print_rewards(yaml, row, config);
    } else {
      print_section(yaml, row, config, row.parent().empty() ? 0 : 2);
    }
  }
  return yaml;
}

}  // namespace cohort
