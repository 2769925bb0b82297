// docs/config.md, made from the table of keys.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "trainer/config_describe.h"
#include "trainer/config_rewards.h"

namespace cohort {
namespace {

std::string peers_text(const KeyRow& key) {
  std::vector<std::string> names;
  for (const PeerName& peer : peers_of(key.path())) names.push_back(fmt::format("`{}`", peer.name));
  return fmt::format("{}", fmt::join(names, ", "));
}

const char* mark_of(KeyEffect effect) {
  switch (effect) {
    case KeyEffect::all: return "";
    case KeyEffect::content: return " §";
    case KeyEffect::from_there_on: return " †";
    case KeyEffect::none: break;
  }
  return " ‡";
}

std::string key_row(const KeyRow& key) {
  const std::string standard = key_default(key), source = key_source(key.path());
  std::string help = source.empty() ? key.help : fmt::format("{}. Source: {}", key.help, source);
  return fmt::format("| `{}` | {} | {} | {}{} | {} |\n", key.name, standard.empty() ? "(needed)" : fmt::format("`{}`", markdown_cell(standard)),
                     markdown_cell(key.allowed()), markdown_cell(help), mark_of(key_effect(key)), markdown_cell(peers_text(key)));
}

std::string section_text(const SectionRow& section) {
  std::string text = fmt::format("\n## {}\n\n{}{}\n", section.name, section.help, section.optional() ? ". May be left out" : "");
  if (section.name == "reward") return text + rewards_markdown();
  text += "\n| key | default | allowed | what it does | elsewhere |\n|---|---|---|---|---|\n";
  for (const KeyRow* key : keys_of(section.name)) text += key_row(*key);
  return text;
}

}  // namespace

std::string markdown_cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<') out += '\\';
    out += c;
  }
  return out;
}

std::string config_markdown() {
  std::string text =
      "# Config reference\n\n"
      "Every key of a config and every option of a reward, made by `cohort explain --markdown` from the tables that the program reads\n"
      "(`trainer/config_keys.cpp`, and each reward's own in `reward/`); a test fails when this page is not what that prints. `cohort explain KEY` says the\n"
      "same in the terminal, `cohort schema` is a JSON Schema for editors.\n\n"
      "Any key can be replaced on the command line: `cohort train CONFIG SECTION.KEY=VALUE`. \"Elsewhere\" is what TRL, verl, OpenRLHF and NeMo-RL\n"
      "call it where they do not say the same; `cohort convert-config` translates. Keys with ‡ change no bit of what is trained, and may differ when a\n"
      "run is resumed. With § the content of the files decides, with the sources' names and weights: a run is resumed only with the same, and files may\n"
      "move. With † a run may be resumed under another value, and its bits are others from there on. All others stay.\n";
  for (const SectionRow& section : config_sections()) text += section_text(section);
  return text;
}

}  // namespace cohort
