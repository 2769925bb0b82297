#include "trainer/compare_runs.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "core/check.h"
#include "core/files.h"
#include "core/json.h"
#include "core/text.h"
#include "model/formats/safetensors.h"
#include "trainer/checkpoint.h"
#include "trainer/config.h"
#include "trainer/metrics.h"
#include "trainer/step_batch.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;
using Found = std::optional<RunDifference>;

constexpr size_t kShown = 80;  // characters of a value in a message

std::string shown(const Json& value) {
  std::string text = dump_json(value);
  if (text.size() > kShown) text = to_valid_utf8(text.substr(0, kShown)) + "...";
  return printable(text);
}

std::vector<Json> lines_of(const fs::path& file) {
  std::vector<Json> records;
  for (const std::string& line : read_whole_lines(file))
    records.push_back(parse_json(line, fmt::format("{}:{}", file.string(), records.size() + 1)));
  return records;
}

// The first place at which two values differ, as a path below `where`.
Found differ(const Json& a, const Json& b, const std::string& where) {
  if (a.is_object() && b.is_object()) {
    for (const auto& [name, value] : a.items()) {
      if (is_measured(name)) continue;
      const std::string inner = where.empty() ? name : where + ", " + name;
      if (!b.contains(name)) return RunDifference{0, inner, shown(value), "nothing"};
      if (Found found = differ(value, b[name], inner)) return found;
    }
    for (const auto& [name, value] : b.items())
      if (!is_measured(name) && !a.contains(name))
        return RunDifference{0, where.empty() ? name : where + ", " + name, "nothing", shown(value)};
    return {};
  }
  if (a.is_array() && b.is_array()) {
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
      if (Found found = differ(a[i], b[i], fmt::format("{}[{}]", where, i))) return found;
    if (a.size() == b.size()) return {};
    return RunDifference{0, where, fmt::format("{} entries", a.size()), fmt::format("{} entries", b.size())};
  }
  // As text: 0.0 and -0.0, which == would call equal, are other bits.
  return dump_json(a) == dump_json(b) ? Found() : RunDifference{0, where, shown(a), shown(b)};
}

std::string completions_name(int64_t step) { return fmt::format("completions/step_{}.jsonl", step); }

Found differ_in_completions(const fs::path& a, const fs::path& b, int64_t step, RunComparison& result) {
  const std::string name = completions_name(step);
  if (!fs::exists(a / name) || !fs::exists(b / name)) return {};
  std::vector<Json> left = lines_of(a / name), right = lines_of(b / name);
  for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    for (auto [one, other] : {std::pair(&left[i], &right[i]), std::pair(&right[i], &left[i])})
      for (const char* later : {"prompt", "explain"})  // runs of earlier versions are without them
        if (one->is_object() && other->is_object() && !other->contains(later)) one->erase(later);
    if (Found found = differ(left[i], right[i], fmt::format("{}, line {}", name, i + 1))) return found;
    ++result.completions;
  }
  if (left.size() == right.size()) return {};
  return RunDifference{0, name, fmt::format("{} completions", left.size()), fmt::format("{} completions", right.size())};
}

// What a checkpoint keeps besides, evaluations by their stage.
Json extra_of(const Json& manifest) {
  Json extra = manifest.value("extra", Json::object());
  for (const Json& evaluation : extra.value("evaluations", Json::array())) extra[fmt::format("evaluation {}", evaluation.value("stage", ""))] = evaluation;
  extra.erase("evaluations");
  return extra;
}

// By the hashes in the manifests, when the files are what these say.
Found differ_in_checkpoint(const fs::path& a, const fs::path& b, int64_t step, RunComparison& result) {
  const std::string folder = fmt::format("checkpoints/step_{}", step);
  const fs::path left = a / folder, right = b / folder;
  if (!fs::exists(left / "manifest.json") || !fs::exists(right / "manifest.json")) return {};
  const Json one = read_manifest(left), other = read_manifest(right);
  verify_checkpoint(left, one), verify_checkpoint(right, other);
  for (const char* key : {"model", "data", "optimizer_steps", "num_tokens", "shards"})
    if (Found found = differ(one.value(key, Json()), other.value(key, Json()), fmt::format("{}, {}", folder, key)))
      return found;
  // What was sampled ahead has its measured times in it, which its hash sees.
  const auto files = [](const fs::path& checkpoint, const Json& manifest) {
    Json files = manifest.value("files", Json::object());
    if (files.contains("batch")) files["batch"] = read_batch(checkpoint, files["batch"]);
    return files;
  };
  if (Found found = differ(files(left, one), files(right, other), fmt::format("{}, files", folder))) return found;
  // A run that was evaluated more often has more of these: what both have is compared.
  const Json ours = extra_of(one), theirs = extra_of(other);
  for (const auto& [name, value] : ours.items())
    if (theirs.contains(name))
      if (Found found = differ(value, theirs[name], fmt::format("{}, extra, {}", folder, name))) return found;
  ++result.checkpoints;
  return {};
}

