#include "trainer/config_convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/check.h"
#include "core/text.h"
#include "core/yaml.h"
#include "trainer/config_check.h"
#include "trainer/config_names.h"
#include "trainer/config_translator.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

bool ends_with_name(std::string_view path, std::string_view name) {
  return path.ends_with(name) && (path.size() == name.size() || path[path.size() - name.size() - 1] == '.');
}

Peer peer_of(const std::vector<PeerEntry>& entries) {
  for (const PeerEntry& entry : entries)
    if (entry.path.starts_with("actor_rollout_ref.")) return Peer::verl;
  for (const PeerEntry& entry : entries)
    for (const char* name : {"n_samples_per_prompt", "rollout_batch_size", "pretrain", "prompt_data", "init_kl_coef"})
      if (ends_with_name(entry.path, name)) return Peer::openrlhf;
  return Peer::trl;
}

bool holds_one_of(const std::vector<PeerEntry>& entries, std::initializer_list<const char*> names) {
  return std::ranges::any_of(entries, [&](const PeerEntry& entry) {
    return !entry.is_null() && std::ranges::any_of(names, [&](const char* name) { return ends_with_name(entry.path, name); });
  });
}

// Fine-tuning on examples: something that only it has, and nothing of sampling, rewards or a KL term.
bool is_sft(const std::vector<PeerEntry>& entries) {
  return holds_one_of(entries, {"max_length", "max_seq_length", "packing", "assistant_only_loss", "completion_only_loss", "dataset_text_field"}) &&
         !holds_one_of(entries, {"num_generations", "num_generations_per_prompt", "n_samples_per_prompt", "rollout.n", "group_size", "reward_funcs",
                                 "max_completion_length", "max_response_length", "response_length", "generate_max_len", "max_prompt_length",
                                 "prompt_max_len", "prompt_data", "rollout_batch_size", "adv_estimator", "advantage_estimator", "beta", "epsilon",
                                 "temperature", "scale_rewards", "kl_coef", "kl_loss_coef", "init_kl_coef", "use_vllm"});
}

}  // namespace

std::string PeerEntry::shown() const { return printable(excerpt(path)); }

