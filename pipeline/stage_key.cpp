#include "pipeline/stage_key.h"

#include <fmt/format.h>

#include <set>
#include <string_view>

#include "core/hash.h"
#include "model/adapter_folder.h"
#include "pipeline/stamp.h"
#include "reward/model_options.h"
#include "trainer/build_info.h"
#include "trainer/config_schema.h"
#include "trainer/config_value.h"
#include "trainer/dataset.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// What of a config decides what a stage leaves, a key a line: neither help nor defaults of other keys, so that another version of the
// program runs nothing again without need.
std::string config_text(StageKind kind, const Config& config) {
  std::string text = config.run.device == "cpu" ? "" : fmt::format("run.device: {}\n", config.run.device);  // others than the processor's bits
  if (kind == StageKind::train || kind == StageKind::sft) {
    // How long a run is may be no part of its identity, as it may go on; nor what columns are called, as their content is.
    for (const DataFiles* data : {&config.data.train, &config.data.eval})
      for (const DataSource& source : data->sources)
        if (const Json& columns = columns_of(source, config.data); !columns.empty()) text += fmt::format("{}: {}\n", source.name, dump_json(columns));
    if (!config.data.columns.empty()) text += fmt::format("data.columns: {}\n", dump_json(config.data.columns));
    return text + fmt::format("{}\n{} {}\n", config_identity(config), config.trainer.max_steps, config.sft ? config.sft->num_train_epochs : 0);
  }
  const Config usual = full_config();
  for (const KeyRow& key : config_keys()) {
    if (kind == StageKind::score) break;
    static const std::set<std::string_view> kSpeed = {"max_num_seqs", "max_num_batched_tokens", "kv_cache_gb", "load_balancing"};
    const bool samples = key.section.starts_with("model") || key.section.starts_with("data") || key.section == "rollout" ||
                         key.path() == "run.seed" || key.name.starts_with("eval_pass");
    const SectionRow& section = *find_section(key.section);
    if (!samples || kSpeed.contains(key.name) || key.section == "data.curriculum" || (section.optional() && !section.present(config))) continue;
    if (const std::string value = yaml_of(key, config); value != yaml_of(key, usual)) text += fmt::format("{}: {}\n", key.path(), value);
  }
  for (const RewardSpec& spec : config.reward) text += yaml_of(reward_entry(spec)) + "\n";
  return text;
}

// Models that score.
void add_rewards(std::vector<fs::path>& files, const Config& config) {
  for (const RewardSpec& spec : config.reward)
    if (is_model_reward(spec)) files.emplace_back(spec.reward() == "judge" ? read_judge(spec).path : read_model_reward(spec).path);
}

}  // namespace

std::vector<fs::path> files_of(const ReadyStage& ready) {
  std::vector<fs::path> files = ready.inputs;
  if (!ready.input.empty()) files.emplace_back(ready.input);
  if (!ready.config) return files;
  const Config& config = *ready.config;
  const StageKind kind = ready.stage.kind;
  if (kind == StageKind::score) return add_rewards(files, config), files;
  if (!config.model.init) files.emplace_back(config.model.path);
  if (kind == StageKind::train && !config.algorithm.teacher.empty()) files.emplace_back(config.algorithm.teacher);
  for (const DataFiles* data : {&config.data.train, &config.data.eval}) {
    if (!data->path.empty()) files.emplace_back(data->path);
    for (const DataSource& source : data->sources) files.emplace_back(source.path);
  }
  if (kind != StageKind::sft) add_rewards(files, config);
  return files;
}

std::string key_of(const ReadyStage& ready) {
  const Stage& stage = ready.stage;
  std::string text = fmt::format("{} {}\n", stage_kind_name(stage.kind), kNumericsVersion);
  const FilterRules& filter = stage.filter;
  if (stage.kind == StageKind::filter)
    text += fmt::format("{} {} {} {} {}\n", filter.finished, filter.min_reward ? fmt::format("{}", *filter.min_reward) : "any", filter.mixed ? "scores" : "false",
                        filter.dedupe, filter.per_prompt);
  if (stage.kind == StageKind::merge)
    text += fmt::format("{} {}\n", stage.merge.shuffle ? fmt::format("{}", *stage.merge.shuffle) : "in order", stage.merge.max_rows);
  if (ready.config) text += config_text(stage.kind, *ready.config);
  for (const fs::path& file : files_of(ready)) {
    text += content_fingerprint(file) + "\n";
    if (is_adapter_folder(file)) text += content_fingerprint(adapter_base(file, read_adapter_config(file), {})) + "\n";
  }
  return fingerprint(text);
}

std::string output_fingerprint(const ReadyStage& ready) {
  std::string all;
  for (const fs::path& file : outputs_of(ready)) {
    if (!fs::exists(file)) return "";
    all += fmt::format("{}{}", all.empty() ? "" : " ", content_fingerprint(file));
  }
  return all;
}

}  // namespace cohort
