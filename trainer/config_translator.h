// The state of a conversion (config_convert.h): the peer's keys, and what has become of each.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trainer/config_convert.h"
#include "trainer/config_schema.h"

namespace cohort {

enum class Peer { trl, verl, openrlhf };

// One key of the peer's config that is no map.
struct PeerEntry {
  std::string path;  // "actor_rollout_ref.actor.clip_ratio"
  YAML::Node value;
  std::string where;  // "verl.yaml:14"
  bool used = false;

  bool is_null() const { return value.IsNull(); }
  std::string text() const { return value.IsScalar() ? value.Scalar() : ""; }
  std::optional<double> number() const;   // finite
  std::vector<std::string> list() const;  // of its scalars; a scalar is a list of one
  // The path for people and for comments: one line without control characters, as a key of the file may hold any text.
  std::string shown() const;
};

// Python writes True where YAML has true; both are read as YAML.
std::string word_of(const PeerEntry& entry);
bool is_true(const PeerEntry* entry);  // null: false
std::string quoted(const std::string& text);

class Translator {
 public:
  Translator(const YAML::Node& root, std::string file, int64_t processes);

  // The first entry that ends with one of the names and has a value, marked as used; null without one.
  PeerEntry* take(std::initializer_list<const char*> names);
  // The same, left for other rules.
  PeerEntry* find(std::initializer_list<const char*> names);
  // Gives our key a value (YAML); what is not allowed becomes a note. A key that has one keeps it.
  void put(const std::string& path, const std::string& yaml, const PeerEntry& from);
  void note(const PeerEntry& entry, const std::string& why);
  void add_reward(const std::string& yaml, const PeerEntry& from);

  std::optional<double> number_of(const std::string& path) const;  // of ours, where it was given

  Peer peer = Peer::trl;
  bool sft = false;  // the config is one of supervised fine-tuning, and becomes one of `cohort sft`
  int64_t processes;
  double updates_in_a_pass = 1;  // over a step's completions, of TRL; 0: they are not known
  std::vector<PeerEntry> entries;
  ConvertedConfig result;

  std::string print() const;
  std::vector<std::string> gaps() const;  // what print() has put a placeholder for

 private:
  struct Given {
    std::string value, from;
  };
  void flatten(const YAML::Node& node, const std::string& path);
  std::string lines_of(const SectionRow& section) const;  // with the maps inside it
  std::string file_;
  Config config_;
  std::map<std::string, Given> given_;  // our paths
  std::vector<Given> rewards_;
};

// Keys that are said by several of the peer's, or with other values.
// Sections of the peer that have no counterpart: first, so that no rule takes a key of theirs for the policy's.
void drop_parts(Translator& t);
void translate_sft(Translator& t);
void translate_batches(Translator& t);
// TRL counts optimizer steps where cohort counts steps of new completions. After the batches, before all that reads such a key.
void translate_step_counts(Translator& t);
void translate_kl(Translator& t);
void translate_reference(Translator& t);
void translate_optimizer(Translator& t);
void translate_lora(Translator& t);
void translate_evaluation(Translator& t);
void translate_data_and_run(Translator& t);
void translate_rewards(Translator& t);
// Everything else, one by one.
void translate_the_rest(Translator& t);

}  // namespace cohort
