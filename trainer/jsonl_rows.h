// Rows of a JSONL data file, read strictly: what problems (dataset.h) and examples (sft_data.h) have in common.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/json.h"

namespace cohort {

// Calls row(object, id, where) for each line, with LF or CRLF; blank lines are skipped. id: the row's "id", a text or a whole
// number, else "line N". where: "FILE:N". max_rows > 0: only the first so many; lines behind them are not read. `needs`: what a
// row has, for messages. Exit code 3 with the line's number: broken JSON, no object, an id that another row has where they are to be
// unique, a BOM, NUL, a line of more than 16 MB; also an empty file.
enum class RowIds : uint8_t { unique, any };  // any: several rows may be about one problem
void read_rows(const std::filesystem::path& file, int64_t max_rows, std::string_view needs, RowIds ids,
               const std::function<void(Json row, const std::string& id, const std::string& where)>& row);

// Text of the file in a message: in quotes, on one line, at most so long.
std::string shown(std::string_view text);

void check_no_nul(std::string_view text, std::string_view where, std::string_view what);
// In any text of a conversation.
void check_no_nul_inside(const Json& value, std::string_view where);

}  // namespace cohort