std::optional<double> PeerEntry::number() const {
  const std::string scalar = text();
  double number = 0;
  const auto [end, error] = std::from_chars(scalar.data(), scalar.data() + scalar.size(), number);
  if (scalar.empty() || error != std::errc() || end != scalar.data() + scalar.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::vector<std::string> PeerEntry::list() const {
  if (value.IsScalar()) return {value.Scalar()};
  std::vector<std::string> texts;
  for (const YAML::Node& item : value) texts.push_back(item.IsScalar() ? item.Scalar() : "");
  return texts;
}

Translator::Translator(const YAML::Node& root, std::string file, int64_t process_count)
    : processes(process_count), file_(std::move(file)), config_(full_config()) {
  flatten(root, "");
  peer = peer_of(entries);
  sft = peer == Peer::trl && is_sft(entries);
}

void Translator::flatten(const YAML::Node& node, const std::string& path) {
  for (const auto& entry : node) {
    const std::string name = path.empty() ? entry.first.Scalar() : fmt::format("{}.{}", path, entry.first.Scalar());
    if (entry.second.IsMap()) {
      flatten(entry.second, name);
    } else {
      entries.push_back({name, entry.second, ConfigSource{file_}.at(entry.first)});
    }
  }
}

PeerEntry* Translator::find(std::initializer_list<const char*> names) {
  for (const char* name : names)
    for (PeerEntry& entry : entries)
      if (!entry.used && !entry.is_null() && ends_with_name(entry.path, name)) return &entry;
  return nullptr;
}

PeerEntry* Translator::take(std::initializer_list<const char*> names) {
  PeerEntry* entry = find(names);
  if (entry != nullptr) entry->used = true;
  return entry;
}

void Translator::put(const std::string& path, const std::string& yaml, const PeerEntry& from) {
  const size_t dot = path.find_last_of('.');
  const KeyRow* key = find_key(path.substr(0, dot), path.substr(dot + 1));
  CHECK(key != nullptr, "a rule of conversion names '{}', which is no key", path);
  if (sft && !config_reads(config_, path)) return note(from, fmt::format("cohort sft does not read {}", path));
  if (!sft && path.starts_with("sft.")) return note(from, fmt::format("{} is a key of `cohort sft`", path));
  const std::string where = fmt::format("{}: {}", from.where, from.shown());
  Config read = config_;
  try {
    read_value(*key, parse_yaml(yaml, where, false), read, where);
  } catch (const Error& error) {
    result.notes.push_back(printable(error.what()));
    return;
  }
  const std::string value = yaml_of(*key, read);
  const auto [given, is_new] = given_.try_emplace(path, Given{value, from.shown()});
  if (!is_new && given->second.value != value) return note(from, fmt::format("{} has its value from {} already", path, given->second.from));
  config_ = std::move(read);
  ++result.translated;
}

void Translator::note(const PeerEntry& entry, const std::string& why) {
  result.notes.push_back(printable(fmt::format("{}: {}: {}", entry.where, entry.shown(), why)));
}

void Translator::add_reward(const std::string& yaml, const PeerEntry& from) {
  rewards_.push_back({yaml, from.shown()});
  ++result.translated;
}

std::optional<double> Translator::number_of(const std::string& path) const {
  const auto given = given_.find(path);
  if (given == given_.end()) return std::nullopt;
  return PeerEntry{.path = path, .value = YAML::Node(given->second.value), .where = ""}.number();
}

std::vector<std::string> Translator::gaps() const {
  std::vector<std::string> texts;
  if (!given_.contains("model.path")) texts.emplace_back("model.path: a Hugging Face folder");
  if (!given_.contains("data.train"))
    texts.emplace_back(sft ? "data.train: a JSONL file, one example a line: {\"prompt\": ..., \"completion\": ...} or {\"messages\": [...]}"
                           : "data.train: a JSONL file, one problem a line: {\"prompt\": text or messages, \"answer\": ...}");
  if (rewards_.empty() && !sft) texts.emplace_back("reward: which ones; docs/rewards.md lists them");
  return texts;
}

namespace {

std::string commented(std::string text, const std::string& comment) {
  constexpr size_t kColumn = 44;
  if (text.size() + 2 < kColumn) text.resize(kColumn - 2, ' ');
  return fmt::format("{}  # {}\n", text, comment);
}

}  // namespace

std::string Translator::lines_of(const SectionRow& section) const {
  const std::string margin(section.parent().empty() ? 2 : 4, ' ');
  std::string lines;
  for (const KeyRow* key : keys_of(section.name))
    if (const auto given = given_.find(key->path()); given != given_.end())
      lines += commented(fmt::format("{}{}: {}", margin, key->name, given->second.value), given->second.from);
  if (section.name == "model" && !given_.contains("model.path")) lines += commented("  path: MODEL", "to be filled in: a Hugging Face folder");
  if (section.name == "data" && !given_.contains("data.train")) lines += commented("  train: train.jsonl", "to be filled in");
  if (section.name == "sft" && sft && lines.empty()) lines += commented("  num_train_epochs: 3.0", "the default");
  if (section.name == "reward" && !sft) {
    for (const Given& reward : rewards_) lines += commented(fmt::format("  - {}", reward.value), reward.from);
    if (rewards_.empty()) lines = commented("  - {name: math}", "to be chosen: docs/rewards.md");
  }
  for (const SectionRow& inner : config_sections())
    if (inner.parent() == section.name)
      if (const std::string more = lines_of(inner); !more.empty()) lines += fmt::format("{}{}:\n{}", margin, inner.own_name(), more);
  return lines;
}

std::string Translator::print() const {
  constexpr std::array kNames = {"TRL", "verl", "OpenRLHF"};
  std::string yaml = fmt::format("# Converted from a config of {}; the comments are the names there. All other keys have their defaults:\n"
                                 "# `cohort {} CONFIG --dry-run` prints them.\n",
                                 kNames[static_cast<size_t>(peer)], sft ? "sft" : "train");
  for (const SectionRow& section : config_sections())
    if (section.parent().empty())
      if (const std::string lines = lines_of(section); !lines.empty()) yaml += fmt::format("\n{}:\n{}", section.name, lines);
  return yaml;
}

ConvertedConfig convert_config(const std::string& yaml, const std::string& where, int64_t processes) {
  const YAML::Node root = parse_yaml(yaml, where);
  CHECK_USAGE(root.IsMap(), "{}: a config is a map of keys and values, found {}", where, describe(root));
  Translator t(root, where, processes);
  for (const auto& rule : {drop_parts, translate_sft, translate_batches, translate_step_counts, translate_kl, translate_reference, translate_optimizer,
                           translate_lora, translate_evaluation, translate_data_and_run, translate_rewards, translate_the_rest})
    rule(t);
  CHECK_USAGE(t.result.translated > 0, "{}: none of its {} keys is one that cohort knows from TRL, verl or OpenRLHF", where, t.entries.size());
  t.result.yaml = t.print();
  t.result.to_do = t.gaps();
  try {
    parse_config(t.result.yaml, "the converted config", {}, t.sft ? ConfigUse::sft : ConfigUse::training);
  } catch (const Error& error) {
    t.result.to_do.push_back(printable(error.what()));
  }
  return std::move(t.result);
}

}  // namespace cohort
