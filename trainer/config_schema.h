// The schema of a config: one row per key. Parsing, printing, "did you mean" and the identity of a
// run all read it.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/bounds.h"
#include "core/json.h"
#include "trainer/config.h"

namespace cohort {

using ValuePointer = std::variant<bool*, int64_t*, uint64_t*, float*, double*, std::string*, Json*,
                                  std::vector<std::string>*, std::vector<int64_t>*, DataFiles*>;

// Lists of texts and of numbers: so many entries, and bytes of a text.
constexpr size_t kLongestList = 64, kLongestEntry = 256;

struct KeyRow {
  std::string section, name;  // "model.init", "hidden_size"
  ValuePointer (*value)(Config&);
  Bounds bounds;                   // numbers, and those of a list
  std::vector<std::string> words;  // text: one of these; empty: any
  bool may_be_null = false;        // text: null is the empty text, and the key is absent
  bool decides_bits = true;        // part of config_identity
  bool has_weights = false;        // data files: whether sources have weights
  std::string like = {};           // maps and lists: an example, where the usual one would mislead
  std::string help;

  std::string path() const { return section + "." + name; }
  std::string allowed() const;  // "an integer from 1 to 4096", "one of group, none"
};

// A section, or a map inside one that may be absent ("model.init").
struct SectionRow {
  std::string name, help;
  bool (*present)(const Config&) = nullptr;  // nullptr: always
  void (*set_present)(Config&, bool) = nullptr;

  bool optional() const { return present != nullptr; }
  std::string parent() const;    // "model" of "model.init"; "" of a section of the file
  std::string own_name() const;  // "init" of "model.init"
};

// In the order of the file; a map inside a section stands behind its section. `reward` has no keys
// of its own: it is a list of maps (config_reward.h).
const std::vector<SectionRow>& config_sections();
// Every map that may be absent is present; all values are the defaults.
Config full_config();
const std::vector<KeyRow>& config_keys();

// nullptr when there is none.
const SectionRow* find_section(std::string_view name);
const KeyRow* find_key(std::string_view section, std::string_view name);
std::vector<const KeyRow*> keys_of(std::string_view section);

}  // namespace cohort
