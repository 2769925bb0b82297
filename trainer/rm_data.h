// Pairs of answers of which one is better, for the training of reward models: rows of JSONL files or a built-in task, as tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "trainer/config.h"
#include "trainer/dataset.h"
#include "trainer/model_setup.h"

namespace cohort {

// A row before it is tokens: two conversations of messages, or two texts behind `prompt`.
struct PairRow {
  std::string id;
  Json chosen_messages = Json::array(), rejected_messages = Json::array();  // with the prompt's; none: texts
  std::string prompt, chosen, rejected;
  Json tools, kwargs = Json::object();  // of the row, for the template
  double margin = 0;
};

// {"chosen", "rejected", "prompt"?, "margin"?}: all texts, or lists of messages; behind a prompt of messages, a text is one message of the
// assistant. As TRL's preference data, without a prompt the two hold it. For messages also "tools" and "chat_template_kwargs"; further
// columns are not read. Errors as of read_rows, with the line's number: a column that is missing, empty or of another type, and a
// conversation that does not end with the assistant.
std::vector<PairRow> load_pair_rows(const std::filesystem::path& file, int64_t max_rows = 0, const Json& columns = Json::object());
// Of a built-in task: the solution against that of the next problem that has another one.
std::vector<PairRow> pair_rows(const Dataset& task);

// Up to the token whose score is the conversation's.
struct PreferencePair {
  std::string id;
  std::vector<int32_t> chosen, rejected;
  double margin = 0;
};

struct PairSet {
  std::string name;  // file or task, for messages
  std::vector<PreferencePair> pairs;
  int64_t filtered = 0;     // rows that were too long (rm.filter_overlong)
  int64_t equal = 0;        // pairs of equal tokens, which teach nothing
  std::string fingerprint;  // of tokens and margins
};

// As ScoreEncoder has them. Exit code 3, naming data set and row: what the template refuses, a token that the model does not have, a
// conversation longer than rm.max_length (with filter_overlong its pair is left out), and a data set of which nothing is left, or nothing but pairs
// of equal conversations.
PairSet encode_pairs(const std::string& name, const std::vector<PairRow>& rows, const LoadedModel& model, const Config& config, const Exec& ex);

struct RmData {
  PairSet train, eval;  // eval: no pairs when there are none in the config
};
RmData load_rm_data(const Config& config, const LoadedModel& model, const Exec& ex);

}  // namespace cohort
