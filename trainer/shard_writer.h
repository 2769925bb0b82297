// ShardWriter: writes a rank's shards on a thread of its own while the run goes on. It reads the optimizer's state where it lies,
// which is possible until the optimizer's next step; what is not read by then is copied (release). A GPU's state is for one thread
// alone: all of it is copied at once, or written then and there.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/free_memory.h"
#include "trainer/optimizer.h"

namespace cohort {

struct ShardRecord {
  uint64_t bytes = 0;
  std::string hash;
};

class ShardWriter {
 public:
  // Begins to write this rank's shards into the folder. `free_bytes`: of the host's memory, what is free for this rank (nothing: not
  // known). A GPU's state that would take more than half of it is written when this returns, a piece at a time.
  ShardWriter(std::filesystem::path folder, const Optimizer& optimizer, std::optional<int64_t> free_bytes = {});
  // Gives up what is not written.
  ~ShardWriter();
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;

  // The optimizer's state is about to change: returns when nothing of it will be read any more. What is left is copied, or, where
  // that would take more than half of `free_bytes`, what is free for this rank (nothing: not known), waited for.
  void release(const Exec& ex, std::optional<int64_t> free_bytes);

  bool done() const { return done_; }  // written and flushed, or failed
  // Waits for the end. Throws what went wrong: no space (exit code 6), numbers that are not finite (5), ...
  std::vector<ShardRecord> finish();

  double seconds() const { return seconds_; }  // that writing took; after finish()

 private:
  // A part of a shard's file, in the order of writing.
  struct Piece {
    int shard;
    size_t part;
    int64_t begin, count;
    std::vector<float> copy;  // empty: still to be read from the optimizer
  };
  void write();
  int64_t bytes_to_copy(size_t first) const;  // of the pieces from that one on
  void read(const Piece& piece, std::vector<float>& numbers) const;

  std::filesystem::path folder_;
  const Optimizer& optimizer_;
  std::vector<Piece> pieces_;
  std::mutex reading_;  // of the optimizer's state, and of next_ and the copies
  std::condition_variable all_read_;
  size_t next_ = 0;  // the first piece that has not been read for writing
  std::atomic<bool> done_ = false, give_up_ = false;
  std::exception_ptr error_;
  std::vector<ShardRecord> records_;
  double seconds_ = 0;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace cohort
