// Collectives between GPUs: what arrives, in which order of streams, and what is refused.
#include <fmt/format.h>

#include "tests/core/expect_error.h"
#include "tests/emulated/ranks/gpu_threads.h"

namespace cohort {
namespace {

class DeviceCommTest : public GpuThreads {};

// In the bodies of ranks nothing ends early (ASSERT_...): the others would wait.

// Lengths of all kinds, also none, and more than a link takes at once.
int64_t length(int from, int to, int part) { return part == 0 ? (from * 7 + to * 3) % 5 : 20000 + 13 * from + to; }
// What rank `from` sends rank `to` as its part `part`.
std::vector<float> numbers(int from, int to, int part) {
  std::vector<float> values;
  for (int64_t i = 0; i < length(from, to, part); ++i)
    values.push_back(static_cast<float>(from * 1000 + to * 100 + part * 10) + static_cast<float>(i) / 1024);
  return values;
}

TEST_F(DeviceCommTest, AnExchangeBringsEachPartToItsRankInOrder) {
  for (const char* order : kStreamOrders) {
    settings(order);
    for (int ranks : {1, 2, 3, 5}) {
      on_ranks(ranks, [&](Comm&, DeviceComm& comm) {
        std::vector<GpuFloats> memory;
        std::vector<DeviceComm::Part> send, receive;
        const int me = comm.rank();
        for (int r = 0; r < ranks; ++r) {
          for (int part = 0; part < 2 && r != me; ++part) {
            memory.emplace_back(numbers(me, r, part));
            send.push_back({r, memory.back().data(), length(me, r, part) * static_cast<int64_t>(sizeof(float))});
            const int64_t coming = length(r, me, part);
            memory.emplace_back(static_cast<size_t>(coming));
            receive.push_back({r, memory.back().data(), coming * static_cast<int64_t>(sizeof(float))});
          }
        }
        comm.exchange(send, receive, "numbers");
        comm.wait("numbers");
        for (size_t p = 0; p < receive.size(); ++p) {
          const int from = receive[p].peer, part = static_cast<int>(p % 2);
          EXPECT_TRUE(memory[2 * p + 1].host() == numbers(from, me, part)) << from << " to " << me << ", " << order;
        }
      });
    }
  }
}

std::vector<int64_t> spans(int ranks, bool even) {
  std::vector<int64_t> offsets{even ? 8 : 3};
  for (int r = 0; r < ranks; ++r) offsets.push_back(offsets.back() + (even ? 5000 : r == 1 ? 0 : 3000 + 70 * r));
  return offsets;
}

TEST_F(DeviceCommTest, AnAllGatherOfEvenAndUnevenSpans) {
  for (const char* order : kStreamOrders) {
    settings(order);
    for (int ranks : {1, 2, 3, 5}) {
      for (const bool even : {true, false}) {
        const std::vector<int64_t> offsets = spans(ranks, even);
        on_ranks(ranks, [&](Comm&, DeviceComm& comm) {
          std::vector<float> values(static_cast<size_t>(offsets.back()) + 4, -1.0f);
          for (int64_t i = offsets[comm.rank()]; i < offsets[comm.rank() + 1]; ++i) values[i] = static_cast<float>(i);
          const GpuFloats memory(values);
          std::vector<int64_t> bytes;
          for (int64_t offset : offsets) bytes.push_back(offset * 4);
          comm.all_gather_spans(memory.data(), bytes, "weights");
          comm.wait("weights");
          for (int64_t i = offsets[0]; i < offsets.back(); ++i) values[i] = static_cast<float>(i);
          EXPECT_TRUE(memory.host() == values) << ranks << " ranks, " << order;
        });
      }
    }
  }
}

TEST_F(DeviceCommTest, AReductionOfEvenAndUnevenSpans) {
  for (int ranks : {1, 2, 3, 5}) {
    for (const bool even : {true, false}) {
      const std::vector<int64_t> offsets = spans(ranks, even);
      on_ranks(ranks, [&](Comm&, DeviceComm& comm) {
        std::vector<float> values(static_cast<size_t>(offsets.back()));
        for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 100) * static_cast<float>(comm.rank() + 1);
        const GpuFloats memory(values);
        comm.reduce_spans(memory.data(), offsets, "gradients");
        comm.wait("gradients");
        const int64_t begin = offsets[comm.rank()], end = offsets[comm.rank() + 1];
        std::vector<float> sums;
        for (int64_t i = begin; i < end; ++i) sums.push_back(static_cast<float>(i % 100) * static_cast<float>(ranks * (ranks + 1) / 2));
        EXPECT_TRUE(GpuFloats::read(memory.data() + begin, sums.size()) == sums) << ranks << " ranks";
      });
    }
  }
}

// Numbers that are made on one stream, exchanged, and used on that stream again: nothing waits but by events.
TEST_F(DeviceCommTest, ItsWorkComesBetweenThatOfAnotherStream) {
  for (const char* order : kStreamOrders) {
    settings(order);
    on_ranks(2, [&](Comm&, DeviceComm& comm) {
      const int other = 1 - comm.rank();
      const std::vector<float> wanted = numbers(other, comm.rank(), 1);
      const GpuStream work;
      const PinnedFloats source(numbers(comm.rank(), other, 1)), result(wanted.size());
      const size_t sent = source.values().size() * sizeof(float), coming = wanted.size() * sizeof(float);
      const GpuFloats mine(source.values().size()), theirs(wanted.size());
      for (int round = 0; round < 3; ++round) {
        // Whoever does not wait for another's work sees these.
        cuda::check_status(cudaMemsetAsync(mine.data(), round, sent, work), "clear");
        cuda::check_status(cudaMemcpyAsync(mine.data(), source.data(), sent, cudaMemcpyHostToDevice, work), "copy");
        comm.start_after(work);
        comm.clear(theirs.data(), static_cast<int64_t>(coming));
        const DeviceComm::Part send{other, mine.data(), static_cast<int64_t>(sent)},
            receive{other, theirs.data(), static_cast<int64_t>(coming)};
        comm.exchange({&send, 1}, {&receive, 1}, "numbers");
        comm.finish_before(work);
        cuda::check_status(cudaMemcpyAsync(result.data(), theirs.data(), coming, cudaMemcpyDeviceToHost, work), "copy");
        cuda::check_status(cudaMemsetAsync(mine.data(), 0xff, sent, work), "clear");
        comm.wait("numbers");
        cuda::check_status(cudaStreamSynchronize(work), "wait");
        EXPECT_TRUE(result.values() == wanted) << order << ", round " << round;
      }
    });
  }
}

TEST_F(DeviceCommTest, WaitingIsAlsoForWhatIsBehindTheLastCollective) {
  for (const char* order : kStreamOrders) {
    settings(order);
    on_ranks(2, [&](Comm&, DeviceComm& comm) {
      const GpuFloats x(numbers(0, 1, 1));
      comm.clear(x.data(), 4);
      const int64_t offsets[] = {0, 8, 16};
      comm.all_gather_spans(x.data(), offsets, "numbers");
      comm.clear(x.data(), length(0, 1, 1) * static_cast<int64_t>(sizeof(float)));
      comm.wait("numbers");
      EXPECT_TRUE(x.host() == std::vector<float>(static_cast<size_t>(length(0, 1, 1)), 0.0f)) << order;
    });
  }
}

// What the GPU computes before a collective has a deadline of its own, the section's.
TEST_F(DeviceCommTest, TheDeadlineOfACollectiveBeginsWhenTheGpuComesToIt) {
  settings("streams=lazy");
  on_ranks(
      1,
      [](Comm&, DeviceComm& comm) {
        const GpuStream work;
        const GpuFloats x(4);
        const auto compute = [](void*) {
          const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
          while (std::chrono::steady_clock::now() < end) {
          }
        };
        for (int i = 0; i < 5; ++i)  // each look at the stream sees one of them through
          cuda::check_status(cudaLaunchHostFunc(work, compute, nullptr), "compute");
        comm.start_after(work);
        const int64_t offsets[] = {0, 16};
        comm.all_gather_spans(x.data(), offsets, "numbers");
        EXPECT_NO_THROW(comm.wait("numbers"));
      },
      std::chrono::seconds(1));
}

TEST_F(DeviceCommTest, ACollectiveThatDoesNotCompleteOrFailsIsGivenUp) {
  const auto given_up = [&](const char* fault, const char* words) {
    settings(fault);
    on_ranks(
        1,
        [&](Comm&, DeviceComm& comm) {
          const GpuFloats x(4);
          const int64_t offsets[] = {0, 16};
          const auto gather = [&] {
            comm.all_gather_spans(x.data(), offsets, "numbers");
            comm.wait("numbers");
          };
          EXPECT_ERROR(gather(), kRankFailed, words);
          EXPECT_ERROR(comm.all_gather_spans(x.data(), offsets, "more"), kInternal, "after the communicator was given up");
        },
        std::chrono::milliseconds(300));
  };
  given_up("nccl_hang=1", "all_gather_spans(numbers) waited ");
  given_up("nccl_error=1", "all_gather_spans(numbers) failed on GPU 0: NCCL says 'remote process exited");
}

TEST_F(DeviceCommTest, ItsMemoryIsGivenBack) {
  on_ranks(2, [](Comm&, DeviceComm& comm) {
    size_t before = 0, between = 0, after = 0, total = 0;
    EXPECT_EQ(cudaMemGetInfo(&before, &total), cudaSuccess);
    auto memory = comm.allocate(size_t{1} << 20, "a test");
    EXPECT_EQ(comm.allocate(0, "nothing"), nullptr);
    EXPECT_EQ(cudaMemGetInfo(&between, &total), cudaSuccess);
    EXPECT_LE(between + (size_t{1} << 20), before);
    memory.reset();
    EXPECT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
    EXPECT_EQ(after, before);
    comm.wait("both have looked");
  });
}

TEST_F(DeviceCommTest, RefusesWhatIsNoPartOfACollective) {
  on_ranks(2, [](Comm&, DeviceComm& comm) {
    const GpuFloats x(4);
    const DeviceComm::Part itself{comm.rank(), x.data(), 16}, nobody{2, x.data(), 16}, negative{1 - comm.rank(), x.data(), -4};
    for (const DeviceComm::Part& part : {itself, nobody, negative}) {
      EXPECT_ERROR(comm.exchange({&part, 1}, {}, "x"), kInternal, "exchange(x)");
      EXPECT_ERROR(comm.exchange({}, {&part, 1}, "x"), kInternal, "exchange(x)");
    }
    const int64_t falling[] = {8, 4, 4}, few[] = {0, 4}, below[] = {-4, 0, 4};
    for (const std::span<const int64_t> offsets : {std::span<const int64_t>(falling), {few}, {below}}) {
      EXPECT_ERROR(comm.all_gather_spans(x.data(), offsets, "x"), kInternal, "all_gather_spans(x): bad offsets");
      EXPECT_ERROR(comm.reduce_spans(x.data(), offsets, "x"), kInternal, "reduce_spans(x): bad offsets");
    }
  });
}

TEST_F(DeviceCommTest, AnInterfaceThatThisHostDoesNotHaveIsRefused) {
  run_on_threads(1, [](Comm& host) {
    choose_gpu(host);
    EXPECT_ERROR(make_nccl_comm(host, {.interface = "=nowhere0"}), kUsage, "'=nowhere0' chooses none of this host's interfaces");
  });
}

}  // namespace
}  // namespace cohort
