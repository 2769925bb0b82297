// The identity of a run: which keys a checkpoint may be resumed under, and how two of them differ.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "core/json.h"
#include "model/lora.h"
#include "trainer/advantage.h"
#include "trainer/config.h"
#include "trainer/config_check.h"
#include "trainer/config_schema.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

// Options in the order of the alphabet: how a file orders them does not matter.
nlohmann::json sorted(const Json& value) { return nlohmann::json::parse(value.dump()); }

bool learning_rate_knows_max_steps(const Config& config) {
  return config.optim.lr_scheduler_type != "constant" || config.optim.warmup_ratio > 0;
}

// A Hugging Face folder may be written with or without a slash at its end.
std::string model_path(const Config& config) {
  const std::filesystem::path path = std::filesystem::path(config.model.path).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).string();
}

// What ends a completion is a set: neither the order of a list nor what it repeats matters.
template <typename T>
void make_set(std::vector<T>& list) {
  std::ranges::sort(list);
  const auto repeated = std::ranges::unique(list);
  list.erase(repeated.begin(), repeated.end());
}

using Entries = std::map<std::string, std::string>;  // path: value

Entries identity_entries(Config config) {
  config.model.path = config.model.path.empty() ? "" : model_path(config);
  config.algorithm.scale_rewards = resolved_scale_rewards(config.algorithm);
  make_set(config.rollout.stop);
  make_set(config.rollout.stop_token_ids);
  if (config.model.lora) config.model.lora->target_modules = lora_modules(config.model.lora->target_modules);
  Entries entries;
  for (const SectionRow& row : config_sections()) {
    if (config.learns_from_rows() && !config_reads(config, row.name)) continue;
    if (row.optional()) entries[row.name] = row.present(config) ? "given" : "absent";
    if (row.optional() && !row.present(config)) continue;
    for (const KeyRow* key : keys_of(row.name)) {
      if (key->decides_bits && (!config.learns_from_rows() || config_reads(config, key->path()))) entries[key->path()] = yaml_of(*key, config);
    }
  }
  // Files may move; how they are mixed is another run.
  if (!config.data.train.sources.empty()) {
    std::vector<std::string> weights;
    for (const DataSource& source : config.data.train.sources) weights.push_back(fmt::format("{}: {}", source.name, source.weight));
    entries["data.train"] = fmt::format("{{{}}}", fmt::join(weights, ", "));
  }
  const bool rows = config.learns_from_rows(), by_epochs = rows && config.trainer.max_steps < 0;
  if (rows && !by_epochs) entries[config.sft ? "sft.num_train_epochs" : "rm.num_train_epochs"] = "left to trainer.max_steps";
  if (by_epochs || !learning_rate_knows_max_steps(config)) entries.erase("trainer.max_steps");
  nlohmann::json rewards = nlohmann::json::array();
  for (const RewardSpec& spec : config.reward) rewards.push_back(sorted(reward_entry(spec)));
  entries["reward"] = rewards.dump();
  return entries;
}

// What a key is when an older version did not write it.
Entries default_entries() {
  Config config;
  for (const SectionRow& row : config_sections()) {
    if (row.optional()) row.set_present(config, true);
  }
  Entries entries = identity_entries(config);  // of a run of cohort sft, of one of cohort rm, and of the others
  config.sft.reset();
  entries.merge(identity_entries(config));
  config.rm.reset();
  entries.merge(identity_entries(config));
  for (const SectionRow& row : config_sections()) {
    if (row.optional()) entries[row.name] = "absent";
  }
  return entries;
}

Entries parse_identity(const std::string& text) {
  Entries entries;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) entries[line.substr(0, colon)] = line.substr(colon + 2);
    at = end + 1;
  }
  return entries;
}

// Whether an optional map that holds `path` is absent on one of the two sides: saying that once is
// enough.
bool told_by_its_map(const std::string& path, const Entries& now, const Entries& then) {
  for (const SectionRow& row : config_sections()) {
    if (!row.optional() || !path.starts_with(row.name + ".")) continue;
    const auto a = now.find(row.name), b = then.find(row.name);
    return a != now.end() && b != then.end() && a->second != b->second;
  }
  return false;
}

}  // namespace

std::string config_identity(const Config& config) {
  std::string text;
  for (const auto& [path, value] : identity_entries(config))
    text += fmt::format("{}: {}\n", path, value);
  return text;
}

std::vector<std::string> identity_differences(const Config& config,
                                              const std::string& stored_identity,
                                              std::string_view ours, std::string_view theirs) {
  const Entries now = identity_entries(config), defaults = default_entries();
  const Entries then = parse_identity(stored_identity);
  std::map<std::string, std::pair<std::string, std::string>> differences;
  for (const auto& [path, value] : now) {
    const auto stored = then.find(path), standard = defaults.find(path);
    const std::string was = stored != then.end()         ? stored->second
                            : standard != defaults.end() ? standard->second
                                                         : "absent";
    if (was != value) differences[path] = {value, was};
  }
  for (const auto& [path, value] : then) {
    if (!now.contains(path)) differences[path] = {"absent", value};
  }
  if (differences.contains("sft")) {  // runs of two commands: everything differs
    std::erase_if(differences, [](const auto& difference) { return difference.first != "sft"; });
  }
  std::vector<std::string> texts;
  for (const auto& [path, values] : differences) {
    if (told_by_its_map(path, now, then)) continue;
    texts.push_back(fmt::format("{} ({} {}, {} {})", path, ours, values.first, theirs, values.second));
  }
  return texts;
}

}  // namespace cohort
