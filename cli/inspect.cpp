// cohort inspect: what a model folder, a run directory or a checkpoint holds.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "cli/command.h"
#include "cli/memory_plan.h"
#include "cli/prompts.h"
#include "core/files.h"
#include "core/text.h"
#include "model/params.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

template <typename... Args>
void row(const char* name, fmt::format_string<Args...> format, Args&&... args) {
  fmt::print("{:<18}{}\n", name, fmt::format(format, std::forward<Args>(args)...));
}

std::string special_tokens(const Tokenizer& tokenizer) {
  constexpr int kShown = 8;
  std::string text;
  int count = 0;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.is_special(id)) continue;
    if (count < kShown) {
      text += fmt::format("{}{} ({})", count > 0 ? ", " : "", tokenizer.token(id), id);
    }
    ++count;
  }
  if (count > kShown) text += fmt::format(", {} more", count - kShown);
  return count == 0 ? "none" : text;
}

// The default config's shape of a step, for the memory line.
std::string training_line(const ModelConfig& model) {
  Config config;
  config.data.max_prompt_length = std::min(config.data.max_prompt_length, model.max_positions / 2);
  config.rollout.max_completion_length =
      std::min(config.rollout.max_completion_length, model.max_positions / 2);
  return fmt::format("{} on one rank (8 prompts a step, 8 completions of up to {} tokens)",
                     human_bytes(total_bytes(training_memory(model, config, 1))),
                     config.rollout.max_completion_length);
}

void inspect_model(const fs::path& path) {
  const ModelConfig model = load_model_config(path);
  row("model", "{}", path.string());
  row("architecture", "{}", model.architecture);
  row("parameters", "{}", make_param_table(model, 1).count);
  row("dtype", "{}", dtype_name(model.dtype));
  row("layers", "{} of {} hidden, {} in the MLP", model.num_layers, model.hidden_size,
      model.intermediate_size);
  row("attention", "{} heads of {}, {} key-value heads", model.num_heads, model.head_size,
      model.num_kv_heads);
  row("positions", "{}", model.max_positions);
  row("vocabulary", "{}{}", model.vocab_size,
      model.tie_word_embeddings ? ", head shared with the embedding" : "");
  row("weights", "{}",
      fs::exists(path / "model.safetensors")              ? "model.safetensors"
      : fs::exists(path / "model.safetensors.index.json") ? "in shards"
                                                          : "none here");
  if (fs::exists(path / "tokenizer.json")) {
    const Tokenizer tokenizer = Tokenizer::load(path);
    row("tokenizer", "{} tokens", tokenizer.vocab_size());
    row("special tokens", "{}", special_tokens(tokenizer));
    row("chat template", "{}", ChatTemplate::load(path).has_template() ? "yes" : "no");
  } else {
    row("tokenizer", "none here");
  }
  const int64_t positions = std::min<int64_t>(model.max_positions, 768);
  row("to generate", "{} (64 sequences of {} tokens)",
      human_bytes(total_bytes(generation_memory(model, model.dtype, 64, positions, 2048))),
      positions);
  row("to train", "{}", training_line(model));
}

// The last complete line of metrics.jsonl; one that a kill cut short is skipped.
Json last_metrics(const fs::path& file) {
  std::ifstream in(file);
  std::string line, last;
  while (std::getline(in, line)) {
    if (!in.eof() && !line.empty()) last = line;
  }
  return last.empty() ? Json::object() : parse_json(last, file.string());
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
  row("run", "{}", path.string());
  const Json metrics =
      fs::exists(path / "metrics.jsonl") ? last_metrics(path / "metrics.jsonl") : Json::object();
  row("last step", "{}", metrics.contains("step") ? dump_json(metrics["step"]) : "none yet");
  row("checkpoints", "{}", fmt::join(folders_in(path / "checkpoints"), ", "));
  row("final model", "{}",
      fs::exists(path / "final" / "config.json") ? (path / "final").string() : "not yet");
  if (metrics.empty()) return;
  fmt::print("\nmetrics of the last step\n");
  for (const auto& [name, value] : metrics.items()) {
    fmt::print("  {:<40}{}\n", name, dump_json(value));
  }
}

void inspect_checkpoint(const fs::path& path) {
  row("checkpoint", "{}", path.string());
  const fs::path file = path / "manifest.json";
  const Json manifest = parse_json(read_file(file), file.string());
  CHECK_INPUT(manifest.is_object(), "{}: expected an object", file.string());
  for (const auto& [name, value] : manifest.items()) {
    if (value.is_primitive()) {
      row(name.c_str(), "{}", value.is_string() ? value.get<std::string>() : dump_json(value));
    }
  }
  uint64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  row("size", "{}", human_bytes(bytes));
}

int run(const std::string& name) {
  const fs::path path = name;
  CHECK_INPUT(fs::exists(path), "{} does not exist", name);
  CHECK_INPUT(fs::is_directory(path),
              "{} is a file; expected a model folder, a run directory or a checkpoint", name);
  if (fs::exists(path / "config.yaml")) {
    inspect_run(path);
  } else if (fs::exists(path / "manifest.json")) {
    inspect_checkpoint(path);
  } else if (fs::exists(path / "config.json")) {
    inspect_model(path);
  } else {
    fail(ExitCode::kInput,
         "{} is no model folder (config.json), run directory (config.yaml) or checkpoint "
         "(manifest.json)",
         name);
  }
  return 0;
}

}  // namespace

Action add_inspect(CLI::App& app) {
  auto path = std::make_shared<std::string>();
  app.add_option("PATH", *path, "a model folder, a run directory or a checkpoint")->required();
  return [path] { return run(*path); };
}

}  // namespace cohort
