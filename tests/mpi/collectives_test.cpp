// Each rank runs these, in the same order and with the same random numbers.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "core/check.h"
#include "tests/mpi/world.h"

namespace cohort {
namespace {

using Bytes = std::vector<std::byte>;

constexpr int64_t kSizes[] = {0, 1, 7, 999, 1000, 1001, 65'539};

// What rank `from` sends to rank `to`; different for each pair, place and `salt`.
Bytes pattern(int64_t size, int from, int to, uint32_t salt) {
  Bytes bytes(static_cast<size_t>(size));
  uint32_t state = salt * 2654435761u + static_cast<uint32_t>(from) * 97u +
                   static_cast<uint32_t>(to) * 8191u + 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

int64_t uneven(int64_t size, int rank) { return rank % 3 == 1 ? 0 : size + 3 * rank; }

void check_broadcast(int64_t size, int root, uint32_t salt) {
  Bytes data =
      world().rank() == root ? pattern(size, root, 0, salt) : Bytes(static_cast<size_t>(size));
  world().broadcast(data, root, "test");
  EXPECT_TRUE(data == pattern(size, root, 0, salt)) << size << " bytes from " << root;
}

void check_all_gather(int64_t size, uint32_t salt) {
  const auto all =
      world().all_gather(pattern(uneven(size, world().rank()), world().rank(), 0, salt), "test");
  ASSERT_EQ(static_cast<int>(all.size()), world().size());
  for (int r = 0; r < world().size(); ++r)
    EXPECT_TRUE(all[r] == pattern(uneven(size, r), r, 0, salt))
        << size << " bytes, part of rank " << r;
}

void check_all_gather_spans(int64_t size, uint32_t salt) {
  const int ranks = world().size();
  std::vector<int64_t> offsets{5};  // what stands before the first span and after the last stays
  for (int r = 0; r < ranks; ++r) offsets.push_back(offsets.back() + uneven(size, r));
  Bytes expected = pattern(offsets.back() + 9, 0, 1, salt), data = expected;
  for (int r = 0; r < ranks; ++r) {
    const Bytes part = pattern(uneven(size, r), r, 0, salt);
    std::ranges::copy(part, expected.begin() + offsets[r]);
    if (r == world().rank()) std::ranges::copy(part, data.begin() + offsets[r]);
  }
  world().all_gather_spans(data, offsets, "test");
  EXPECT_TRUE(data == expected) << size << " bytes";
}

void check_all_to_all(int64_t size, uint32_t salt) {
  const int ranks = world().size(), me = world().rank();
  const auto length = [&](int from, int to) {
    return (from + to) % 4 == 3 ? 0 : size + 5 * from + to;
  };
  std::vector<Bytes> sent(ranks), received(ranks);
  std::vector<std::span<const std::byte>> send;
  std::vector<std::span<std::byte>> receive;
  for (int r = 0; r < ranks; ++r) {
    sent[r] = pattern(length(me, r), me, r, salt);
    received[r].resize(static_cast<size_t>(length(r, me)));
    send.emplace_back(sent[r]);
    receive.emplace_back(received[r]);
  }
  world().all_to_all(send, receive, "test");
  for (int r = 0; r < ranks; ++r)
    EXPECT_TRUE(received[r] == pattern(length(r, me), r, me, salt))
        << size << " bytes from rank " << r;
}

TEST(MpiComm, RanksKnowTheirPlace) {
  struct Place {
    int rank, size, local_rank;
    char host[256] = {};
  } mine{world().rank(), world().size(), world().local_rank()};
  world().host().copy(mine.host, sizeof mine.host - 1);
  std::map<std::string, int> on_host;
  int rank = 0;
  for (const Bytes& bytes : world().all_gather(std::as_bytes(std::span(&mine, 1)), "places")) {
    Place place;
    ASSERT_EQ(bytes.size(), sizeof place);
    std::memcpy(&place, bytes.data(), sizeof place);
    EXPECT_EQ(place.rank, rank++);
    EXPECT_EQ(place.size, world().size());
    EXPECT_EQ(place.local_rank, on_host[place.host]++);
  }
  EXPECT_EQ(rank, world().size());
}

TEST(MpiComm, AnyIsTrueWhenOneRankSaysSo) {
  EXPECT_FALSE(world().any(false, "test"));
  EXPECT_TRUE(world().any(true, "test"));
  for (int r = 0; r < world().size(); ++r)
    EXPECT_TRUE(world().any(r == world().rank(), "test")) << r;
  EXPECT_FALSE(world().any(false, "test"));
}

TEST(MpiComm, NobodyLeavesABarrierBeforeAllHaveCome) {
  std::string folder = (std::filesystem::temp_directory_path() / "cohort-mpi-XXXXXX").string();
  const bool made = world().rank() != 0 || mkdtemp(folder.data()) != nullptr;
  ASSERT_TRUE(made) << folder;
  world().broadcast(std::as_writable_bytes(std::span(folder)), 0, "folder");
  for (int round = 0; round < 20; ++round) {
    const auto file = [&](int r) {
      return folder + "/" + std::to_string(round) + "-" + std::to_string(r);
    };
    std::ofstream(file(world().rank())) << "here";
    world().barrier("test");
    for (int r = 0; r < world().size(); ++r)
      EXPECT_TRUE(std::filesystem::exists(file(r))) << file(r);
  }
  world().barrier("looked");
  if (world().rank() == 0) std::filesystem::remove_all(folder);
}

TEST(MpiComm, MessagesOfARankArriveInOrder) {
  const int ranks = world().size(), me = world().rank();
  constexpr int kCount = 50;
  EXPECT_FALSE(world().poll());
  world().barrier("nothing was sent");
  for (int i = 0; i < kCount; ++i) {
    for (int r = 0; r < ranks; ++r) {
      if (r == me) continue;
      const Bytes message = pattern(i % 3 == 0 ? i : static_cast<int64_t>(Comm::kMaxMessage) - i, me, r, static_cast<uint32_t>(i));
      world().post(r, message);
    }
  }
  // The last rank's by name, the others' as they come.
  std::vector<int> arrived(static_cast<size_t>(ranks));
  const auto take = [&](const Comm::Message& message) {
    int& count = arrived[static_cast<size_t>(message.from)];
    const Bytes expected = pattern(count % 3 == 0 ? count : static_cast<int64_t>(Comm::kMaxMessage) - count, message.from, me, static_cast<uint32_t>(count));
    EXPECT_TRUE(message.bytes == expected) << count << " of rank " << message.from;
    ++count;
  };
  const int last[] = {ranks - 1};
  if (me != ranks - 1)
    for (int i = 0; i < kCount; ++i) take(world().receive(last, "test"));
  for (int left = kCount * (me == ranks - 1 ? ranks - 1 : ranks - 2); left > 0;)
    if (const auto message = world().poll()) take(*message), --left;
  for (int r = 0; r < ranks; ++r) EXPECT_EQ(arrived[static_cast<size_t>(r)], r == me ? 0 : kCount) << r;
  world().barrier("all were received");
  EXPECT_FALSE(world().poll());
}

TEST(MpiComm, MessagesThatAreRefused) {
  EXPECT_THROW(world().post(world().rank(), {}), Error) << "to itself";
  EXPECT_THROW(world().post(world().size(), {}), Error);
  EXPECT_THROW(world().post(-1, {}), Error);
  EXPECT_THROW(world().receive({}, "test"), Error) << "from nobody";
  const Bytes long_one(Comm::kMaxMessage + 1);
  if (world().size() > 1) {
    EXPECT_THROW(world().post((world().rank() + 1) % world().size(), long_one), Error);
  }
}

TEST(MpiComm, BroadcastGivesTheRootsBytesToAll) {
  for (int root = 0; root < world().size(); ++root)
    for (int64_t size : kSizes) check_broadcast(size, root, 1);
}

TEST(MpiComm, AllGatherKeepsRankOrderAndUnevenLengths) {
  for (int64_t size : kSizes) check_all_gather(size, 2);
}

TEST(MpiComm, AllGatherOfNothing) {
  EXPECT_EQ(world().all_gather({}, "test"),
            std::vector<Bytes>(static_cast<size_t>(world().size())));
}

TEST(MpiComm, AllGatherSpansFillsTheOthersSpansOnly) {
  for (int64_t size : kSizes) check_all_gather_spans(size, 3);
}

TEST(MpiComm, AllToAllDeliversEveryPair) {
  for (int64_t size : kSizes) check_all_to_all(size, 4);
}

TEST(MpiComm, LargeTransfers) {
  const int64_t size = std::min((int64_t{1} << 23) + 11, 1000 * max_message());
  check_broadcast(size, world().size() - 1, 5);
  check_all_gather_spans(size, 6);
  check_all_to_all(size, 7);
}

TEST(MpiComm, CollectivesDoNotMixUp) {
  uint32_t seed = std::random_device{}();
  world().broadcast(std::as_writable_bytes(std::span(&seed, 1)), 0, "seed");
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (uint32_t round = 0; round < 300; ++round) {
    const uint32_t kind = random() % 6;
    const int64_t size = random() % 3 == 0 ? random() % 20'000 : random() % 50;
    const int root = static_cast<int>(random() % static_cast<uint32_t>(world().size()));
    if (kind == 0) world().barrier("test");
    if (kind == 1) check_broadcast(size, root, round);
    if (kind == 2) check_all_gather(size, round);
    if (kind == 3) check_all_gather_spans(size, round);
    if (kind == 4) check_all_to_all(size, round);
    if (kind == 5) {
      EXPECT_EQ(world().any(size % 2 == 1 && root == world().rank(), "test"), size % 2 == 1);
    }
    if (HasFailure()) return;
  }
}

TEST(MpiComm, BadArgumentsAreRefusedBeforeAnythingIsSent) {
  const auto refused = [](auto call) {
    try {
      call();
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kInternal);
      EXPECT_NE(std::string(error.what()).find("(bad)"), std::string::npos) << error.what();
    }
  };
  Bytes data(10);
  for (int root : {-1, world().size()}) refused([&] { world().broadcast(data, root, "bad"); });
  std::vector<int64_t> offsets(static_cast<size_t>(world().size()) + 1, 3);
  std::vector<std::vector<int64_t>> bad(5, offsets);
  bad[0].pop_back();
  bad[1].push_back(3);
  bad[2][0] = -1;
  bad[3][0] = 4;
  bad[4].back() = 11;
  for (const auto& wrong : bad) refused([&] { world().all_gather_spans(data, wrong, "bad"); });
  refused([&] { world().all_to_all({}, {}, "bad"); });
  world().barrier("and the communicator is still of use");
}

TEST(MpiComm, IsMadeOnceAndWithMessagesThatMpiCanSend) {
  for (int64_t bytes : {int64_t{-1}, int64_t{0}, int64_t{1} << 31, int64_t{1000}})
    EXPECT_THROW(make_mpi_comm(bytes), Error) << bytes;
}

}  // namespace
}  // namespace cohort
