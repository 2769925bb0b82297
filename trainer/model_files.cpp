#include "trainer/model_files.h"

#include <algorithm>
#include <array>

#include "core/check.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json.h"
#include "model/formats/hub_cache.h"
#include "model/formats/safetensors.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxConfigBytes = 16 << 20;

constexpr std::array kModelFiles = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
                                    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
                                    "chat_template.jinja", "chat_template.json", "tokenizer.model", "tokenizer.model.v3"};
constexpr std::array kNotices = {"LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt", "USE_POLICY.md"};
constexpr const char* kMoreTemplates = "additional_chat_templates";  // a folder of *.jinja

template <size_t N>
bool among(const std::array<const char*, N>& names, std::string_view name) {
  return std::ranges::any_of(names, [&](const char* known) { return name == known; });
}

// A licence or notice that is the folder's own: another link may lead to what is nobody's licence.
bool is_notice(const fs::path& file) {
  std::error_code error;
  return fs::is_regular_file(fs::symlink_status(file, error)) || (fs::is_regular_file(file, error) && is_hub_link(file));
}

// The dtype of each parameter in `source`.
std::vector<StoredDType> dtypes_in(const fs::path& source, const ParamTable& table, bool new_score) {
  if (!has_weights(source)) return std::vector<StoredDType>(table.entries.size(), config_dtype(source));
  const SafetensorsFolder folder = SafetensorsFolder::open(source);
  std::vector<StoredDType> dtypes;
  for (const ParamEntry& entry : table.entries) {
    if (new_score && entry.offset == table.head) {
      dtypes.push_back(config_dtype(source));
      continue;
    }
    const auto found = folder.tensors().find(entry.name);
    CHECK_INPUT(found != folder.tensors().end(), "{}: '{}' is missing; was the folder changed since it was read?",
                source.string(), entry.name);
    dtypes.push_back(weight_dtype(found->second, entry.name));
  }
  return dtypes;
}

}  // namespace

std::string ModelFiles::fingerprint() const {
  std::string text;
  for (const auto& [name, bytes] : files)
    if (!among(kNotices, name)) text += fmt::format("{} {}\n", name, cohort::fingerprint(bytes));
  return cohort::fingerprint(text);
}

namespace {

// Those of `source` that are there, licences aside; sorted.
std::vector<std::pair<std::string, std::string>> read_text_files(const fs::path& source) {
  std::vector<std::pair<std::string, std::string>> files;
  const auto take = [&](const fs::path& name) { files.emplace_back(name.string(), read_file(source / name)); };
  for (const char* name : kModelFiles)
    if (fs::exists(source / name)) take(name);
  if (fs::is_directory(source / kMoreTemplates)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(source / kMoreTemplates))
      if (entry.path().extension() == ".jinja") take(fs::path(kMoreTemplates) / entry.path().filename());
  }
  std::ranges::sort(files);
  return files;
}

bool is_of_weights(std::string_view name) { return name == "config.json" || name == "generation_config.json"; }

}  // namespace

void take_text_files(ModelFiles& files, const fs::path& adapter) {
  if (!fs::exists(adapter / "tokenizer.json")) return;
  std::erase_if(files.files, [](const auto& file) { return !is_of_weights(file.first) && !among(kNotices, file.first); });
  for (auto& file : read_text_files(adapter))
    if (!is_of_weights(file.first)) files.files.push_back(std::move(file));
  std::ranges::sort(files.files);
}

ModelFiles read_model_files(const fs::path& source, const ParamTable& table, const std::string& config_json) {
  ModelFiles result{.source = source, .files = read_text_files(source), .dtypes = dtypes_in(source, table, !config_json.empty()),
                    .config_dtype = config_dtype(source)};
  for (auto& [name, bytes] : result.files)
    if (name == "config.json" && !config_json.empty()) bytes = config_json;
  for (const char* name : kNotices) {
    if (!is_notice(source / name)) continue;
    try {
      result.files.emplace_back(name, read_file(source / name));
    } catch (const Error&) {
      continue;  // unreadable
    }
  }
  std::ranges::sort(result.files);
  return result;
}

std::vector<std::string> files_left_out(const fs::path& source) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
    const std::string name = entry.path().filename().string();
    const bool weights = name.ends_with(".safetensors") || name == "model.safetensors.index.json";
    if (weights || name.starts_with(".") || name == kMoreTemplates) continue;
    const bool notice = among(kNotices, name) && is_notice(entry.path());
    if (!notice && !among(kModelFiles, name)) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

bool has_weights(const fs::path& dir) {
  return fs::exists(dir / "model.safetensors") || fs::exists(dir / "model.safetensors.index.json");
}

const char* dtype_key(const Json& config) { return config.contains("dtype") ? "dtype" : "torch_dtype"; }

StoredDType config_dtype(const fs::path& dir) {
  const std::string where = (dir / "config.json").string();
  const Json config = parse_json(read_file(dir / "config.json", kMaxConfigBytes), where);
  const std::string name = get_string_or(config, dtype_key(config), where, "float32");
  const std::optional<StoredDType> dtype = stored_dtype_of(name);
  CHECK_INPUT(dtype.has_value(), "{}: {}: '{}' is not supported; allowed: float32, bfloat16, float16", where,
              dtype_key(config), name);
  return *dtype;
}

}  // namespace cohort
