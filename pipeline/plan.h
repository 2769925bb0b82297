// A pipeline: stages that hand files to each other, as a YAML file names them.
//
//   name: r1                               # a stage's files lie in DIR/NAME/STAGE
//   dir: runs                              # from the working directory
//   stages:
//     - {name: zero, train: zero.yaml}     # configs lie beside the pipeline's file
//     - name: samples
//       sample: zero.yaml
//       set: {model.path: "${zero}", rollout.num_generations: 8}
//     - {name: best, filter: {input: "${samples}", min_reward: 1.0, per_prompt: 2}}
//
// ${STAGE} is what an earlier stage leaves: a model folder of sft and train (final_merged/ with model.lora.save_merged), a JSONL file of sample, score, filter and merge, a JSON
// file of eval.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"

namespace cohort {

enum class StageKind : uint8_t { sft, train, eval, sample, score, filter, merge };
const char* stage_kind_name(StageKind kind);
inline bool leaves_model(StageKind kind) { return kind == StageKind::sft || kind == StageKind::train; }

// Which rows of scored completions go on. Rules apply in this order.
struct FilterRules {
  std::string input;
  bool finished = false;             // only completions that ended by themselves, are not empty and have no NUL
  std::optional<double> min_reward;  // only rows with at least this reward; a row without a score has none
  bool mixed = false;                // only prompts with different rewards among their rows (before min_reward took any); a row without a score does not count
  bool dedupe = false;               // of equal completions of a prompt the first
  int64_t per_prompt = 0;            // of each prompt at most so many, the best first, of equal ones the first; 0: all
};

// Files one after the other, or shuffled together.
struct MergeRules {
  std::vector<std::string> inputs;
  std::optional<uint64_t> shuffle;  // the seed
  int64_t max_rows = 0;             // the first so many; 0: all
};

struct Stage {
  std::string name;
  StageKind kind = StageKind::train;
  std::string where;                                       // "FILE:LINE", for messages
  std::filesystem::path config;                            // of sft, train, eval, sample, score
  std::vector<std::pair<std::string, Json>> set;           // keys of the config and their values, with ${STAGE} in texts
  std::string input;                                       // of score: the completions
  FilterRules filter;
  MergeRules merge;

  bool has_config() const { return kind != StageKind::filter && kind != StageKind::merge; }
};

struct Pipeline {
  std::string name, dir = "runs";
  std::vector<Stage> stages;
  std::filesystem::path folder() const { return std::filesystem::path(dir) / name; }
};

// Exit code 2, "FILE:LINE: ...", for anything that is no pipeline: unknown and missing keys with the nearest name, a stage of no or
// two kinds, a name that two stages have or that is no folder's, ${NAME} of no earlier stage, rules out of range.
Pipeline read_pipeline(const std::filesystem::path& file);
Pipeline parse_pipeline(const std::string& yaml, const std::filesystem::path& file);

// The names in ${...} in a text; throws (exit code 2) for a ${ without its }.
std::vector<std::string> references(const std::string& text, const std::string& where);
// What stages left, by name; and a text with each ${NAME} replaced by that.
using Outputs = std::vector<std::pair<std::string, std::filesystem::path>>;
std::string substitute(const std::string& text, const Outputs& outputs);
// `set` as overrides of the command line: "section.key=value".
std::vector<std::string> overrides_of(const Stage& stage, const Outputs& outputs);
// The stages that this one takes something from, in the order of their names.
std::vector<std::string> inputs_of(const Stage& stage);

}  // namespace cohort
