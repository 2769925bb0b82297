// What the ranks of a communicator share: a ring of bytes for each ordered pair, in POSIX shared memory, so that ranks may
// be processes or threads. One writer and one reader a ring, no locks: a rank that is killed stops its rings, no more.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace emulated {

class RankRings {
 public:
  static constexpr int kMostRanks = 64;
  static std::string new_name();  // of a communicator to be

  // This rank's place in the communicator `name`. `device`: its GPU, which no other rank may have.
  RankRings(const std::string& name, int ranks, int rank, int device);
  ~RankRings();
  RankRings(const RankRings&) = delete;
  RankRings& operator=(const RankRings&) = delete;

  // "" or why this rank cannot take part: another number of ranks, a rank or a GPU that is taken.
  const std::string& objection() const { return objection_; }
  bool all_here();
  // As many bytes as there is room for, or as are there.
  size_t write(int to, const void* data, size_t bytes);
  size_t read(int from, void* data, size_t bytes);

 private:
  struct Ring;
  struct Shared;
  Ring& ring(int from, int to);

  std::string name_, objection_;
  int ranks_, rank_;
  Shared* shared_ = nullptr;
};

}  // namespace emulated
