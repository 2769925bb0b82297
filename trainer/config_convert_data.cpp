// Files, the run directory and evaluation of a peer's config.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/yaml.h"
#include "trainer/config_translator.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

bool is_data_file(const fs::path& path) {
  return path.extension() == ".jsonl" || path.extension() == ".parquet" || path.extension() == ".json";
}

// Of one key: a list, or names in one text with commas between them, as OpenRLHF has them.
std::vector<std::string> names_of(const PeerEntry& entry, Peer peer) {
  if (peer != Peer::openrlhf || !entry.value.IsScalar()) return entry.list();
  std::vector<std::string> names = {""};
  for (const char c : entry.text()) {
    if (c == ',') names.emplace_back();
    else if (c != ' ' || !names.back().empty()) names.back() += c;
  }
  return names;
}

// A name for metrics: the file's own; with its folder's where another file has it already.
std::string source_name(const fs::path& path, std::set<std::string>& taken) {
  constexpr size_t kLongest = 48;  // leaves room for a number
  const auto label = [](std::string text) {
    if (text.size() > kLongest) text.resize(kLongest);
    for (char& c : text)
      if (!is_label(std::string_view(&c, 1))) c = '_';
    return text.empty() ? "data" : text;
  };
  std::string name = label(path.stem().string());
  if (taken.contains(name)) name = label(path.parent_path().filename().string() + "_" + name);
  const std::string first = name;
  for (int i = 2; !taken.insert(name).second; ++i) name = fmt::format("{}_{}", first, i);
  return name;
}

Json sources_of(const std::vector<std::string>& files, const std::vector<double>& weights) {
  Json list = Json::array();
  std::set<std::string> taken;
  for (size_t i = 0; i < files.size(); ++i) {
    Json source = {{"name", source_name(files[i], taken)}, {"path", fs::path(files[i]).replace_extension(".jsonl").string()}};
    if (!weights.empty()) source["weight"] = weights[i];
    list.push_back(std::move(source));
  }
  return list;
}

// The shares of the prompts, or all 1 where none are given for these files; empty for evaluation, which has none.
std::vector<double> weights_of(Translator& t, const PeerEntry& entry, size_t files) {
  std::vector<double> weights;
  PeerEntry* given = t.take({"prompt_data_probs", "prompt_probs"});
  if (given != nullptr)
    for (const std::string& text : names_of(*given, t.peer))
      weights.push_back(PeerEntry{.path = "", .value = YAML::Node(text), .where = ""}.number().value_or(0));
  if (weights.size() == files && std::ranges::all_of(weights, [](double weight) { return weight > 0; })) return weights;
  if (given != nullptr) t.note(*given, fmt::format("{} positive numbers are meant, one a file of data.train", files));
  t.note(entry, "each source has weight 1, an equal share of the prompts; for the shares of one joined file set them to the files' sizes");
  return std::vector<double>(files, 1.0);
}

void translate_files(Translator& t, std::initializer_list<const char*> names, const char* ours) {
  PeerEntry* entry = t.take(names);
  if (entry == nullptr) return;
  std::vector<std::string> files = names_of(*entry, t.peer);
  if (files.empty() || std::ranges::any_of(files, &std::string::empty)) return t.note(*entry, fmt::format("set {}: JSONL files", ours));
  const auto unlike = std::ranges::find_if(files, [](const fs::path& path) { return path.extension() != ".jsonl"; });
  if (unlike != files.end())
    t.note(*entry, fmt::format("{} takes JSONL files, with {}; found '{}'", ours,
                               t.sft ? "columns `prompt` and `completion`, or `messages`" : "a column `prompt`", excerpt(*unlike)));
  if (!std::ranges::all_of(files, [](const fs::path& path) { return is_data_file(path); })) return;
  if (t.sft && files.size() > 1) {
    t.note(*entry, fmt::format("cohort sft takes one file, found {}; a 'merge' stage of cohort pipeline joins them", files.size()));
    files.resize(1);
  }
  if (files.size() == 1) return t.put(ours, quoted(fs::path(files[0]).replace_extension(".jsonl").string()), *entry);
  const bool weighed = ours == std::string("data.train");
  t.put(ours, yaml_of(sources_of(files, weighed ? weights_of(t, *entry, files.size()) : std::vector<double>())), *entry);
}

