// JSONL in, JSONL out: one record a line, answered in the order given. A record that cannot be
// served gets {"error"} in its place, and the process ends with exit code 3.
#pragma once

#include <fstream>
#include <functional>
#include <istream>
#include <ostream>
#include <string>

#include "cli/app.h"
#include "core/json.h"

namespace cohort {

// --input and --output of a command; "-" is standard input or output.
struct RecordFiles {
  std::string input = "-", output = "-";
  void add_options(App& app);
};

// One line of input: an object, or why it is none.
struct Record {
  std::string where;  // "data.jsonl:17"
  Json value;
  std::string error;
};

class RecordReader {
 public:
  explicit RecordReader(const std::string& input);  // exit code 3 when the file cannot be opened
  // The next line that is not blank; false at the end.
  bool next(Record& record);

 private:
  std::string name_;
  std::ifstream file_;
  std::istream& in_;
  int64_t line_ = 0;
};

class RecordWriter {
 public:
  // Exit code 3 when the file cannot be made, 2 when it is the input: opening it would empty it.
  explicit RecordWriter(const RecordFiles& files);
  void write(const Json& record);
  void write_text(const std::string& text) { write_line(text); }  // not JSON, for people
  void write_error(const std::string& what);
  int64_t errors() const { return errors_; }
  // Flushes, and says on standard error how many records failed: exit code 0 or 3. A full disk:
  // exit code 6.
  int finish();

 private:
  void write_line(const std::string& line);
  std::string name_;
  std::ofstream file_;
  std::ostream& out_;
  int64_t errors_ = 0;
};

// Calls `serve` and returns what it returns. An Error about the input becomes record.error, led by
// its file and line, and gives null.
Json serve_or_explain(Record& record, const std::function<Json()>& serve);

// Answers every record on its own: for commands that need no batches.
int serve_records(const RecordFiles& files, const std::function<Json(const Json&)>& serve);

}  // namespace cohort
