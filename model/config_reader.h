// ConfigReader: typed, checked access to one config.json, and the readers of what several families share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"

namespace cohort {

class ConfigReader {
 public:
  // `config` and `where` (the file, for messages) must outlive the reader.
  ConfigReader(const Json& config, std::string_view where) : config_(config), where_(where) {}

  const Json& json() const { return config_; }
  std::string_view where() const { return where_; }
  // Present and not null.
  bool has(const char* key) const { return config_.contains(key) && !config_[key].is_null(); }

  int64_t integer(const char* key, int64_t low, int64_t high) const { return get_int(config_, key, where_, low, high); }
  int64_t integer_or(const char* key, int64_t low, int64_t high, int64_t fallback) const {
    return get_int_or(config_, key, where_, low, high, fallback);
  }
  double number_or(const char* key, double fallback) const { return get_double_or(config_, key, where_, fallback); }
  bool flag_or(const char* key, bool fallback) const { return get_bool_or(config_, key, where_, fallback); }
  std::string text_or(const char* key, std::string fallback) const {
    return get_string_or(config_, key, where_, std::move(fallback));
  }
  // A positive number, or `fallback` where the key is absent; null means 0, "off".
  float positive_or_off(const char* key, double fallback) const;
  // One id, a list of ids, null or absent.
  std::vector<int32_t> token_ids(const char* key, int64_t vocab_size) const;

  // The value would change the model's numbers in a way that cohort does not compute.
  [[noreturn]] void refuse(const char* key, const Json& value, std::string_view allowed) const;
  // Refuses the key unless it is absent, null, false or 0.
  void refuse_if_set(const char* key, std::string_view allowed = "the key absent") const;
  // The activation `key` names, one of `allowed`.
  void require_activation(const char* key, const char* fallback, std::initializer_list<std::string_view> allowed) const;

  // rope_parameters (transformers 5) or rope_theta and rope_scaling (before), one rotation for all layers.
  RopeConfig rope() const;
  // Files that have both keys must say the same in both.
  void refuse_two_ropes() const;
  // One rotation from the object at `name` of rope_parameters.
  RopeConfig rope_of(const Json& parameters, const char* key, double theta) const;

  // Which layers are local. From layer_types where it is there, else `is_local(layer)`.
  template <typename IsLocal>
  std::vector<bool> local_layers(int64_t num_layers, const IsLocal& is_local) const {
    if (has("layer_types")) return listed_layer_types(num_layers);
    std::vector<bool> local(static_cast<size_t>(num_layers));
    for (int64_t layer = 0; layer < num_layers; ++layer) local[static_cast<size_t>(layer)] = is_local(layer);
    return local;
  }

 private:
  std::vector<bool> listed_layer_types(int64_t num_layers) const;

  const Json& config_;
  std::string_view where_;
};

}  // namespace cohort