// The first tensor and element at which two weight files differ, if they are such.
Found differ_in_weights(const fs::path& a, const fs::path& b, const std::string& name) {
  const SafetensorsFolder left = SafetensorsFolder::open_file(a), right = SafetensorsFolder::open_file(b);
  for (const auto& [tensor, stored] : left.tensors()) {
    const auto found = right.tensors().find(tensor);
    const std::string where = fmt::format("{}, {}", name, tensor);
    if (found == right.tensors().end()) return RunDifference{0, where, stored.dtype, "nothing"};
    const StoredTensor& other = found->second;
    if (stored.dtype != other.dtype || stored.shape != other.shape) {
      const auto text = [](const StoredTensor& t) { return fmt::format("{} ({})", t.dtype, fmt::join(t.shape, ", ")); };
      return RunDifference{0, where, text(stored), text(other)};
    }
    const auto [at, end] = std::ranges::mismatch(stored.data, other.data);
    if (at == stored.data.end()) continue;
    const size_t size = stored_size(weight_dtype(stored, where));
    const size_t element = static_cast<size_t>(at - stored.data.begin()) / size;
    const auto hex = [&](const StoredTensor& t) {
      std::string digits;
      for (size_t byte = size; byte-- > 0;) digits += fmt::format("{:02x}", static_cast<unsigned>(t.data[element * size + byte]));
      return "0x" + digits;
    };
    return RunDifference{0, fmt::format("{}[{}]", where, element), hex(stored), hex(other)};
  }
  return {};
}

std::set<std::string> files_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file()) names.insert(entry.path().filename().string());
  return names;
}

// Of two folders, where both runs have them; `compared`: they do, and are equal.
Found differ_in_model(const fs::path& a, const fs::path& b, const std::string& folder, bool& compared) {
  const fs::path left = a / folder, right = b / folder;
  if (!fs::exists(left) || !fs::exists(right)) return {};
  const std::set<std::string> names = files_in(left), others = files_in(right);
  for (const std::string& name : names) {
    const std::string where = folder + "/" + name;
    if (!others.contains(name)) return RunDifference{0, where, "a file", "nothing"};
    const MappedFile one(left / name), other(right / name);
    if (std::ranges::equal(one.bytes(), other.bytes())) continue;
    if (name.ends_with(".safetensors"))
      if (Found found = differ_in_weights(left / name, right / name, where)) return found;
    return RunDifference{0, where, human_bytes(one.bytes().size()), human_bytes(other.bytes().size())};
  }
  for (const std::string& name : others)
    if (!names.contains(name)) return RunDifference{0, folder + "/" + name, "nothing", "a file"};
  compared = true;
  return {};
}

void note_what_one_lacks(const fs::path& a, const fs::path& b, const std::string& name, std::vector<std::string>& notes) {
  if (fs::exists(a / name) != fs::exists(b / name))
    notes.push_back(fmt::format("only {} has {}", fs::exists(a / name) ? "A" : "B", name));
}

}  // namespace

std::map<int64_t, Json> read_metrics(const fs::path& run) {
  const fs::path file = run / "metrics.jsonl";
  std::map<int64_t, Json> steps;
  if (!fs::exists(file)) return steps;
  for (Json& line : lines_of(file)) {
    const int64_t step = get_int(line, "step", file.string(), 0, INT64_MAX);
    steps[step] = std::move(line);
  }
  return steps;
}

RunComparison compare_runs(const fs::path& a, const fs::path& b, StepRange range) {
  for (const fs::path& run : {a, b})
    CHECK_INPUT(fs::exists(run / "config.yaml"), "{}: no run directory: config.yaml is missing", run.string());
  RunComparison result;
  const Config left = load_config(a / "config.yaml", {}, ConfigUse::recorded), right = load_config(b / "config.yaml", {}, ConfigUse::recorded);
  for (const std::string& difference : identity_differences(left, config_identity(right), "A:", "B:"))
    result.notes.push_back(fmt::format("the configs differ in {}", difference));

  const std::map<int64_t, Json> ours = read_metrics(a), theirs = read_metrics(b);
  std::set<int64_t> steps;
  for (const auto* run : {&ours, &theirs})
    for (const auto& [step, metrics] : *run)
      if (range.holds(step)) steps.insert(step);
  for (const int64_t step : steps) {
    Found found = differ_in_completions(a, b, step, result);
    if (!found) {
      if (!ours.contains(step) || !theirs.contains(step)) {
        const auto text = [&](const auto& run) { return run.contains(step) ? "a step" : "no such step"; };
        found = RunDifference{0, "metrics.jsonl", text(ours), text(theirs)};
      } else {
        found = differ(ours.at(step), theirs.at(step), "");
      }
    }
    if (!found) found = differ_in_checkpoint(a, b, step, result);
    if (found) {
      found->step = step;
      result.first = std::move(found);
      return result;
    }
    ++result.steps;
    note_what_one_lacks(a, b, completions_name(step), result.notes);
  }
  if (!range.all()) return result;
  result.first = differ_in_model(a, b, "final", result.final_models);
  note_what_one_lacks(a, b, "final", result.notes);
  for (const char* folder : {"best", "final_merged"}) {
    bool compared = false;
    if (!result.first) result.first = differ_in_model(a, b, folder, compared);
    if (compared) result.other_models.emplace_back(folder);
    note_what_one_lacks(a, b, folder, result.notes);
  }
  return result;
}

}  // namespace cohort
