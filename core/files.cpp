#include "core/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

#include "core/check.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// Owns a descriptor; errors of close() are reported by the caller who must know (written files), ignored elsewhere.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

ExitCode code_of(int error) {
  return error == ENOSPC || error == EDQUOT || error == ENOMEM ? ExitCode::kResources : ExitCode::kInput;
}

[[noreturn]] void fail_errno(int error, const char* what, const fs::path& path) {
  fail(code_of(error), "{}: {}: {}", path.string(), what, std::strerror(error));
}

Descriptor open_regular(const fs::path& path, struct stat& info) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    std::error_code ignored;
    if (error == ENOENT && path.is_relative())
      fail(code_of(error), "{}: cannot be opened: {} (relative to {})", path.string(), std::strerror(error), fs::current_path(ignored).string());
    fail_errno(error, "cannot be opened", path);
  }
  Descriptor file(fd);
  if (::fstat(fd, &info) != 0) fail_errno(errno, "cannot be examined", path);
  CHECK_INPUT(S_ISREG(info.st_mode), "{}: {}", path.string(), S_ISDIR(info.st_mode) ? "a folder, and a file is wanted: not a regular file" : "not a regular file");
  return Descriptor(::dup(fd));
}

void write_all(const Descriptor& file, std::string_view text, const fs::path& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_errno(errno, "cannot be written", path);
    text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

std::string read_file(const fs::path& path, size_t max_bytes) {
  struct stat info {};
  const Descriptor file = open_regular(path, info);
  const auto too_large = [&](uint64_t size) {
    fail(ExitCode::kInput, "{}: {} bytes, more than the {} that are read", path.string(), size, max_bytes);
  };
  if (static_cast<uint64_t>(info.st_size) > max_bytes) too_large(static_cast<uint64_t>(info.st_size));
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t at = 0;
  while (true) {
    if (at == text.size()) {  // the end, or a file that grows while it is read
      char extra;
      const ssize_t more = ::read(file.get(), &extra, 1);
      if (more == 0) break;
      if (more < 0 && errno == EINTR) continue;
      if (more < 0) fail_errno(errno, "cannot be read", path);
      if (at + 1 > max_bytes) too_large(at + 1);
      text.push_back(extra);
      ++at;
      continue;
    }
    const ssize_t got = ::read(file.get(), text.data() + at, text.size() - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno(errno, "cannot be read", path);
    if (got == 0) break;
    at += static_cast<size_t>(got);
  }
  text.resize(at);
  return text;
}

std::vector<std::string> read_whole_lines(const std::filesystem::path& path) {
  std::vector<std::string> whole;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line) && !lines.eof();) whole.push_back(line);
  return whole;
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  struct stat info {};
  const Descriptor file = open_regular(path, info);
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) fail_errno(errno, "cannot be mapped", path);
  data_ = static_cast<const std::byte*>(data);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

void write_file_atomic(const fs::path& path, std::string_view text) {
  fs::path temporary = path;
  temporary += ".tmp";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) fail_errno(errno, "cannot be created", temporary);
  Descriptor file(fd);
  try {
    write_all(file, text, temporary);
    if (::fsync(file.get()) != 0) fail_errno(errno, "cannot be flushed", temporary);
    if (!file.close()) fail_errno(errno, "cannot be closed", temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail_errno(errno, "cannot be replaced", path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  fsync_path(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void append_file(const fs::path& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) fail_errno(errno, "cannot be opened for writing", path);
  Descriptor file(fd);
  write_all(file, text, path);
  if (!file.close()) fail_errno(errno, "cannot be closed", path);
}

void fsync_path(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_errno(errno, "cannot be opened", path);
  const Descriptor file(fd);
  if (::fsync(file.get()) != 0) fail_errno(errno, "cannot be flushed", path);
}

void make_writable_dir(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  CHECK_USAGE(!error, "{}: cannot be created: {}", path.string(), error.message());
  CHECK_USAGE(fs::is_directory(path), "{}: exists, but is no folder", path.string());
  const fs::path probe = path / fmt::format(".writable.{}", ::getpid());
  const int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  CHECK_USAGE(fd >= 0, "{}: no file can be made in it: {}", path.string(), std::strerror(errno));
  ::close(fd);
  ::unlink(probe.c_str());
}

}  // namespace cohort
