#include "model/config_reader.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace cohort {
namespace {

constexpr int64_t kMaxPositions = int64_t{1} << 24;

float positive(double value, std::string_view where, std::string_view key) {
  const float rounded = static_cast<float>(value);
  CHECK_INPUT(std::isfinite(rounded) && rounded > 0, "{}: {} is {}, must be positive", where, key, value);
  return rounded;
}

}  // namespace

float ConfigReader::positive_or_off(const char* key, double fallback) const {
  if (config_.contains(key) && config_[key].is_null()) return 0;
  const double value = number_or(key, fallback);
  return value == 0 && !has(key) ? 0 : positive(value, where_, key);
}

std::vector<int32_t> ConfigReader::token_ids(const char* key, int64_t vocab_size) const {
  std::vector<int32_t> ids;
  if (!has(key)) return ids;
  const Json list = config_[key].is_array() ? config_[key] : Json::array({config_[key]});
  for (const Json& id : list) {
    const Json holder = {{key, id}};
    ids.push_back(static_cast<int32_t>(get_int(holder, key, where_, 0, vocab_size - 1)));
  }
  return ids;
}

void ConfigReader::refuse(const char* key, const Json& value, std::string_view allowed) const {
  fail(ExitCode::kInput, "{}: {}: {} is not supported; allowed: {}", where_, key, dump_json(value), allowed);
}

void ConfigReader::refuse_if_set(const char* key, std::string_view allowed) const {
  if (!has(key)) return;
  const Json& value = config_[key];
  if (value == Json(false) || (value.is_number() && value == 0)) return;
  refuse(key, value, allowed);
}

void ConfigReader::require_activation(const char* key, const char* fallback,
                                      std::initializer_list<std::string_view> allowed) const {
  const std::string name = text_or(key, fallback);
  if (std::ranges::find(allowed, name) == allowed.end()) refuse(key, name, fmt::format("{}", fmt::join(allowed, ", ")));
}

RopeConfig ConfigReader::rope_of(const Json& parameters, const char* key, double theta) const {
  CHECK_INPUT(parameters.is_object(), "{}: {} must be an object, found {}", where_, key, parameters.type_name());
  const std::string where = fmt::format("{}: {}", where_, key);
  RopeConfig rope;
  rope.theta = positive(get_double_or(parameters, "rope_theta", where, theta), where_, "rope_theta");
  if (get_double_or(parameters, "partial_rotary_factor", where, 1.0) != 1.0)
    refuse("partial_rotary_factor", parameters["partial_rotary_factor"], "1");
  const char* type_key = parameters.contains("rope_type") ? "rope_type" : "type";
  const std::string type = get_string_or(parameters, type_key, where, "default");
  const auto number = [&](const char* name) { return positive(get_double(parameters, name, where), where, name); };
  if (type == "default") return rope;
  if (type == "linear") {
    rope.type = RopeConfig::Type::linear;
    rope.factor = number("factor");
    return rope;
  }
  if (type != "llama3") refuse(key, parameters, "rope_type default, linear, llama3");
  rope.type = RopeConfig::Type::llama3;
  rope.factor = number("factor");
  rope.low_freq_factor = number("low_freq_factor");
  rope.high_freq_factor = number("high_freq_factor");
  CHECK_INPUT(rope.high_freq_factor > rope.low_freq_factor, "{}: high_freq_factor {} must exceed low_freq_factor {}",
              where, rope.high_freq_factor, rope.low_freq_factor);
  // A length beside the rotation goes before the one inside, as transformers reads it.
  rope.original_max_positions = has("original_max_position_embeddings")
                                    ? integer("original_max_position_embeddings", 1, kMaxPositions)
                                    : get_int_or(parameters, "original_max_position_embeddings", where, 1, kMaxPositions,
                                           integer_or("max_position_embeddings", 1, kMaxPositions, 8192));
  return rope;
}

void ConfigReader::refuse_two_ropes() const {
  CHECK_INPUT(!has("rope_parameters") || !has("rope_scaling") || config_["rope_scaling"] == Json::object() ||
                  config_["rope_scaling"] == config_["rope_parameters"],
              "{}: rope_scaling and rope_parameters say different things; keep the one that holds", where_);
}

RopeConfig ConfigReader::rope() const {
  const double theta = number_or("rope_theta", 10000.0);
  refuse_two_ropes();
  const char* key = has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!has(key)) return rope_of(Json::object(), "rope_theta", theta);
  return rope_of(config_[key], key, theta);
}

std::vector<bool> ConfigReader::listed_layer_types(int64_t num_layers) const {
  const Json& types = config_["layer_types"];
  CHECK_INPUT(types.is_array() && static_cast<int64_t>(types.size()) == num_layers,
              "{}: layer_types must list the {} layers, found {}", where_, num_layers,
              types.is_array() ? std::to_string(types.size()) + " entries" : types.type_name());
  std::vector<bool> local;
  for (const Json& type : types) {
    if (type != "full_attention" && type != "sliding_attention")
      refuse("layer_types", type, "full_attention, sliding_attention");
    local.push_back(type == "sliding_attention");
  }
  return local;
}

}  // namespace cohort
