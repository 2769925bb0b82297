#include "trainer/adapter.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "core/files.h"
#include "model/adapter_folder.h"
#include "trainer/model_setup.h"

namespace cohort {

LoraConfig lora_config(const LoraSection& section) {
  return {.rank = section.rank, .alpha = section.alpha, .target_modules = lora_modules(section.target_modules)};
}

ParamTable trained_table(const ModelConfig& model, const Config& config) {
  const int64_t shards = config.trainer.logical_ranks;
  ParamTable weights = make_param_table(model, shards);
  if (!config.model.lora) return weights;
  return make_lora_layout(model, weights, lora_config(*config.model.lora), shards).table;
}

DType trained_dtype(const Config& config, DType weights) { return config.model.lora ? DType::f32 : weights; }

std::string start_adapter(Policy& policy, const Config& config, const Exec& ex) {
  if (!config.model.lora) return "";
  const LoraConfig lora = lora_config(*config.model.lora);
  add_lora(policy, lora, config.trainer.logical_ranks, config.run.seed, ex);
  return fmt::format("LoRA: rank {} of {}; {} of {} parameters are trained", lora.rank, fmt::join(lora.target_modules, ", "),
                     policy.lora->layout.table.count, policy.table.count + policy.lora->layout.table.count);
}

void save_adapter(const LoraAdapter& lora, const ModelFiles& files, const std::string& base, const std::filesystem::path& dir) {
  write_adapter(lora, base, dir);
  constexpr std::array kOfAWholeModel = {"config.json", "generation_config.json"};
  for (const auto& [name, bytes] : files.files) {
    if (std::ranges::find(kOfAWholeModel, name) != kOfAWholeModel.end()) continue;
    std::filesystem::create_directories((dir / name).parent_path());
    write_file_atomic(dir / name, bytes);
  }
}

std::vector<float> merged_masters(const Policy& policy, const std::filesystem::path& source) {
  std::vector<float> masters(static_cast<size_t>(policy.table.size));
  read_masters(policy.table, source, 0, masters);
  std::vector<std::byte> space;
  for (const auto& matrices : policy.lora->layout.layers)
    for (const LoraMatrix& matrix : matrices)
      for (const LoraTarget& target : matrix.targets) {
        const ParamEntry& entry = *std::ranges::find(policy.table.entries, target.module + ".weight", &ParamEntry::name);
        space.resize(static_cast<size_t>(entry.size()) * dtype_size(policy.dtype));
        const Tensor weights(space.data(), policy.dtype, {entry.size()});
        copy_weights(policy, entry.offset, weights);
        for (int64_t i = 0; i < entry.size(); ++i)
          masters[static_cast<size_t>(entry.offset + i)] = policy.dtype == DType::bf16 ? to_float(weights.b16()[i]) : weights.f32()[i];
      }
  return masters;
}

}  // namespace cohort
