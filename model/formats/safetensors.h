// Reads and writes safetensors, strictly (rules: github.com/huggingface/safetensors, README and
// tensor.rs).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"
#include "model/formats/stored_dtype.h"

namespace cohort {

// One tensor of a file. `dtype` is the file's name for it: "BF16", "F32", "F16", ...
struct StoredTensor {
  std::string dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

// A folder's model.safetensors, or the shards that model.safetensors.index.json names, mapped
// read-only. Refused with exit code 3: everything in reliability notes 4.6 (short file, holes,
// overlaps, unknown dtype, overflow, duplicate or missing tensors, shard paths that leave the
// folder, pickles: "convert to safetensors", ...).
class SafetensorsFolder {
 public:
  static SafetensorsFolder open(const std::filesystem::path& model_dir);
  static SafetensorsFolder open_file(const std::filesystem::path& file);
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  // In the order of their names.
  const std::vector<MappedFile>& files() const { return files_; }
  // The file that holds one of the folder's tensors.
  const std::filesystem::path& file_of(const StoredTensor& tensor) const;
  // What is wrong but changes no weight, a line each: an index whose total_size is not the shards'.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::vector<MappedFile> files_;
  std::vector<std::string> warnings_;
  std::map<std::string, StoredTensor> tensors_;
};

// The dtype of a weight; exit code 3 for those that weights do not have.
StoredDType weight_dtype(const StoredTensor& stored, std::string_view where);
// The refusal of element `index`, which is not finite, or not as bfloat16.
[[noreturn]] void refuse_not_finite(const StoredTensor& stored, StoredDType dtype, std::string_view where, size_t index,
                                    bool to_bf16);

// Parses one safetensors image: header checks only, no copies. For tests and fuzzing too.
std::map<std::string, StoredTensor> parse_safetensors(std::span<const std::byte> image,
                                                      std::string_view where);

}  // namespace cohort
