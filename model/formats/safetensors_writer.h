// Writes one safetensors file piece by piece, so that a model larger than memory can pass through.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace cohort {

class SafetensorsWriter {
 public:
  struct Entry {
    std::string name, dtype;
    std::vector<int64_t> shape;
  };

  // Starts `file`.tmp with the header: metadata {"format": "pt"} (loaders refuse files without it),
  // padded by spaces so that the data begin at a multiple of 8. Names must be distinct, dtypes
  // known. Errors of the file system: exit code 6 when space is short, else 3.
  SafetensorsWriter(const std::filesystem::path& file, std::span<const Entry> entries);
  // Removes the unfinished file.
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  // The next bytes: the tensors' data, one after the other in the order of the entries.
  void append(std::span<const std::byte> bytes);
  // Flushes to the disk and renames to `file`; needs all bytes of all entries.
  void finish();

 private:
  void write(const void* data, size_t bytes);
  [[noreturn]] void fail_here(const char* what) const;

  std::filesystem::path file_, temporary_;
  int descriptor_ = -1;
  uint64_t missing_ = 0;  // bytes of data still to come
};

}  // namespace cohort
