#include "pipeline/stamp.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/hash.h"

namespace cohort {

namespace fs = std::filesystem;

std::optional<Stamp> read_stamp(const fs::path& file) {
  if (!fs::exists(file)) return {};
  const std::string where = file.string();
  try {
    const Json json = parse_json(read_file(file), where);
    CHECK_INPUT(json.is_object(), "{}: a stage's stamp is an object, found {}", where, json.type_name());
    Stamp stamp;
    stamp.key = get_string(json, "key", where);
    stamp.done = get_bool_or(json, "done", where, false);
    stamp.output = get_string_or(json, "output", where, "");
    stamp.seconds = get_double_or(json, "seconds", where, 0);
    const Json result = json.value("result", Json::object());
    CHECK_INPUT(result.is_object(), "{}: 'result' is an object, found {}", where, result.type_name());
    stamp.result = {{"what", get_string_or(result, "what", where, "")}, {"numbers", result.value("numbers", Json::object())}};
    return stamp;
  } catch (const Error& error) {
    fail(error.code(), "{}; delete this file to run the stage again", error.what());
  }
}

void write_stamp(const fs::path& file, const Stamp& stamp) {
  const Json json = {{"key", stamp.key}, {"done", stamp.done}, {"output", stamp.output}, {"seconds", stamp.seconds}, {"result", stamp.result}};
  write_file_atomic(file, dump_json(json, 2) + "\n");
}

std::string content_fingerprint(const fs::path& path) {
  CHECK_INPUT(fs::exists(path), "{}: no such file or folder", path.string());
  std::vector<fs::path> files;
  if (fs::is_directory(path)) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path))
      if (entry.is_regular_file()) files.push_back(entry.path());
    std::ranges::sort(files);
  } else {
    files.push_back(path);
  }
  Fingerprint all;
  for (const fs::path& file : files) {
    const std::string name = fs::is_directory(path) ? file.lexically_relative(path).string() : "";
    const MappedFile bytes(file);
    const std::string head = fmt::format("{} {}\n", name, bytes.bytes().size());  // so that no two folders look alike
    all.add(std::as_bytes(std::span(head)));
    all.add(bytes.bytes());
  }
  return all.text();
}

}  // namespace cohort
