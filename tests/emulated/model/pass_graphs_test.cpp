// Passes that are recorded and replayed: what they read is what the host says now, and no graph outlives an address.
#include "model/pass_graphs.h"

#include <numeric>

#include "model/cuda/gpu.h"
#include "tests/core/expect_error.h"
#include "tests/emulated/model/gpu_model.h"

namespace cohort {
namespace {

constexpr int64_t kNumbers = 40;

class GpuPassGraphs : public GpuModel {
 protected:
  GpuPassGraphs() {
    arena_.plan("to", DType::f32, {2, kNumbers});
    arena_.commit(Arena::Pages::all_now, Device::cuda);
  }

  // A pass that brings both lists to `arena_`, through memory of its op.
  void run(PassGraphs& graphs, std::vector<int64_t> key = {1}) {
    PassInputs inputs{std::move(key), {}};
    inputs.add(std::span<const float>(first_));
    inputs.add(std::span<const float>(second_));
    graphs.run(inputs, [&] {
      ++called_;
      gpu_->begin_op();
      const Tensor between = gpu_->scratch(DType::f32, 2, kNumbers);
      int64_t row = 0;
      for (const std::vector<float>* list : {&first_, &second_}) gpu::copy(part(between, row++, *list), gpu_->carry(*list));
      for (row = 0; row < 2; ++row) gpu::copy(arena_[0].slice_rows(row, 1), between.slice_rows(row, 1));
    });
  }
  static Tensor part(Tensor of, int64_t row, const std::vector<float>& list) {
    return {of.slice_rows(row, 1).data, DType::f32, {static_cast<int64_t>(list.size())}, Device::cuda};
  }
  void next_numbers() {
    for (float& number : first_) number += 1;
    for (float& number : second_) number += 2;
  }
  void expect_there(const char* where = "") {
    std::vector<float> wanted = first_;
    wanted.insert(wanted.end(), second_.begin(), second_.end());
    EXPECT_EQ(numbers(arena_[0]), wanted) << where;
  }
  static void expect_counts(const PassGraphs& graphs, int64_t launched, int64_t recorded, int64_t replayed, int64_t kept) {
    const PassGraphs::Counts& counts = graphs.counts();
    EXPECT_EQ(counts.launched, launched);
    EXPECT_EQ(counts.recorded, recorded);
    EXPECT_EQ(counts.replayed, replayed);
    EXPECT_EQ(counts.kept, kept);
  }

