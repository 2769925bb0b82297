// The plan's bytes on the wire are those that an optimizer sends.
#include "trainer/traffic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>

#include "model/policy.h"
#include "model/stored_span.h"
#include "tests/trainer/thread_comm.h"
#include "trainer/optimizer.h"

namespace cohort {
namespace {

// Counts what passes through another Comm, by name.
class CountingComm final : public Comm {
 public:
  explicit CountingComm(Comm& comm) : comm_(comm) {}
  struct Count {
    int64_t sent = 0, received = 0, calls = 0;
  };
  std::map<std::string, Count> counts;

  int rank() const override { return comm_.rank(); }
  int size() const override { return comm_.size(); }
  int local_rank() const override { return comm_.local_rank(); }
  std::string host() const override { return comm_.host(); }
  void barrier(const char* name) override { ++counts[name].calls, comm_.barrier(name); }
  bool any(bool flag, const char* name) override { return ++counts[name].calls, comm_.any(flag, name); }
  void broadcast(std::span<std::byte> data, int root, const char* name) override { ++counts[name].calls, comm_.broadcast(data, root, name); }
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine, const char* name) override {
    ++counts[name].calls;
    return comm_.all_gather(mine, name);
  }
  void all_gather_spans(std::span<std::byte> data, std::span<const int64_t> offsets, const char* name) override {
    Count& count = counts[name];
    ++count.calls;
    for (int r = 0; r < size(); ++r) {
      const int64_t bytes = offsets[r + 1] - offsets[r];
      r == rank() ? count.sent += (size() - 1) * bytes : count.received += bytes;
    }
    comm_.all_gather_spans(data, offsets, name);
  }
  void all_to_all(std::span<const std::span<const std::byte>> send, std::span<const std::span<std::byte>> receive, const char* name) override {
    Count& count = counts[name];
    ++count.calls;
    for (int r = 0; r < size(); ++r)
      if (r != rank()) count.sent += static_cast<int64_t>(send[r].size()), count.received += static_cast<int64_t>(receive[r].size());
    comm_.all_to_all(send, receive, name);
  }
  void post(int to, std::span<const std::byte> message) override { comm_.post(to, message); }
  std::optional<Message> poll() override { return comm_.poll(); }
  Message receive(std::span<const int> from, const char* name) override { return comm_.receive(from, name); }
  void set_deadline(std::chrono::milliseconds) override {}
  [[noreturn]] void abort(int exit_code) override { std::_Exit(exit_code); }

 private:
  Comm& comm_;
};

ModelConfig small_model() {
  ModelConfig model;
  model.vocab_size = 288, model.hidden_size = 96, model.intermediate_size = 192, model.num_layers = 2;
  model.num_heads = 6, model.num_kv_heads = 3, model.head_size = 16, model.max_positions = 128;
  model.tie_word_embeddings = true;
  return model;
}

TEST(Traffic, IsWhatAnOptimizerStepSends) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int ranks : {1, 2, 3, 4, 5, 7, 8}) {
      run_on_threads(ranks, [&](Comm& world) {
        CountingComm comm(world);
        ExecOwner owner(1);
        const auto policy = make_policy(small_model(), dtype, 8);
        init_weights(*policy, 1, owner.exec());
        Optimizer optimizer(*policy, {}, 8, comm);
        GradientSum& sum = optimizer.gradients();
        for (int leaf = sum.range().first; leaf < sum.range().last; ++leaf) {
          sum.begin({&leaf, 1}, owner.exec()).f32()[0] = 1;
          sum.end(owner.exec());
        }
        comm.counts.clear();
        optimizer.step(1e-3, std::vector<bool>(8, true), owner.exec());
        const RankTraffic plan = rank_traffic(policy->table.size, dtype, 8, comm.rank(), ranks);
        EXPECT_EQ(comm.counts["gradients"].sent, plan.gradients_sent) << ranks;
        EXPECT_EQ(comm.counts["gradients"].received, plan.gradients_received) << ranks;
        EXPECT_EQ(comm.counts["weights"].sent, plan.weights_sent) << ranks;
        EXPECT_EQ(comm.counts["weights"].received, plan.weights_received) << ranks;
        const int64_t calls = comm.counts["gradients"].calls + comm.counts["weights"].calls;
        if (ranks == 1) {
          EXPECT_EQ(calls, 0);
          return;
        }
        // Weights: one for each run of whole panels of the rank that has most of them, and one for the rest. The plan counts two.
        size_t runs = 0;
        for (int r = 0; r < ranks; ++r) {
          const LogicalRange range = logical_range(8, r, ranks);
          const int64_t shard = policy->table.size / 8;
          runs = std::max(runs, stored_span(*policy, {range.first * shard, range.last * shard}).in_place.size());
        }
        EXPECT_EQ(calls + 4 - static_cast<int64_t>(runs) - 1, collectives_of_step(policy->table.size, 8, ranks) - 2) << ranks;
      });
    }
  }
}

TEST(Traffic, WhatAllSendIsWhatAllReceive) {
  for (const int ranks : {2, 3, 6, 100, 1000, 1024}) {
    int64_t sent = 0, received = 0, most = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      const RankTraffic traffic = rank_traffic(1024 * 1000, DType::bf16, 1024, rank, ranks);
      sent += traffic.sent(), received += traffic.received();
      most = std::max(most, traffic.sent() + traffic.received());
    }
    EXPECT_EQ(sent, received) << ranks;
    const RankTraffic largest = largest_traffic(1024 * 1000, DType::bf16, 1024, ranks);
    EXPECT_EQ(largest.sent() + largest.received(), most) << ranks;
  }
}

TEST(Traffic, OfRanksThatDivideTheTreeIsThatOfAReduceScatterAndAnAllGather) {
  constexpr int64_t kSize = 1 << 20;
  for (const int ranks : {2, 4, 8}) {
    const RankTraffic traffic = rank_traffic(kSize, DType::bf16, 8, 0, ranks);
    EXPECT_EQ(traffic.gradients_sent, kSize * 4 / ranks * (ranks - 1));
    EXPECT_EQ(traffic.weights_sent, kSize * 2 / ranks * (ranks - 1));
  }
  EXPECT_EQ(rank_traffic(kSize, DType::bf16, 8, 0, 1).sent(), 0);
}

}  // namespace
}  // namespace cohort
