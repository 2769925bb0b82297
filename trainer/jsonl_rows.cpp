#include "trainer/jsonl_rows.h"

#include <algorithm>

#include "core/check.h"
#include "core/files.h"
#include "core/gzip.h"
#include "trainer/data_columns.h"

namespace cohort {
namespace {

constexpr size_t kMaxFileBytes = size_t{8} << 30;
constexpr size_t kMaxLineBytes = size_t{16} << 20;
constexpr std::string_view kBom = "\xEF\xBB\xBF";

std::string read_id(const Json& id, const std::string& where) {
  if (id.is_number_integer()) return id.dump();
  CHECK_INPUT(id.is_string() && !id.get_ref<const std::string&>().empty(),
              "{}: 'id' is a whole number or a text that is not empty, found {}", where,
              id.is_string() ? "an empty text" : id.type_name());
  check_no_nul(id.get_ref<const std::string&>(), where, "'id'");
  return id.get<std::string>();
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

constexpr const char* kOfAList = "; of a file that is one list, `jq -c '.[]' FILE` makes rows";

Json parse_line(std::string_view line, const std::string& where, std::string_view needs) {
  try {
    return parse_json(line, where);
  } catch (const Error& error) {
    const size_t begin = line.find_first_not_of(" \t");
    const bool list = begin != std::string_view::npos && line[begin] == '[';
    fail(error.code(), "{}; a line is one row: a JSON object with {}{}", error.what(), needs, list ? kOfAList : " (docs/data.md)");
  }
}

}  // namespace

std::string shown(std::string_view text) { return dump_json(Json(text.substr(0, 60))); }

void check_no_nul(std::string_view text, std::string_view where, std::string_view what) {
  CHECK_INPUT(text.find('\0') == std::string_view::npos, "{}: {} has a NUL character", where, what);
}

void check_no_nul_inside(const Json& value, std::string_view where) {
  if (value.is_string()) check_no_nul(value.get_ref<const std::string&>(), where, "a text");
  if (!value.is_structured()) return;
  for (const auto& [key, item] : value.items()) {
    if (value.is_object()) check_no_nul(key, where, "a key");
    check_no_nul_inside(item, where);
  }
}

std::string read_lines_text(const std::filesystem::path& file) {
  std::string text = read_file(file, kMaxFileBytes);
  CHECK_INPUT(!text.starts_with("PAR1"), "{}: a parquet file; data are JSONL here, one row a line, which one line of Python or DuckDB makes of it: docs/data.md",
              file.string());
  return is_gzip(text) ? gunzip(text, file.string(), kMaxFileBytes) : text;
}

void each_line(std::string_view text, const std::function<bool(std::string_view, int64_t)>& line) {
  for (int64_t number = 1; !text.empty(); ++number) {
    const std::string_view one = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
    if (!is_blank(one) && !line(one, number)) return;
  }
}

ParsedRow parse_row(std::string_view line, int64_t number, const std::string& where, std::string_view needs, const Json& columns) {
  CHECK_INPUT(line.size() <= kMaxLineBytes, "{}: a line of {} bytes; allowed are {}", where,
              line.size(), kMaxLineBytes);
  CHECK_INPUT(!line.starts_with(kBom), "{}: a byte order mark; save the file without it", where);
  check_no_nul(line, where, "the line");
  Json object = parse_line(line, where, needs);
  CHECK_INPUT(object.is_object(), "{}: a row is an object with {}, found {}{}", where, needs, object.type_name(), object.is_array() ? kOfAList : "");
  object = map_columns(std::move(object), columns, where);
  const auto given = object.find("id");
  std::string id = given != object.end() ? read_id(*given, where) : fmt::format("line {}", number);
  return {std::move(object), std::move(id)};
}

void take_id(std::unordered_map<std::string, int64_t>& line_of_id, const std::string& id, int64_t number, RowIds ids, const std::string& where) {
  const auto [first, is_new] = line_of_id.emplace(id, number);
  CHECK_INPUT(is_new || ids == RowIds::any, "{}: the id {} is already that of line {}", where, shown(id), first->second);
}

void read_rows(const std::filesystem::path& file, int64_t max_rows, std::string_view needs, RowIds ids,
               const std::function<void(Json, const std::string&, const std::string&)>& row, const Json& columns) {
  CHECK(max_rows >= 0, "at most {} rows of a file", max_rows);
  const std::string content = read_lines_text(file), name = file.string();
  std::unordered_map<std::string, int64_t> line_of_id;
  int64_t rows = 0;
  each_line(content, [&](std::string_view line, int64_t number) {
    const std::string where = fmt::format("{}:{}", name, number);
    ParsedRow parsed = parse_row(line, number, where, needs, columns);
    row(std::move(parsed.object), parsed.id, where);
    take_id(line_of_id, parsed.id, number, ids, where);
    return ++rows != max_rows;
  });
  CHECK_INPUT(rows > 0, "{}: the data set is empty; it needs one row a line: a JSON object with {}", name, needs);
}

}  // namespace cohort
