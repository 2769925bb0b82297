#include "trainer/whole_model.h"

#include "core/check.h"
#include "model/adapter_folder.h"

namespace cohort {

std::filesystem::path whole_model_folder(const std::filesystem::path& dir) {
  return is_adapter_folder(dir) ? adapter_base(dir, read_adapter_config(dir), {}) : dir;
}

ModelConfig teacher_model_config(const Config& config) {
  try {
    return load_model_config(whole_model_folder(config.algorithm.teacher));
  } catch (const Error& error) {
    fail(error.code(), "algorithm.teacher: {}", error.what());
  }
}

}  // namespace cohort