// What columns are called there. verl keeps the answer inside an object.
void translate_columns(Translator& t) {
  PeerEntry* prompt = t.take({"prompt_key", "input_key"});
  PeerEntry* label = t.take({"label_key"});
  const auto files = std::ranges::find_if(t.entries, [](const PeerEntry& entry) { return entry.path.ends_with("train_files"); });
  Json columns = Json::object();
  if (prompt != nullptr && prompt->text() != "prompt") columns["prompt"] = prompt->text();
  if (label != nullptr) columns["answer"] = label->text();
  else if (t.peer == Peer::verl && files != t.entries.end()) columns["answer"] = "reward_model.ground_truth";
  if (columns.empty()) return;
  t.put("data.columns", yaml_of(columns), prompt != nullptr && columns.contains("prompt") ? *prompt : label != nullptr ? *label : *files);
}

bool is_folder_name(const std::string& text) {
  return !text.empty() && text != "." && text != ".." && text.find('/') == std::string::npos && text.find("${") == std::string::npos;
}

void translate_run_directory(Translator& t) {
  PeerEntry* dir = t.take({"output_dir", "default_local_dir", "save_path", "ckpt_path"});
  PeerEntry* name = t.take({"experiment_name", "run_name"});
  if (name != nullptr && !is_folder_name(name->text())) {
    t.note(*name, fmt::format("run.name: found '{}'; allowed: the name of a folder, without '/'", excerpt(name->text())));
    name = nullptr;
  }
  if (name != nullptr) t.put("run.name", quoted(name->text()), *name);
  if (dir == nullptr) return;
  fs::path path = fs::path(dir->text()).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const bool names_a_folder = is_folder_name(path.filename().string()) && path.string().find("${") == std::string::npos;
  if (!names_a_folder)
    return t.note(*dir, fmt::format("the run directory is run.dir/run.name, and '{}' names none; set them", excerpt(dir->text())));
  if (name == nullptr) t.put("run.name", quoted(path.filename().string()), *dir);
  const fs::path parent = name != nullptr ? path : path.parent_path();
  if (!parent.empty()) t.put("run.dir", quoted(parent.string()), *dir);
}

}  // namespace

// verl's validation is greedy with do_sample off, whatever stands beside it.
void translate_evaluation(Translator& t) {
  PeerEntry* sample = t.take({"val_kwargs.do_sample"});
  if (sample == nullptr || is_true(sample)) return;
  t.put("rollout.eval_temperature", "0", *sample);
  for (PeerEntry& entry : t.entries) {
    if (entry.used || entry.is_null() || entry.path.find("val_kwargs.") == std::string::npos) continue;
    entry.used = true;
    t.note(entry, "val_kwargs.do_sample is off: evaluation is greedy, with one completion a problem");
  }
}

void translate_data_and_run(Translator& t) {
  translate_files(t, {"train_files", "prompt_data", "dataset_name", "train_dataset"}, "data.train");
  translate_files(t, {"val_files", "eval_dataset"}, "data.eval");
  translate_columns(t);
  translate_run_directory(t);
  if (PeerEntry* cache = t.take({"kv_cache_memory_bytes"})) {
    if (const auto bytes = cache->number()) t.put("rollout.kv_cache_gb", fmt::format("{}", *bytes / 1e9), *cache);
  }
  if (PeerEntry* filter = t.take({"filter_groups.enable"})) t.put("algorithm.filter_groups", is_true(filter) ? "true" : "false", *filter);
}

}  // namespace cohort
