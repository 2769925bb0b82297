// Slow, obvious ways in and out of safetensors, for tests: a file from tensors in memory, a tensor's numbers one call at a
// time.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "model/formats/convert_numbers.h"
#include "model/formats/safetensors.h"
#include "model/formats/safetensors_writer.h"

namespace cohort {

struct NamedTensor {
  std::string name;
  StoredTensor tensor;
};
inline void write_safetensors(const std::filesystem::path& file, std::span<const NamedTensor> tensors) {
  std::vector<SafetensorsWriter::Entry> entries;
  for (const auto& [name, tensor] : tensors) entries.push_back({name, tensor.dtype, tensor.shape});
  SafetensorsWriter writer(file, entries);
  for (const NamedTensor& named : tensors) writer.append(named.tensor.data);
  writer.finish();
}

// Into f32 or bf16 memory; refuses what read_weights refuses.
inline void convert_stored(const StoredTensor& stored, std::string_view where, bool to_bf16, void* out) {
  const StoredDType dtype = weight_dtype(stored, where);
  const size_t count = stored.data.size() / stored_size(dtype);
  if (count == 0) return;
  const size_t bad =
      convert_numbers(dtype, stored.data.data(), to_bf16 ? StoredDType::bf16 : StoredDType::f32, out, count);
  if (bad < count) refuse_not_finite(stored, dtype, where, bad, to_bf16);
}

}  // namespace cohort
