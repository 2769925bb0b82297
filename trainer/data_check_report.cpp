// What a check of data found, for people and for programs.
#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "trainer/data_check.h"

namespace cohort {
namespace {

Json lengths_json(const LengthSummary& lengths) {
  const double mean = lengths.rows > 0 ? static_cast<double>(lengths.total) / static_cast<double>(lengths.rows) : 0;
  return {{"rows", lengths.rows}, {"min", lengths.min},   {"median", lengths.median}, {"percentile_95", lengths.percentile_95},
          {"max", lengths.max},   {"total", lengths.total}, {"mean", mean}};
}

std::string lengths_text(const char* what, const LengthSummary& lengths, const char* unit) {
  if (lengths.rows == 0) return fmt::format("  {:<8} none\n", what);
  return fmt::format("  {:<8} {:>7} rows; {}: {} to {}, median {}, 95 % at most {}, {} in all\n", what, lengths.rows, unit, lengths.min, lengths.max,
                     lengths.median, lengths.percentile_95, lengths.total);
}

std::string file_text(const FileSummary& file, const char* unit) {
  std::string text = fmt::format("{}{}: {} rows{}\n", printable(file.file), file.eval ? " (evaluation)" : "", file.rows,
                                 file.bad_lines > 0 ? fmt::format(", {} bad lines", file.bad_lines) : "");
  text += lengths_text("prompts", file.prompt, unit) + lengths_text("answers", file.answer, unit);
  std::string columns;
  for (const ColumnSummary& column : file.columns) {
    std::string types;
    for (const auto& [type, count] : column.types) types += fmt::format("{}{}", types.empty() ? "" : " or ", type);
    columns += fmt::format("{}{} ({})", columns.empty() ? "" : ", ", printable(column.name), types);
  }
  return text + fmt::format("  columns  {}\n", columns.empty() ? "none" : columns);
}

}  // namespace

Json report_json(const DataReport& report) {
  Json files = Json::array(), findings = Json::array();
  for (const FileSummary& file : report.files) {
    Json columns = Json::object();
    for (const ColumnSummary& column : file.columns) columns[column.name] = column.types;
    files.push_back({{"file", file.file}, {"eval", file.eval}, {"rows", file.rows}, {"bad_lines", file.bad_lines}, {"columns", columns},
                     {"prompt_length", lengths_json(file.prompt)}, {"answer_length", lengths_json(file.answer)}});
  }
  for (const DataFinding& finding : report.findings)
    findings.push_back({{"severity", finding.error ? "error" : "warning"}, {"kind", finding.kind}, {"count", finding.count}, {"text", finding.text},
                        {"places", finding.places}});
  return {{"unit", report.in_tokens ? "tokens" : "characters"}, {"files", files}, {"findings", findings}, {"errors", report.errors()},
          {"warnings", report.warnings()}};
}

std::string report_text(const DataReport& report) {
  std::string text;
  for (const FileSummary& file : report.files) text += file_text(file, report.in_tokens ? "tokens" : "characters");
  for (const DataFinding& finding : report.findings) {
    text += fmt::format("\n{}: {} {}\n", finding.error ? "error" : "warning", finding.count, finding.text);
    for (const std::string& place : finding.places) text += fmt::format("  {}\n", printable(place));
    if (finding.count > std::ssize(finding.places)) text += fmt::format("  and {} more\n", finding.count - std::ssize(finding.places));
  }
  if (report.findings.empty()) return text + "\nnothing found\n";
  return text + fmt::format("\n{} kinds of errors, {} of warnings\n", report.errors(), report.warnings());
}

}  // namespace cohort
