// What Qwen 2 and 3 share.
#pragma once

#include "model/config_reader.h"

namespace cohort {

// use_sliding_window, max_window_layers and layer_types: which layers have a window. Needs config.rope.
void read_qwen_window(const ConfigReader& reader, ModelConfig& config);

}  // namespace cohort
