// Answers of `cohort explain`: whatever name a person has for a key, a reward or its option.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/check.h"
#include "core/text.h"
#include "core/yaml.h"
#include "trainer/config_describe.h"
#include "trainer/config_rewards.h"

namespace cohort {
namespace {

std::vector<const KeyRow*> keys_called(std::string_view name) {
  std::vector<const KeyRow*> keys;
  for (const KeyRow& key : config_keys())
    if (key.name == name || key.path() == name) keys.push_back(&key);
  return keys;
}

std::string describe_all(const std::vector<const KeyRow*>& keys) {
  std::string text;
  for (const KeyRow* key : keys) text += fmt::format("{}{}", text.empty() ? "" : "\n", describe_key(*key));
  return text;
}

// A name of another framework: what it is here, and all about that.
std::string describe_peer(const PeerName& peer) {
  if (peer.ours.empty()) return fmt::format("{}: no key of cohort; {}\n", peer.name, peer.note);
  const std::string note = peer.note.empty() ? "" : fmt::format(" ({})", peer.note);
  return fmt::format("{}: cohort calls it '{}'{}\n\n{}", peer.name, peer.ours, note, describe_all(keys_called(peer.ours)));
}

[[noreturn]] void refuse(const std::string& query) {
  // "rollout.num_generation": the section is right, and the answer is that of a config file.
  if (query.find('.') != std::string::npos) fail(ExitCode::kUsage, "{}; `cohort explain` lists all keys", explain_unknown(query));
  std::vector<std::string> names;
  for (const KeyRow& key : config_keys()) names.push_back(key.name);
  for (const SectionRow& row : config_sections()) names.push_back(row.name);
  for (const PeerName& peer : peer_names()) names.push_back(peer.name);
  for (const std::string& path : reward_paths()) names.push_back(path.substr(path.rfind('.') + 1));
  const std::string near = nearest_name(query, names);
  std::vector<std::string> holding;  // "batch_size" is a part of several names
  for (const std::string& name : names)
    if (query.size() > 2 && name.find(query) != std::string::npos && std::ranges::find(holding, name) == holding.end()) holding.push_back(name);
  holding.resize(std::min<size_t>(holding.size(), 6));
  fail(ExitCode::kUsage, "unknown key '{}';{}{} `cohort explain` lists all keys", excerpt(query),
       near.empty() ? "" : fmt::format(" did you mean '{}'?", near), holding.empty() ? "" : fmt::format(" names with it: {};", fmt::join(holding, ", ")));
}

}  // namespace

std::string explain(const std::string& query) {
  if (query.empty()) return list_keys();
  if (find_section(query) != nullptr) return list_keys(query);
  if (std::optional<std::string> text = explain_reward(query)) return *text;
  std::vector<std::string> found = explain_options_called(query);
  if (const std::vector<const KeyRow*> keys = keys_called(query); !keys.empty()) found.insert(found.begin(), describe_all(keys));
  if (!found.empty()) return fmt::format("{}", fmt::join(found, "\n"));
  if (const PeerName* peer = find_peer_name(query)) return describe_peer(*peer);
  refuse(query);
}

}  // namespace cohort
