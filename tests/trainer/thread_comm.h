// Ranks as threads of one process, for tests of what several ranks compute together.
#pragma once

#include <algorithm>
#include <barrier>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "comm/comm.h"
#include "core/check.h"

namespace cohort {

// What the ranks show each other: one slot a rank.
struct ThreadWorld {
  explicit ThreadWorld(int ranks) : meet(ranks), slots(static_cast<size_t>(ranks)) {}
  struct Slot {
    std::span<const std::span<const std::byte>> parts;  // for each receiver, or one for all
    bool flag = false;
  };
  std::barrier<> meet;
  std::vector<Slot> slots;
  // Messages: of all ranks, in the order in which they were posted.
  struct Posted {
    int from, to;
    std::vector<std::byte> bytes;
  };
  std::mutex mail;
  std::condition_variable arrived;
  std::deque<Posted> posted;
};

class ThreadComm : public Comm {
 public:
  ThreadComm(ThreadWorld& world, int rank) : world_(world), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(world_.slots.size()); }
  int local_rank() const override { return rank_; }
  std::string host() const override { return "threads"; }

  void barrier(const char*) override { world_.meet.arrive_and_wait(); }

  bool any(bool flag, const char*) override {
    bool result = false;
    show({.flag = flag}, [&] {
      result = std::ranges::any_of(world_.slots, [](const auto& slot) { return slot.flag; });
    });
    return result;
  }

  void broadcast(std::span<std::byte> data, int root, const char*) override {
    const std::span<const std::byte> mine[] = {data};
    show({mine}, [&] {
      if (rank_ != root) copy(world_.slots[root].parts[0], data);
    });
  }

  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine,
                                                 const char*) override {
    std::vector<std::vector<std::byte>> all;
    show({std::span(&mine, 1)}, [&] {
      for (const auto& slot : world_.slots)
        all.emplace_back(slot.parts[0].begin(), slot.parts[0].end());
    });
    return all;
  }

  void all_gather_spans(std::span<std::byte> data, std::span<const int64_t> offsets,
                        const char*) override {
    const auto part = [&](int r) {
      return data.subspan(static_cast<size_t>(offsets[r]),
                          static_cast<size_t>(offsets[r + 1] - offsets[r]));
    };
    const std::span<const std::byte> mine[] = {part(rank_)};
    show({mine}, [&] {
      for (int r = 0; r < size(); ++r)
        if (r != rank_) copy(world_.slots[r].parts[0], part(r));
    });
  }

  void all_to_all(std::span<const std::span<const std::byte>> send,
                  std::span<const std::span<std::byte>> receive, const char*) override {
    show({send}, [&] {
      for (int r = 0; r < size(); ++r) copy(world_.slots[r].parts[rank_], receive[r]);
    });
  }

  void post(int to, std::span<const std::byte> message) override {
    CHECK(to != rank_ && message.size() <= kMaxMessage, "{} bytes to rank {}", message.size(), to);
    const std::lock_guard lock(world_.mail);
    world_.posted.push_back({rank_, to, {message.begin(), message.end()}});
    world_.arrived.notify_all();
  }
  std::optional<Message> poll() override {
    const std::lock_guard lock(world_.mail);
    return take([](int) { return true; });
  }
  Message receive(std::span<const int> from, const char*) override {
    std::unique_lock lock(world_.mail);
    std::optional<Message> message;
    world_.arrived.wait(lock, [&] {
      message = take([&](int rank) { return std::ranges::find(from, rank) != from.end(); });
      return message.has_value();
    });
    return *std::move(message);
  }

  void set_deadline(std::chrono::milliseconds) override {}
  [[noreturn]] void abort(int exit_code) override { std::_Exit(exit_code); }

 private:
  template <typename Look>
  void show(ThreadWorld::Slot mine, Look look) {
    world_.slots[rank_] = mine;
    world_.meet.arrive_and_wait();
    look();
    world_.meet.arrive_and_wait();
  }
  static void copy(std::span<const std::byte> from, std::span<std::byte> to) {
    CHECK(from.size() == to.size(), "{} bytes sent, {} expected", from.size(), to.size());
    std::ranges::copy(from, to.begin());
  }

  template <typename Wanted>
  std::optional<Message> take(Wanted wanted) {
    const auto at = std::ranges::find_if(world_.posted, [&](const auto& p) { return p.to == rank_ && wanted(p.from); });
    if (at == world_.posted.end()) return std::nullopt;
    Message message{at->from, std::move(at->bytes)};
    world_.posted.erase(at);
    return message;
  }

  ThreadWorld& world_;
  int rank_;
};

// Runs body(comm) on each rank. An exception ends the program: the other ranks would wait for ever.
inline void run_on_threads(int ranks, const std::function<void(Comm&)>& body) {
  ThreadWorld world(ranks);
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r) {
    threads.emplace_back([&world, &body, r]() noexcept {
      ThreadComm comm(world, r);
      body(comm);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(world.posted.empty(), "{} messages that nobody has received", world.posted.size());
}

}  // namespace cohort
