// cohort inspect: what a model folder, a run directory or a checkpoint holds.
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/inspect_model.h"
#include "core/check.h"
#include "core/files.h"
#include "core/json.h"
#include "core/text.h"
#include "model/adapter_folder.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

Json last_metrics(const fs::path& file) {
  const std::vector<std::string> lines = read_whole_lines(file);
  return lines.empty() ? Json::object() : parse_json(lines.back(), file.string());
}

std::vector<std::string> folders_in(const fs::path& path) {
  std::vector<std::string> names;
  if (!fs::is_directory(path)) return names;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;  // step_9 before step_10
  });
  return names;
}

void inspect_run(const fs::path& path) {
  inspect_row("run", "{}", path.string());
  const Json metrics =
      fs::exists(path / "metrics.jsonl") ? last_metrics(path / "metrics.jsonl") : Json::object();
  inspect_row("last step", "{}", metrics.contains("step") ? dump_json(metrics["step"]) : "none yet");
  const std::vector<std::string> checkpoints = folders_in(path / "checkpoints");
  inspect_row("checkpoints", "{}", checkpoints.empty() ? "none" : fmt::to_string(fmt::join(checkpoints, ", ")));
  inspect_row("final model", "{}",
      fs::exists(path / "final" / "config.json") ? (path / "final").string() : "not yet");
  if (metrics.empty()) return;
  fmt::print("\nmetrics of the last step\n");
  for (const auto& [name, value] : metrics.items()) {
    fmt::print("  {:<40}{}\n", name, dump_json(value));
  }
}

void inspect_checkpoint(const fs::path& path) {
  const fs::path file = path / "manifest.json";
  const Json manifest = parse_json(read_file(file), file.string());
  CHECK_INPUT(manifest.is_object(), "{}: expected an object, found {}", file.string(), manifest.type_name());
  // What every checkpoint says of itself (trainer/checkpoint.cpp); other files have this name too.
  get_int(manifest, "format_version", file.string(), 0, INT64_MAX);
  get_int(manifest, "step", file.string(), 1, INT64_MAX);
  CHECK_INPUT(manifest.contains("shards") && manifest["shards"].is_array(), "{}: 'shards' must list the checkpoint's files",
              file.string());
  inspect_row("checkpoint", "{}", path.string());
  for (const auto& [name, value] : manifest.items()) {
    if (value.is_primitive()) {
      inspect_row(name, "{}", value.is_string() ? value.get<std::string>() : dump_json(value));
    }
  }
  std::vector<std::string> missing;
  for (size_t k = 0; k < manifest["shards"].size(); ++k) {
    const std::string shard = fmt::format("shard_{:05}.bin", k);
    if (!fs::exists(path / shard)) missing.push_back(shard);
  }
  inspect_row("shards", "{}{}", manifest["shards"].size(),
              missing.empty() ? "" : fmt::format("; missing: {}", fmt::join(missing, ", ")));
  uint64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  inspect_row("size", "{}", human_bytes(bytes));
}

int run(const std::string& name, const std::string& base) {
  const fs::path path = name;
  CHECK_USAGE(base.empty() || is_adapter_folder(path), "--base {}: {} is no adapter's folder", base, name);
  CHECK_INPUT(fs::exists(path), "{} does not exist", name);
  CHECK_INPUT(fs::is_directory(path),
              "{} is a file; expected a model folder, a run directory or a checkpoint", name);
  if (fs::exists(path / "config.yaml")) {
    inspect_run(path);
  } else if (fs::exists(path / "manifest.json")) {
    inspect_checkpoint(path);
  } else if (fs::exists(path / "config.json")) {
    inspect_model(path);
  } else if (is_adapter_folder(path)) {
    inspect_adapter(path, base);
  } else {
    fail(ExitCode::kInput,
         "{} is no model folder (config.json is missing), no run directory (config.yaml is missing) and no checkpoint "
         "(manifest.json is missing)",
         name);
  }
  return 0;
}

}  // namespace

Action add_inspect(App& app) {
  auto path = std::make_shared<std::string>(), base = std::make_shared<std::string>();
  app.add_option("PATH", *path, "a model folder, an adapter's folder, a run directory or a checkpoint").required();
  app.add_option("--base", *base, "the base model of an adapter (default: the one that its adapter_config.json names)").type_name("DIR");
  return [path, base] { return run(*path, *base); };
}

}  // namespace cohort
