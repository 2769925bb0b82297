// What a model folder that may be a LoRA adapter's is like before it is loaded.
#pragma once

#include <filesystem>

#include "model/config.h"
#include "trainer/config.h"

namespace cohort {

// Whose config.json and weights count: of an adapter's folder its base, else the folder itself.
std::filesystem::path whole_model_folder(const std::filesystem::path& dir);

// Of algorithm.teacher; messages name that key.
ModelConfig teacher_model_config(const Config& config);

}  // namespace cohort
