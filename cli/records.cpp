#include "cli/records.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "cli/failure.h"
#include "core/check.h"

namespace cohort {

void RecordFiles::add_options(App& app) {
  app.add_option("--input", input, "JSONL to read, one record a line; - is standard input")
      .type_name("FILE")
      .show_default();
  app.add_option("--output", output, "JSONL to write, in the same order; - is standard output")
      .type_name("FILE")
      .show_default();
}

RecordReader::RecordReader(const std::string& input)
    : name_(input == "-" ? "standard input" : input), in_(input == "-" ? std::cin : file_) {
  if (input == "-") return;
  CHECK_INPUT(!std::filesystem::is_directory(input), "{} is a folder, not a JSONL file", input);
  file_.open(input, std::ios::binary);
  CHECK_INPUT(file_.is_open(), "{} cannot be read: {}", input, std::strerror(errno));
}

bool RecordReader::next(Record& record) {
  std::string text;
  while (std::getline(in_, text)) {
    ++line_;
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    record = {.where = fmt::format("{}:{}", name_, line_)};
    record.value = serve_or_explain(record, [&] {
      Json value = parse_json(text, record.where);
      CHECK_INPUT(value.is_object(), "a record is a JSON object, found {}", value.type_name());
      return value;
    });
    return true;
  }
  CHECK_INPUT(in_.eof(), "{}:{} cannot be read", name_, line_ + 1);
  return false;
}

RecordWriter::RecordWriter(const RecordFiles& files)
    : name_(files.output == "-" ? "standard output" : files.output), out_(files.output == "-" ? std::cout : file_) {
  const std::string& output = files.output;
  if (output == "-") return;
  std::error_code absent;
  CHECK_USAGE(files.input == "-" || !std::filesystem::equivalent(files.input, output, absent),
              "--output {} is the input: it would be emptied before it is read", output);
  file_.open(output, std::ios::binary | std::ios::trunc);
  CHECK_INPUT(file_.is_open(), "{} cannot be written: {}", output, std::strerror(errno));
}

void RecordWriter::write_line(const std::string& line) {
  out_ << line << '\n';
  if (!out_) fail_output(name_, errno);
}

void RecordWriter::write(const Json& record) { write_line(dump_json(record)); }

void RecordWriter::write_error(const std::string& what) {
  ++errors_;
  write_line(dump_json(Json{{"error", what}}));
}

int RecordWriter::finish() {
  out_.flush();
  if (!out_) fail_output(name_, errno);
  if (errors_ == 0) return 0;
  tell(fmt::format("cohort: {} {} could not be served; see \"error\" in the output\n", errors_,
                   errors_ == 1 ? "record" : "records"));
  return static_cast<int>(ExitCode::kInput);
}

Json serve_or_explain(Record& record, const std::function<Json()>& serve) {
  try {
    return serve();
  } catch (const Error& e) {
    if (e.code() != ExitCode::kInput) throw;
    const std::string what = e.what();
    const bool placed = record.where.empty() || what.rfind(record.where, 0) == 0;
    record.error = placed ? what : fmt::format("{}: {}", record.where, what);
    return nullptr;
  }
}

int serve_records(const RecordFiles& files, const std::function<Json(const Json&)>& serve) {
  RecordReader reader(files.input);
  RecordWriter writer(files);
  for (Record record; reader.next(record);) {
    Json answer;
    if (record.error.empty()) {
      answer = serve_or_explain(record, [&] { return serve(record.value); });
    }
    if (record.error.empty()) {
      writer.write(answer);
    } else {
      writer.write_error(record.error);
    }
  }
  return writer.finish();
}

}  // namespace cohort
