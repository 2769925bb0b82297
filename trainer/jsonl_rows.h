// Rows of a JSONL data file, read strictly: what problems (dataset.h) and examples (sft_data.h) have in common.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/json.h"

namespace cohort {

enum class RowIds : uint8_t { unique, any };  // any: several rows may be about one problem

// Calls row(object, id, where) for each line, with LF or CRLF; blank lines are skipped. The file may be a gzip file of lines. id: the
// row's "id", a text or a whole number, else "line N". where: "FILE:N". max_rows > 0: only the first so many; lines behind them are not
// read. `needs`: what a row has, for messages. `columns`: names of columns (data_columns.h). Exit code 3 with the line's number: broken
// JSON, no object, an id that another row has where they are to be unique, a BOM, NUL, a line of more than 16 MB; also an empty file.
void read_rows(const std::filesystem::path& file, int64_t max_rows, std::string_view needs, RowIds ids,
               const std::function<void(Json row, const std::string& id, const std::string& where)>& row, const Json& columns = Json::object());

// The parts of it, for whoever goes on behind a bad line. The text of a file; of a gzip file what it holds.
std::string read_lines_text(const std::filesystem::path& file);
// Calls line(text, number) for each that is not blank, until it returns false.
void each_line(std::string_view text, const std::function<bool(std::string_view line, int64_t number)>& line);
struct ParsedRow {
  Json object;
  std::string id;
};
ParsedRow parse_row(std::string_view line, int64_t number, const std::string& where, std::string_view needs, const Json& columns);
// Refuses an id that an earlier line has.
void take_id(std::unordered_map<std::string, int64_t>& line_of_id, const std::string& id, int64_t number, RowIds ids, const std::string& where);

// Text of the file in a message: in quotes, on one line, at most so long.
std::string shown(std::string_view text);

void check_no_nul(std::string_view text, std::string_view where, std::string_view what);
// In any text of a conversation.
void check_no_nul_inside(const Json& value, std::string_view where);

}  // namespace cohort
