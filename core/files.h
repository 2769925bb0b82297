// Files: whole reads, memory maps, and writes that are either complete or absent.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

// The whole file. Throws (exit code 3) naming the path: missing, not a regular file, larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, size_t max_bytes = size_t{1} << 30);

// The lines of a file that is appended to line by line, without their ends; a last one that a kill cut short is left out.
std::vector<std::string> read_whole_lines(const std::filesystem::path& path);

// A read-only memory map of a whole file; empty files give an empty span. Throws like read_file.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Writes path.tmp, fsyncs, renames over `path`, fsyncs the folder. Out of space: exit code 6; else exit code 3.
void write_file_atomic(const std::filesystem::path& path, std::string_view text);

// Appends and flushes to the file system; creates the file when it is missing.
void append_file(const std::filesystem::path& path, std::string_view text);

void fsync_path(const std::filesystem::path& path);  // a file or a folder

// Creates the folder and its parents and proves it writable, else throws (exit code 2) naming the path and why.
void make_writable_dir(const std::filesystem::path& path);

}  // namespace cohort
