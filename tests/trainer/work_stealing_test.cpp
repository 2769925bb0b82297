// Each request is begun once, on whichever rank, and every rank learns when no more will come.
#include "trainer/work_stealing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/rng.h"
#include "tests/trainer/thread_comm.h"

namespace cohort {
namespace {

// A rank that begins requests as they come, up to `most` at a time, each of so many passes as `passes_of` says.
struct Runner {
  std::deque<size_t> waiting;
  size_t most;
  std::function<int64_t(size_t)> passes_of;
  std::vector<size_t> begun = {};
  int64_t stolen = 0, waits = 0;

  void run(Comm& comm) {
    bool waiting_for_others = false;
    WorkStealing stealing(comm, [&](bool waits_now) {
      EXPECT_NE(waits_now, waiting_for_others);
      waiting_for_others = waits_now, waits += waits_now;
    });
    std::vector<int64_t> left;  // passes, of each in flight
    while (true) {
      const size_t held = left.size() + waiting.size();
      const bool more = stealing.exchange(waiting, waiting.size(), most - std::min(most, held), held == 0);
      if (waiting.empty() && left.empty()) {
        if (!more) break;
        continue;
      }
      for (; left.size() < most && !waiting.empty(); waiting.pop_front()) {
        begun.push_back(waiting.front());
        left.push_back(passes_of(waiting.front()));
      }
      for (int64_t& passes : left) --passes;
      std::erase(left, 0);
    }
    stolen = stealing.stolen();
    std::vector<int64_t> sent;
    for (const auto& bytes : comm.all_gather(std::as_bytes(stealing.sent()), "messages"))
      sent.push_back(reinterpret_cast<const int64_t*>(bytes.data())[comm.rank()]);
    stealing.finish(sent);
  }
};

// All of `shares` on as many ranks; returns the runners when every request was begun once.
std::vector<Runner> run_shares(const std::vector<size_t>& shares, size_t most, const std::function<int64_t(size_t)>& passes_of) {
  std::vector<Runner> runners;
  size_t total = 0;
  for (const size_t share : shares) {
    Runner& runner = runners.emplace_back(Runner{{}, most, passes_of});
    for (size_t i = 0; i < share; ++i) runner.waiting.push_back(total++);
  }
  run_on_threads(static_cast<int>(shares.size()), [&](Comm& comm) { runners[static_cast<size_t>(comm.rank())].run(comm); });
  std::vector<size_t> begun, all(total);
  for (const Runner& runner : runners) begun.insert(begun.end(), runner.begun.begin(), runner.begun.end());
  std::ranges::sort(begun);
  std::iota(all.begin(), all.end(), size_t{0});
  EXPECT_EQ(begun, all);
  return runners;
}

TEST(WorkStealing, EachRequestIsBegunOnceWhateverTheShares) {
  constexpr uint64_t kSeed = 20261130;
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  Random random(kSeed, Stream::kTest);
  int64_t stolen = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<size_t> shares(static_cast<size_t>(random.between(1, 8)));
    for (size_t& share : shares) share = random.below(3) == 0 ? 0 : static_cast<size_t>(random.between(0, 40));
    const auto longest = static_cast<size_t>(random.between(1, 50));
    for (const Runner& runner : run_shares(shares, static_cast<size_t>(random.between(1, 9)),
                                           [&](size_t request) { return static_cast<int64_t>(1 + request * 7919 % longest); })) {
      stolen += runner.stolen;
      if (shares.size() == 1) {
        EXPECT_EQ(runner.stolen + runner.waits, 0);
      }
    }
  }
  EXPECT_GT(stolen, 200);
}

TEST(WorkStealing, IdleRanksTakeWhatOneHasNotBegun) {
  std::vector<Runner> runners(3, Runner{{}, 1, [](size_t) { return 1; }});
  run_on_threads(3, [&](Comm& comm) {
    Runner& runner = runners[static_cast<size_t>(comm.rank())];
    if (comm.rank() > 0) return runner.run(comm);
    // This one begins none of its own before all are gone that may move.
    WorkStealing stealing(comm, [](bool) { FAIL() << "it has work"; });
    for (size_t i = 0; i < 9; ++i) runner.waiting.push_back(i);
    while (runner.waiting.size() > 1) stealing.exchange(runner.waiting, runner.waiting.size() - 1, 0, false);
    std::vector<int64_t> sent;
    for (const auto& bytes : comm.all_gather(std::as_bytes(stealing.sent()), "messages"))
      sent.push_back(reinterpret_cast<const int64_t*>(bytes.data())[0]);
    stealing.finish(sent);
  });
  EXPECT_EQ(runners[0].waiting, std::deque<size_t>{0}) << "it keeps what may not move";
  EXPECT_EQ(runners[1].stolen + runners[2].stolen, 8);
  EXPECT_EQ(runners[1].begun.size() + runners[2].begun.size(), 8u);
  EXPECT_GT(runners[1].waits + runners[2].waits, 0);
}

TEST(WorkStealing, GivesTheLastOnesAndNeverMoreThanIsAskedFor) {
  run_on_threads(2, [&](Comm& comm) {
    WorkStealing stealing(comm, [](bool) {});
    std::deque<size_t> waiting;
    if (comm.rank() == 0) {
      for (size_t i = 0; i < 2000; ++i) waiting.push_back(i);
      for (size_t left = 2000; left == 2000; left = waiting.size()) stealing.exchange(waiting, waiting.size(), 0, false);
      EXPECT_EQ(waiting.size(), 1995u) << "five of a thousand";
      EXPECT_EQ(waiting.back(), 1994u);
      comm.barrier("five");
      while (waiting.size() == 1995) stealing.exchange(waiting, waiting.size(), 0, false);
      EXPECT_EQ(1995 - waiting.size(), Comm::kMaxMessage / 4 - 1) << "as many as a message holds";
      comm.barrier("many");
      waiting.clear();
      EXPECT_FALSE(stealing.exchange(waiting, 0, 0, true)) << "nobody has anything";
    } else {
      EXPECT_TRUE(stealing.exchange(waiting, 0, 5, true));
      EXPECT_EQ(waiting, (std::deque<size_t>{1995, 1996, 1997, 1998, 1999}));
      comm.barrier("five");
      waiting.clear();
      EXPECT_TRUE(stealing.exchange(waiting, 0, 100000, true));
      EXPECT_EQ(waiting.back(), 1994u);
      comm.barrier("many");
      waiting.clear();
      EXPECT_FALSE(stealing.exchange(waiting, 0, 1, true));
    }
    std::vector<int64_t> sent;
    for (const auto& bytes : comm.all_gather(std::as_bytes(stealing.sent()), "messages"))
      sent.push_back(reinterpret_cast<const int64_t*>(bytes.data())[comm.rank()]);
    stealing.finish(sent);
  });
}

}  // namespace
}  // namespace cohort
