// The number types in which checkpoints store weights. In memory a weight is float32 or bfloat16 (model/tensor.h); files
// know float16 too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "model/tensor.h"

namespace cohort {

enum class StoredDType : uint8_t { f32, bf16, f16 };

// A memory dtype as files call it, and the smallest memory dtype that holds a stored one exactly (float16 has more digits
// than bfloat16).
constexpr StoredDType stored_as(DType dtype) { return dtype == DType::bf16 ? StoredDType::bf16 : StoredDType::f32; }
constexpr DType exact_dtype(StoredDType stored) { return stored == StoredDType::bf16 ? DType::bf16 : DType::f32; }

constexpr size_t stored_size(StoredDType dtype) { return dtype == StoredDType::f32 ? 4 : 2; }
// As safetensors files say it.
constexpr const char* safetensors_name(StoredDType dtype) {
  return dtype == StoredDType::f32 ? "F32" : dtype == StoredDType::bf16 ? "BF16" : "F16";
}
constexpr std::optional<StoredDType> stored_dtype_of_file(std::string_view name) {
  for (const StoredDType dtype : {StoredDType::f32, StoredDType::bf16, StoredDType::f16})
    if (name == safetensors_name(dtype)) return dtype;
  return std::nullopt;
}
// As config.json, torch and the command line say it.
constexpr const char* stored_name(StoredDType dtype) {
  return dtype == StoredDType::f32 ? "float32" : dtype == StoredDType::bf16 ? "bfloat16" : "float16";
}
// float32 | bfloat16 | float16; nothing for any other text.
constexpr std::optional<StoredDType> stored_dtype_of(std::string_view name) {
  for (const StoredDType dtype : {StoredDType::f32, StoredDType::bf16, StoredDType::f16})
    if (name == stored_name(dtype)) return dtype;
  return std::nullopt;
}

}  // namespace cohort
