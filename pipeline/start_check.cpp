#include "pipeline/start_check.h"

#include <algorithm>

#include "core/check.h"
#include "model/adapter_folder.h"
#include "pipeline/sampled_row.h"
#include "pipeline/stage_key.h"
#include "reward/model_options.h"
#include "trainer/reward_model.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// One path for a file, however it is written and whether it is there.
fs::path full(const fs::path& file) {
  const fs::path path = fs::weakly_canonical(fs::absolute(file));
  return path.has_filename() ? path : path.parent_path();
}

bool is_inside(const fs::path& file, const fs::path& folder) {
  const fs::path inner = full(file).lexically_relative(full(folder));
  return !inner.empty() && *inner.begin() != "..";
}

// Of a model all that lies in its run directory, of which names are not known here.
bool leaves(const ReadyStage& ready, const fs::path& file) {
  if (leaves_model(ready.stage.kind)) return is_inside(file, ready.folder);
  return std::ranges::any_of(outputs_of(ready), [&](const fs::path& output) { return full(file) == full(output); });
}

bool is_left_by(std::span<const ReadyStage> before, const fs::path& file) {
  return std::ranges::any_of(before, [&](const ReadyStage& ready) { return leaves(ready, file); });
}

void check_files(const ReadyStage& ready, std::span<const ReadyStage> before) {
  for (const fs::path& file : files_of(ready)) {
    if (is_left_by(before, file)) continue;
    CHECK_INPUT(fs::exists(file), "{}: no such file or folder{}", file.string(),
                is_inside(file, ready.folder.parent_path()) ? ", and no stage before this one leaves it" : "");
    if (is_adapter_folder(file)) adapter_base(file, read_adapter_config(file), {});  // which throws where it is not there
  }
}

// Training wants whole weights, other stages merge an adapter into its base.
void check_whole_model(const ReadyStage& ready, std::span<const ReadyStage> before) {
  if (!leaves_model(ready.stage.kind) || ready.config->model.init) return;
  const fs::path path = ready.config->model.path;
  for (const ReadyStage& other : before)
    CHECK_USAGE(!leaves_model(other.stage.kind) || !other.config->model.lora || full(path) != full(other.folder / "final"),
                "model.path is an adapter alone, as stage '{0}' trains LoRA, and a whole model is needed to go on from; set model.lora.save_merged: true in stage "
                "'{0}', and ${{{0}}} is the merged model", other.stage.name);
  CHECK_INPUT(is_left_by(before, path) || !is_adapter_folder(path),
              "model.path: {0}: holds an adapter alone, and a whole model is needed to train; cohort import {0} OUT_DIR merges it into its base", path.string());
}

void check_reward_models(const ReadyStage& ready, std::span<const ReadyStage> before) {
  if (!ready.config || ready.stage.kind == StageKind::sft) return;
  for (const RewardSpec& spec : ready.config->reward) {
    if (!is_model_reward(spec) || spec.reward() == "judge") continue;
    const fs::path path = read_model_reward(spec).path;
    if (!is_left_by(before, path)) load_reward_model_config(path);  // which throws where it is none
  }
}

void check_data_to_sample(const ReadyStage& ready, std::span<const ReadyStage> before) {
  if (ready.stage.kind != StageKind::sample) return;
  const DataSection& data = ready.config->data;
  const auto check = [&](const std::string& file, const Json& columns, bool named) {
    if (!file.empty() && !is_left_by(before, file)) check_own_columns(load_jsonl(file, 0, columns).problems, file, named);
  };
  check(data.train.path, data.columns, false);
  for (const DataSource& source : data.train.sources) check(source.path, columns_of(source, data), true);
}

}  // namespace

void check_start(std::span<const ReadyStage> stages) {
  for (size_t i = 0; i < stages.size(); ++i) {
    const ReadyStage& ready = stages[i];
    try {
      for (const auto& check : {check_files, check_whole_model, check_reward_models, check_data_to_sample}) check(ready, stages.first(i));
    } catch (const Error& error) {
      fail(error.code(), "{}: stage '{}': {}", ready.stage.where, ready.stage.name, error.what());
    }
  }
}

}  // namespace cohort
