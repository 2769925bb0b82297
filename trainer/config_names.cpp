#include "trainer/config_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "core/yaml.h"
#include "trainer/config_schema.h"

namespace cohort {
namespace {

std::string last_part(std::string_view path) {
  return std::string(path.substr(path.find_last_of('.') + 1));
}
std::string before_last(std::string_view path) {
  const size_t dot = path.find_last_of('.');
  return dot == std::string_view::npos ? "" : std::string(path.substr(0, dot));
}

// Keys and maps of a section ("" : of the file); a name may be in several sections.
std::vector<std::string> names_in(std::string_view section) {
  std::vector<std::string> names;
  for (const KeyRow* row : keys_of(section)) names.push_back(row->name);
  for (const SectionRow& row : config_sections()) {
    if (row.parent() == section) names.push_back(row.own_name());
  }
  return names;
}

std::vector<std::string> sections_with(const std::string& name) {
  std::vector<std::string> sections;
  for (const SectionRow& row : config_sections()) {
    const std::vector<std::string> names = names_in(row.name);
    if (std::ranges::find(names, name) != names.end()) sections.push_back(row.name);
  }
  return sections;
}

std::string answer_of(const PeerName& peer) {
  if (peer.ours.empty()) return "; " + peer.note;
  return fmt::format("; cohort calls it '{}'{}", peer.ours,
                     peer.note.empty() ? "" : " (" + peer.note + ")");
}

std::string nearest_anywhere(const std::string& name) {
  std::vector<std::string> all;
  for (const KeyRow& row : config_keys()) all.push_back(row.name);
  return nearest_name(name, all);
}

}  // namespace

const PeerName* find_peer_name(std::string_view path) {
  for (size_t at = 0;;) {
    const std::string_view end = path.substr(at);
    const auto& names = peer_names();
    const auto found = std::ranges::find(names, end, &PeerName::name);
    if (found != names.end()) return &*found;
    const size_t dot = path.find('.', at);
    if (dot == std::string_view::npos) return nullptr;
    at = dot + 1;
  }
}

std::string explain_unknown(std::string_view path) {
  const std::string section = before_last(path), name = last_part(path);
  const std::string what =
      fmt::format("unknown {} '{}'", section.empty() ? "section" : "key", excerpt(path));
  if (const PeerName* peer = find_peer_name(path)) return what + answer_of(*peer);
  if (const std::vector<std::string> right = sections_with(name); !right.empty()) {
    return fmt::format("{}; '{}' belongs into section {}", what, name, fmt::join(right, " or "));
  }
  if (!section.empty() && find_section(name) != nullptr) {
    return fmt::format("{}; '{}' is a section of its own: write it at the left margin", what, name);
  }
  if (const size_t colon = name.find(':'); colon != std::string::npos) {
    return fmt::format("{}; write a space behind the ':'", what);
  }
  const bool known_section = section.empty() || find_section(section) != nullptr;
  const std::vector<std::string> names = names_in(known_section ? section : "");
  if (known_section) {
    if (const std::string near = nearest_name(name, names); !near.empty()) {
      return fmt::format("{}; did you mean '{}'?", what, near);
    }
    if (const std::string near = nearest_anywhere(name); !near.empty()) {
      return fmt::format("{}; did you mean '{}' of section {}?", what, near,
                         fmt::join(sections_with(near), " or "));
    }
  } else if (const std::string near = nearest_name(section, names); !near.empty()) {
    return fmt::format("{}; did you mean section '{}'?", what, near);
  }
  return fmt::format("{}; allowed: {}", what, fmt::join(names, ", "));
}

}  // namespace cohort
