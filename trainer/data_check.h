// What can be told of data files before a run: bad lines, columns, lengths, repeated prompts, and prompts of evaluation that training sees.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"
#include "trainer/config.h"

namespace cohort {

struct CheckedSource {
  std::filesystem::path file;
  Json columns = Json::object();  // data.columns
  bool eval = false;
};

struct DataCheckSetting {
  std::string answer = "answer";  // the column that answers are in
  const Tokenizer* tokenizer = nullptr;  // with it lengths are in tokens, and of prompts at most config.max_prompt_length are allowed
  const ChatTemplate* chat_template = nullptr;  // of the same model
  DataSection config;                           // max_prompt_length, and what templates read
};

struct LengthSummary {
  int64_t rows = 0, min = 0, median = 0, percentile_95 = 0, max = 0, total = 0;
};
// Of any numbers; those in the middle are of a row, never a mean of two.
LengthSummary summarize_lengths(std::vector<int64_t> lengths);

struct ColumnSummary {
  std::string name;
  std::map<std::string, int64_t> types;  // how often each
  std::string first_missing;             // "FILE:3": the first row that lacks it; "": none does
};
struct FileSummary {
  std::string file;
  bool eval = false;
  int64_t rows = 0, bad_lines = 0;  // rows: good ones
  std::vector<ColumnSummary> columns;  // of good rows, in the order in which they come
  LengthSummary prompt, answer;
};

struct DataFinding {
  bool error = false;  // training would refuse it, or evaluation would tell nothing; else a warning
  std::string kind;    // bad_line, too_long, leak, ...
  int64_t count = 0;
  std::string text;                 // for people, without the places
  std::vector<std::string> places;  // the first of them: "FILE:12", "FILE:12 repeats FILE:3", or a bad line's whole message
};

struct DataReport {
  bool in_tokens = false;  // else lengths are in characters
  std::vector<FileSummary> files;
  std::vector<DataFinding> findings;
  int64_t errors() const;
  int64_t warnings() const;
};

// Rows are problems, {"prompt", ...}, or examples of fine-tuning, {"prompt", "completion"} or {"messages"} (sft_data.h): of those the
// answer is what is learnt last. A line that training would refuse is a finding and the others are read on; exit code 3 only for a
// file that cannot be read at all.
DataReport check_data(const std::vector<CheckedSource>& sources, const DataCheckSetting& setting);

// One text, whatever its case, white space and Unicode form: the NFKC case fold with single spaces. Punctuation counts: 3-4 is not 3+4.
std::string normalized_prompt(std::string_view text);

Json report_json(const DataReport& report);
std::string report_text(const DataReport& report);

}  // namespace cohort
