// The writer of safetensors files.
#include "model/formats/safetensors_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <unordered_set>

#include "core/check.h"
#include "core/files.h"
#include "core/text.h"
#include "model/formats/in_quotes.h"
#include "model/formats/safetensors.h"
#include "model/formats/safetensors_dtypes.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr size_t kAlignment = 8;

uint64_t entry_bytes(const SafetensorsWriter::Entry& entry) {
  uint64_t bits = static_cast<uint64_t>(safetensors_bits(entry.dtype));
  CHECK(bits > 0, "tensor {}: '{}' is no safetensors dtype", entry.name, entry.dtype);
  for (int64_t dim : entry.shape)
    CHECK(dim >= 0 && !__builtin_mul_overflow(bits, static_cast<uint64_t>(dim), &bits),
          "tensor {}: shape [{}]", entry.name, fmt::join(entry.shape, ", "));
  CHECK(bits % 8 == 0, "tensor {}: {} bits are no whole bytes", entry.name, bits);
  return bits / 8;
}

std::string make_header(std::span<const SafetensorsWriter::Entry> entries, uint64_t& end) {
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::unordered_set<std::string_view> names;
  end = 0;
  for (const SafetensorsWriter::Entry& entry : entries) {
    CHECK(!entry.name.empty() && entry.name != "__metadata__" && is_utf8(entry.name),
          "{} cannot name a tensor", in_quotes(entry.name));
    CHECK(names.insert(entry.name).second, "tensor {} stands twice", entry.name);
    const uint64_t begin = end;
    end += entry_bytes(entry);
    header += fmt::format(R"(,{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                          dump_json(Json(entry.name)), entry.dtype, fmt::join(entry.shape, ","),
                          begin, end);
  }
  header += '}';
  header.append((kAlignment - header.size() % kAlignment) % kAlignment, ' ');
  CHECK(header.size() <= static_cast<size_t>(kMaxSafetensorsHeader),
        "a header of {} bytes; allowed are {}", header.size(), kMaxSafetensorsHeader);
  return header;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const fs::path& file, std::span<const Entry> entries)
    : file_(file), temporary_(file) {
  temporary_ += ".tmp";
  uint64_t data_bytes = 0;
  const std::string header = make_header(entries, data_bytes);
  const uint64_t length = header.size();
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail_here("cannot be created");
  try {
    write(&length, sizeof length);
    write(header.data(), header.size());
  } catch (...) {
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
    throw;
  }
  missing_ = data_bytes;
}

SafetensorsWriter::~SafetensorsWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void SafetensorsWriter::fail_here(const char* what) const {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  fail(full ? ExitCode::kResources : ExitCode::kInput, "{}: {}: {}", temporary_.string(), what,
       std::strerror(error));
}

void SafetensorsWriter::write(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, at, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_here("cannot be written");
    at += written;
    bytes -= static_cast<size_t>(written);
  }
}

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
  CHECK(bytes.size() <= missing_, "{}: {} bytes more than its header names", file_.string(),
        bytes.size() - missing_);
  write(bytes.data(), bytes.size());
  missing_ -= bytes.size();
}

void SafetensorsWriter::finish() {
  CHECK(missing_ == 0, "{}: {} bytes of its tensors are missing", file_.string(), missing_);
  if (::fsync(descriptor_) != 0) fail_here("cannot be flushed");
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0 || ::rename(temporary_.c_str(), file_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    errno = error;
    fail_here("cannot be completed");
  }
  fsync_path(file_.has_parent_path() ? file_.parent_path() : fs::path("."));
}

}  // namespace cohort
