// `cohort import`: turns a GGUF file (llama architecture; F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q6_K)
// into a Hugging Face folder. A GGUF is hostile input: every length is checked before it is used,
// with limits before allocation.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace cohort {

// Writes model.safetensors (bf16), config.json, tokenizer.json, tokenizer_config.json and
// generation_config.json into `out_dir`, which must be new or empty. `progress(done, total)` counts
// tensors. Errors: exit code 3, or 6 when space is short; nothing half-written.
void import_gguf(const std::filesystem::path& gguf, const std::filesystem::path& out_dir,
                 const std::function<void(int, int)>& progress = {});

}  // namespace cohort