  std::vector<float> first_ = std::vector<float>(kNumbers, 1), second_ = first_;  // equal at first, and apart all the same
  Arena arena_{"numbers"};
  int called_ = 0;
};

TEST_F(GpuPassGraphs, TheFirstPassIsLaunchedTheSecondRecordedAndLaterOnesReplayed) {
  for (const char* order : kGpuOrders) {
    emulated::set_settings(emulated::parse_settings(order));
    PassGraphs graphs;
    called_ = 0;
    std::ranges::fill(second_, first_[0]);
    for (int pass = 0; pass < 6; ++pass) {
      run(graphs);
      expect_there(order);
      next_numbers();
    }
    EXPECT_EQ(called_, 2);
    expect_counts(graphs, 1, 1, 5, 1);
  }
}

TEST_F(GpuPassGraphs, PassesFollowEachOtherWithoutAWait) {
  for (const char* order : kGpuOrders) {
    emulated::set_settings(emulated::parse_settings(order));
    PassGraphs graphs;
    for (int pass = 0; pass < 5; ++pass) next_numbers(), run(graphs);
    expect_there(order);
  }
}

TEST_F(GpuPassGraphs, EachKeyHasAGraphAndTheOneUsedLongestAgoGoes) {
  emulated::set_settings(emulated::parse_settings("streams=lazy,implicit_waits=0"));
  PassGraphs graphs(2);
  const auto pass = [&](int64_t key) { next_numbers(), run(graphs, {key, 7}); };
  for (const int64_t key : {1, 2, 1, 2, 1, 2}) pass(key);
  expect_counts(graphs, 2, 2, 4, 2);
  pass(3);  // for which that of 1 goes, or is it still to run?
  expect_counts(graphs, 3, 2, 4, 1);
  for (const int64_t key : {3, 2, 1, 1}) pass(key);
  expect_counts(graphs, 4, 4, 7, 2);
  expect_there();
}

TEST_F(GpuPassGraphs, GraphsEndWithTheirOwnerWhenTheyHaveRun) {
  emulated::set_settings(emulated::parse_settings("streams=lazy,implicit_waits=0"));
  {
    PassGraphs graphs;
    for (int pass = 0; pass < 3; ++pass) run(graphs);
  }
  expect_there();
}

TEST_F(GpuPassGraphs, NoGraphIsReplayedWhenMemoryOfOpsHasMoved) {
  emulated::set_settings(emulated::parse_settings("streams=lazy,implicit_waits=0"));
  PassGraphs graphs;
  for (int pass = 0; pass < 3; ++pass) run(graphs);
  expect_counts(graphs, 1, 1, 2, 1);
  for (const int64_t count : {100'000, 300'000}) {  // an op that needs more, in two pieces
    gpu_->begin_op();
    (void)gpu_->scratch(DType::f32, count), (void)gpu_->scratch(DType::f32, count);
    for (int pass = 0; pass < 2; ++pass) next_numbers(), run(graphs);
    expect_there();
  }
  expect_counts(graphs, 1, 3, 6, 1);
}

TEST_F(GpuPassGraphs, NoGraphIsReplayedWhenAListHasOutgrownItsPlace) {
  emulated::set_settings(emulated::parse_settings("streams=lazy,implicit_waits=0"));
  PassGraphs graphs;
  const auto pass = [&](int64_t size) {
    first_.resize(static_cast<size_t>(size), 5), second_.resize(first_.size(), 6);
    next_numbers();
    run(graphs, {size});
  };
  const auto expect_lists = [&] {
    EXPECT_EQ(numbers(part(arena_[0], 0, first_)), first_);
    EXPECT_EQ(numbers(part(arena_[0], 1, second_)), second_);
  };
  for (const int64_t size : {8, 8, 8, 9, 9, 8}) pass(size);  // 9 are no more than there is room for
  expect_counts(graphs, 2, 2, 4, 2);
  pass(30);  // while the last one is still to run
  expect_counts(graphs, 3, 2, 4, 0);
  expect_lists();
  for (const int64_t size : {8, 30}) pass(size), expect_lists();
  expect_counts(graphs, 3, 4, 6, 2);
}

TEST_F(GpuPassGraphs, ARecordedPassNeitherCopiesToTheDeviceNorTakesMemoryNorReadsOtherLists) {
  PassGraphs graphs;
  const std::vector<float> other(5, 1);
  float number = 0;
  int64_t key = 0, more = 0;
  const auto refused = [&](const std::function<void()>& launches, const char* words) {
    PassInputs inputs{{++key}, {}};
    inputs.add(std::span<const float>(first_));
    graphs.run(inputs, launches);
    EXPECT_ERROR(graphs.run(inputs, launches), kInternal, words);
  };
  refused([&] { gpu_->upload(arena_[0].data, &number, sizeof(number)); }, "between host and device in a pass that is recorded");
  refused([&] { gpu_->download(&number, arena_[0].data, sizeof(number)); }, "between host and device in a pass that is recorded");
  refused([&] { (void)gpu_->carry(other); }, "a list of 5 numbers that a recorded pass reads has no place");
  refused([&] { (void)gpu_->carry(std::span(first_).first(3)); }, "a list of 3 numbers");
  refused([&] { gpu_->begin_op(), (void)gpu_->scratch(DType::f32, more += 200'000); }, "takes 1.6 MB more than when it was launched");
  expect_counts(graphs, 5, 0, 0, 0);
  PassInputs twice{{9}, {}};
  twice.add(std::span<const float>(first_)), twice.add(std::span<const float>(first_));
  EXPECT_ERROR(graphs.run(twice, [] {}), kInternal, "two lists of a pass lie at one place");
  for (int pass = 0; pass < 3; ++pass) next_numbers(), run(graphs, {100}), expect_there("the stream goes on");
}

TEST_F(GpuPassGraphs, WhereNothingCanBeRecordedEachPassIsLaunched) {
  for (const char* settings : {"graphs=0", "fail_instantiate=1", "fail_instantiate=2,streams=lazy,implicit_waits=0"}) {
    emulated::set_settings(emulated::parse_settings(settings));
    const int64_t before = settings == std::string("graphs=0") || settings == std::string("fail_instantiate=1") ? 0 : 1;
    PassGraphs graphs;
    for (int pass = 0; pass < 2; ++pass) next_numbers(), run(graphs, {1}), expect_there(settings);
    for (int pass = 0; pass < 3; ++pass) next_numbers(), run(graphs, {2}), expect_there(settings);
    next_numbers(), run(graphs, {1}), expect_there(settings);
    expect_counts(graphs, 6 - before, before, before, 0);
  }
}

TEST_F(GpuPassGraphs, FaultsAreToldWithTheirName) {
  const auto fails = [&](const char* settings, const char* words) {
    emulated::set_settings(emulated::parse_settings(settings));
    PassGraphs graphs;
    run(graphs);
    EXPECT_ERROR(run(graphs), kInternal, words);
    for (int pass = 0; pass < 3; ++pass) next_numbers(), run(graphs), expect_there(settings);
    expect_counts(graphs, 1, 1, 3, 1);
  };
  fails("fail_capture=1", "cannot record a pass: cudaErrorStreamCaptureInvalidated");
  fails("fail_graph_launch=1", "cannot launch the graph of a pass: cudaErrorLaunchOutOfResources");
}

TEST(FilledUp, FewNumbersOfRowsOccurAndNoneBeyondTheMost) {
  for (const auto& [rows, filled] : {std::pair<int64_t, int64_t>{1, 1}, {2, 2}, {3, 4}, {5, 8}, {8, 8}, {9, 16}, {17, 24}, {33, 40}, {64, 64},
                                    {65, 80}, {128, 128}, {129, 160}, {200, 200}, {250, 256}, {257, 300}})
    EXPECT_EQ(filled_up(rows, rows == 200 ? 200 : 300), filled) << rows;
  for (int64_t rows = 1; rows <= 300; ++rows) EXPECT_GE(filled_up(rows, 300), rows);
}

}  // namespace
}  // namespace cohort
