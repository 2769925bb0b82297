#include "trainer/config_describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/yaml.h"
#include "trainer/config_rewards.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

// A word is its own type: `text` with a list of what is allowed.
struct TypeName {
  std::string operator()(bool*) const { return "boolean"; }
  std::string operator()(int64_t*) const { return "integer"; }
  std::string operator()(uint64_t*) const { return "integer"; }
  std::string operator()(float*) const { return "number"; }
  std::string operator()(double*) const { return "number"; }
  std::string operator()(Json*) const { return "map"; }
  std::string operator()(std::string*) const { return "text"; }
  std::string operator()(std::vector<std::string>*) const { return "list of texts"; }
  std::string operator()(std::vector<int64_t>*) const { return "list of integers"; }
  std::string operator()(DataFiles*) const { return "path or list of sources"; }
};

const char* effect_text(KeyEffect effect) {
  switch (effect) {
    case KeyEffect::all: return "decides the bits of the run: a checkpoint is resumed only under the same value";
    case KeyEffect::content:
      return "what the files hold decides the bits of the run, and sources' names and weights do: a checkpoint is resumed only with the same; the "
             "files may move";
    case KeyEffect::from_there_on: return "may differ when a run is resumed, and its bits are others from there on";
    case KeyEffect::none: break;
  }
  return "changes no bit of what is trained: it may differ when a run is resumed";
}

constexpr size_t kNameWidth = 28, kDefaultWidth = 14;

std::string list_section(const SectionRow& section) {
  std::string text = fmt::format("{}: {}{}\n", section.name, section.help, section.optional() ? " (may be left out)" : "");
  if (section.name == "reward") text += list_rewards();
  for (const KeyRow* key : keys_of(section.name)) {
    const std::string standard = key_default(*key);
    text += fmt::format("  {:<{}} {:<{}} {}\n", key->name, kNameWidth, standard.empty() ? "(needed)" : standard, kDefaultWidth, key->help);
  }
  return text;
}

}  // namespace

std::string key_type(const KeyRow& key) {
  Config config = full_config();
  return std::visit(TypeName{}, key.value(config));
}

std::string key_default(const KeyRow& key) {
  Config config = full_config();
  const bool needed = !key.words.empty() && std::get<std::string*>(key.value(config))->empty();
  return needed ? "" : yaml_of(key, config);
}

Json key_default_json(const KeyRow& key) {
  const std::string text = key_default(key);
  if (text.empty() || text == "null") return nullptr;
  return yaml_to_json(parse_yaml(text, key.path(), false), {key.path(), false});
}

std::string key_source(std::string_view path) {
  const auto found = std::ranges::find(key_sources(), path, &KeySource::path);
  return found == key_sources().end() ? "" : found->source;
}

std::vector<PeerName> peers_of(std::string_view path) {
  std::vector<PeerName> peers;
  std::ranges::copy_if(peer_names(), std::back_inserter(peers), [&](const PeerName& peer) { return peer.ours == path; });
  return peers;
}

KeyEffect key_effect(const KeyRow& key) {
  if (key.has_weights || key.path() == "data.columns") return KeyEffect::content;
  if (key.path() == "run.device") return KeyEffect::from_there_on;
  return key.decides_bits ? KeyEffect::all : KeyEffect::none;
}

std::string describe_key(const KeyRow& key) {
  const std::string standard = key_default(key), source = key_source(key.path());
  std::string text = fmt::format("{}\n  {}\n\n", key.path(), key.help);
  text += fmt::format("  type      {}\n", key_type(key));
  text += fmt::format("  default   {}\n", standard.empty() ? "none: it must be given" : standard);
  text += fmt::format("  allowed   {}\n", key.allowed());
  text += fmt::format("  result    {}\n", effect_text(key_effect(key)));
  if (const SectionRow* section = find_section(key.section); section->optional())
    text += fmt::format("  inside    {}, which may be left out\n", section->name);
  if (!source.empty()) text += fmt::format("  source    {}\n", source);
  const char* heading = "elsewhere";
  for (const PeerName& peer : peers_of(key.path())) {
    text += fmt::format("  {:<9} {}{}\n", heading, peer.name, peer.note.empty() ? "" : fmt::format(" ({})", peer.note));
    heading = "";
  }
  text += fmt::format("  example   cohort train CONFIG {}={}\n", key.path(), standard.empty() ? key.words.front() : standard);
  return text;
}

std::string list_keys(std::string_view section) {
  std::string text;
  for (const SectionRow& row : config_sections()) {
    if (!section.empty() && row.name != section && row.parent() != section) continue;
    text += fmt::format("{}{}", text.empty() ? "" : "\n", list_section(row));
  }
  return text;
}

}  // namespace cohort
