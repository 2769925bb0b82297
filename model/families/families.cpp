#include "model/families/families.h"

namespace cohort {

std::span<const Family> families() {
  static constexpr Family kFamilies[] = {
      {"llama", "Llama", read_llama},
      {"mistral", "Mistral", read_mistral, false, 0, 8},
      {"qwen2", "Qwen2", read_qwen2, false, 0, 32},
      {"qwen3", "Qwen3", read_qwen3, false, 128, 32},
      {"gemma", "Gemma", read_gemma, true, 256, 16},
      {"gemma2", "Gemma2", read_gemma2, true, 256, 4},
      {"gemma3_text", "Gemma3", read_gemma3, true, 256, 4, "Gemma3Text"},
  };
  return kFamilies;
}

}  // namespace cohort
