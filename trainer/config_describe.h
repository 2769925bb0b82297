// What a key of the config is, in words and as data: `cohort explain`, `schema`, `completion`, `man` and docs/config.md are
// all made from here, that is from the table of keys (config_keys.cpp), the peers' names and the sources.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "trainer/config_names.h"
#include "trainer/config_schema.h"

namespace cohort {

// "integer", "number", "boolean", "text", "map", "list of texts", "list of integers".
std::string key_type(const KeyRow& key);
// As YAML; "" where there is none and the key must be given (data.task.name).
std::string key_default(const KeyRow& key);
// The same as a value; null also where it must be given.
Json key_default_json(const KeyRow& key);

// Where an idea comes from: "Yu et al. 2025, DAPO, arXiv:2503.14476"; "" where it is no one's.
struct KeySource {
  std::string path, source;
};
const std::vector<KeySource>& key_sources();
std::string key_source(std::string_view path);

// What other frameworks call a key: the rows of peer_names() that map to it.
std::vector<PeerName> peers_of(std::string_view path);

// What a value has to do with the bits of the run, and so with resuming it.
enum class KeyEffect {
  all,            // the value decides them, and stays
  content,        // not the path, but what the files hold
  from_there_on,  // it may change, and the bits with it
  none,           // it may change, and they do not
};
KeyEffect key_effect(const KeyRow& key);

// All about one key, for people: what it does, type, default, range, whether it decides the bits, source, peers' names.
std::string describe_key(const KeyRow& key);
// One line a key. Of all sections, or of one and the maps inside it.
std::string list_keys(std::string_view section = "");

// What `cohort explain QUERY` prints: about a key by its path or by its name alone, a section, or a peer's name.
// Throws (exit code 2) for anything else, with the nearest.
std::string explain(const std::string& query);

// docs/config.md.
std::string config_markdown();
// In a cell of a table: a bar would end it, and what stands in <> would be taken for HTML.
std::string markdown_cell(const std::string& text);

// The JSON Schema (draft 2020-12) of a config file, for editors: types, ranges, words, defaults and help of every key. What
// keys must be to each other it does not know.
Json config_json_schema();
Json bounds_schema(const Bounds& bounds, const char* type);

}  // namespace cohort
