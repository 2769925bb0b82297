#include "model/score_head.h"

#include <algorithm>
#include <vector>

#include "core/check.h"
#include "core/rng.h"
#include "model/families/families.h"

namespace cohort {
namespace {

constexpr float kDeviation = 0.02f;
constexpr uint32_t kDraws = UINT32_MAX;

std::vector<float> new_score_head(const ParamEntry& head, uint64_t seed) {
  Random random(seed, Stream::kInit, kDraws);
  std::vector<float> numbers(static_cast<size_t>(head.size()));
  for (float& number : numbers) number = kDeviation * random.normal();
  return numbers;
}

const ParamEntry& head_of(const ParamTable& table) {
  const auto head = std::ranges::find(table.entries, table.head, &ParamEntry::offset);
  CHECK(head != table.entries.end() && head->name == "score.weight", "a model without a score");
  return *head;
}

}  // namespace

ModelConfig as_reward_model(ModelConfig config) {
  const auto family = std::ranges::find(families(), config.model_type, &Family::model_type);
  CHECK(family != families().end(), "no family '{}'", config.model_type);
  config.architecture = fmt::format("{}ForSequenceClassification", family->classifier.empty() ? family->architecture : family->classifier);
  config.num_labels = 1;
  return config;
}

Json reward_model_json(Json config, const ModelConfig& reward_model, int32_t pad) {
  config["architectures"] = Json::array({reward_model.architecture});
  config["id2label"] = {{"0", "LABEL_0"}};
  config["label2id"] = {{"LABEL_0", 0}};
  config.erase("num_labels");  // the labels say it
  if (reward_model.pad_token_id < 0) config["pad_token_id"] = pad;
  return config;
}

void read_score_head(const ParamTable& table, uint64_t seed, int64_t begin, std::span<float> out) {
  const ParamEntry& head = head_of(table);
  const std::vector<float> numbers = new_score_head(head, seed);
  const int64_t from = std::max(begin, head.offset), to = std::min(begin + std::ssize(out), head.offset + head.size());
  for (int64_t i = from; i < to; ++i) out[static_cast<size_t>(i - begin)] = numbers[static_cast<size_t>(i - head.offset)];
}

void init_score_head(Policy& policy, uint64_t seed, const Exec& ex) {
  const ParamEntry& head = head_of(policy.table);
  std::vector<float> numbers = new_score_head(head, seed);
  if (policy.dtype == DType::f32) return set_weights(policy, head.offset, {numbers.data(), DType::f32, {head.size()}}, ex);
  std::vector<bf16> rounded;
  for (const float number : numbers) rounded.push_back(to_bf16(number));
  set_weights(policy, head.offset, {rounded.data(), DType::bf16, {head.size()}}, ex);
}

}  // namespace cohort
