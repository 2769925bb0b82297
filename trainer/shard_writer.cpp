#include "trainer/shard_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "core/check.h"
#include "core/clock.h"
#include "core/hash.h"
#include "core/threads.h"
#include "core/unpin.h"
#include "trainer/checkpoint_layout.h"
#include "trainer/non_finite.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_write(const fs::path& file) {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT;
  fail(full ? ExitCode::kResources : ExitCode::kInput, "{}: cannot be written: {}; earlier checkpoints are untouched",
       file.string(), std::strerror(error));
}

// A file that is written piece by piece.
class ShardFile {
 public:
  explicit ShardFile(fs::path file) : file_(std::move(file)) {
    descriptor_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail_write(file_);
  }
  ~ShardFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  ShardFile(const ShardFile&) = delete;
  ShardFile& operator=(const ShardFile&) = delete;

  void append(std::span<const std::byte> bytes) {
    record_.bytes += bytes.size();
    hash_.add(bytes);
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_write(file_);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }
  // Flushes; what the manifest says of the file.
  ShardRecord finish() {
    const bool flushed = ::fsync(descriptor_) == 0;
    if (::close(std::exchange(descriptor_, -1)) != 0 || !flushed) fail_write(file_);
    record_.hash = hash_.text();
    return record_;
  }

 private:
  fs::path file_;
  int descriptor_ = -1;
  Fingerprint hash_;
  ShardRecord record_;
};

constexpr std::array kPartNames = {"master weights", "first moments", "second moments"};

// A run that would go on from NaN fails in its first step, each time.
void check_finite(std::span<const float> numbers, int shard, size_t part, int64_t begin) {
  const auto bad = std::ranges::find_if(numbers, [](float x) { return !std::isfinite(x); });
  if (bad == numbers.end()) return;
  fail(ExitCode::kNonFinite,
       "the optimizer's {} hold {} (shard {}, element {}): no checkpoint is written, earlier ones are untouched; {}",
       kPartNames[part], *bad, shard, begin + (bad - numbers.begin()), kGoOnSlower);
}

}  // namespace

ShardWriter::ShardWriter(fs::path folder, const Optimizer& optimizer, std::optional<int64_t> free_bytes)
    : folder_(std::move(folder)), optimizer_(optimizer) {
  const LogicalRange shards = optimizer.owned_shards();
  for (int shard = shards.first; shard < shards.last; ++shard)
    for (size_t part = 0; part < kShardParts.size(); ++part)
      for (int64_t begin = 0; begin < optimizer.shard_size(); begin += kCheckpointPiece)
        pieces_.push_back({shard, part, begin, std::min(kCheckpointPiece, optimizer.shard_size() - begin), {}});
  if (optimizer.on_gpu()) {
    if (free_bytes && bytes_to_copy(0) > *free_bytes / 2) {
      write();
      return;
    }
    for (Piece& piece : pieces_) read(piece, piece.copy);
  }
  thread_ = std::thread([this] {
    unpin_thread();  // the rank's computing threads have their cores to themselves
    write();
  });
}

ShardWriter::~ShardWriter() {
  give_up_ = true;
  if (thread_.joinable()) thread_.join();
}

int64_t ShardWriter::bytes_to_copy(size_t first) const {
  int64_t bytes = 0;
  for (size_t i = first; i < pieces_.size(); ++i)
    if (pieces_[i].copy.empty()) bytes += pieces_[i].count * static_cast<int64_t>(sizeof(float));
  return bytes;
}

void ShardWriter::read(const Piece& piece, std::vector<float>& numbers) const {
  numbers.resize(static_cast<size_t>(piece.count));
  optimizer_.read_state(piece.shard, kShardParts[piece.part], piece.begin, numbers);
}

void ShardWriter::write() {
  const Clock::time_point start = Clock::now();
  try {
    std::optional<ShardFile> file;
    std::vector<float> numbers;
    for (size_t i = 0; i < pieces_.size() && !give_up_; ++i) {
      Piece& piece = pieces_[i];
      {
        const std::lock_guard lock(reading_);
        next_ = i + 1;
        if (piece.copy.empty()) {
          read(piece, numbers);
        } else {
          numbers = std::move(piece.copy);
        }
        if (next_ == pieces_.size()) all_read_.notify_all();
      }
      check_finite(numbers, piece.shard, piece.part, piece.begin);
      if (!file) file.emplace(shard_file(folder_, piece.shard));
      file->append(std::as_bytes(std::span(numbers)));
      if (i + 1 < pieces_.size() && pieces_[i + 1].shard == piece.shard) continue;
      records_.push_back(file->finish());
      file.reset();
    }
  } catch (...) {
    error_ = std::current_exception();
    const std::lock_guard lock(reading_);
    next_ = pieces_.size();
    all_read_.notify_all();
  }
  seconds_ = seconds_since(start);
  done_ = true;
}

void ShardWriter::release(const Exec& ex, std::optional<int64_t> free_bytes) {
  std::unique_lock lock(reading_);
  const size_t first = next_;
  if (free_bytes && bytes_to_copy(first) > *free_bytes / 2) {
    all_read_.wait(lock, [&] { return next_ == pieces_.size(); });
    return;
  }
  ex.pool->run(static_cast<int64_t>(pieces_.size() - first), [&](int64_t task, int) {
    Piece& piece = pieces_[first + static_cast<size_t>(task)];
    if (piece.copy.empty()) read(piece, piece.copy);
  });
}

std::vector<ShardRecord> ShardWriter::finish() {
  if (thread_.joinable()) thread_.join();
  if (error_) std::rethrow_exception(error_);
  return records_;
}

}  // namespace cohort
