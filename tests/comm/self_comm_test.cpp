#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <numeric>

#include "comm/comm.h"
#include "comm/nccl.h"
#include "tests/core/expect_error.h"
#include "core/check.h"

namespace cohort {
namespace {

std::span<std::byte> writable(std::vector<int>& values) {
  return std::as_writable_bytes(std::span(values));
}

TEST(SelfComm, IsTheOnlyRank) {
  const auto comm = make_self_comm();
  EXPECT_EQ(comm->rank(), 0);
  EXPECT_EQ(comm->size(), 1);
  EXPECT_EQ(comm->local_rank(), 0);
  EXPECT_FALSE(comm->host().empty());
}

TEST(SelfComm, CollectivesKeepItsOwnData) {
  const auto comm = make_self_comm();
  comm->set_deadline(std::chrono::milliseconds(1));
  comm->barrier("test");
  EXPECT_TRUE(comm->any(true, "test"));
  EXPECT_FALSE(comm->any(false, "test"));

  std::vector<int> data(7);
  std::iota(data.begin(), data.end(), 1);
  const std::vector<int> before = data;
  comm->broadcast(writable(data), 0, "test");
  EXPECT_EQ(data, before);
  const int64_t offsets[] = {4, 20};
  comm->all_gather_spans(writable(data), offsets, "test");
  EXPECT_EQ(data, before);

  const auto all = comm->all_gather(std::as_bytes(std::span(data)), "test");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(std::ranges::equal(all[0], std::as_bytes(std::span(data))));
  EXPECT_EQ(comm->all_gather({}, "test"), std::vector<std::vector<std::byte>>(1));

  std::vector<int> received(7);
  const std::array send{std::as_bytes(std::span(std::as_const(data)))};
  const std::array receive{writable(received)};
  comm->all_to_all(send, receive, "test");
  EXPECT_EQ(received, data);
  const std::array<std::span<const std::byte>, 1> send_nothing{};
  const std::array<std::span<std::byte>, 1> receive_nothing{};
  comm->all_to_all(send_nothing, receive_nothing, "test");
}

TEST(SelfComm, RefusesWhatDoesNotFit) {
  const auto comm = make_self_comm();
  std::vector<int> data(4);
  EXPECT_THROW(comm->broadcast(writable(data), 1, "test"), Error);
  const int64_t three[] = {0, 8, 16}, beyond[] = {0, 17}, falling[] = {8, 4}, negative[] = {-1, 4};
  for (std::span<const int64_t> offsets :
       {std::span<const int64_t>(three), {beyond}, {falling}, {negative}})
    EXPECT_THROW(comm->all_gather_spans(writable(data), offsets, "test"), Error);
  const std::array send{std::as_bytes(std::span(std::as_const(data)))};
  const std::array receive{writable(data).first(4)};
  EXPECT_THROW(comm->all_to_all(send, receive, "test"), Error);
  EXPECT_THROW(comm->all_to_all({}, receive, "test"), Error);
}

TEST(SelfCommDeathTest, AbortEndsWithTheCode) {
  EXPECT_EXIT(make_self_comm()->abort(4), testing::ExitedWithCode(4), "");
}

TEST(NcclComm, IsRefusedByABuildWithoutIt) {
  const auto comm = make_self_comm();
  EXPECT_ERROR(make_nccl_comm(*comm), kUsage, "use run.device: cpu");
  EXPECT_ERROR(choose_gpu(*comm), kUsage, "use run.device: cpu");
  const GpuReport report = examine_gpus();
  EXPECT_FALSE(report.usable);
  ASSERT_EQ(report.lines.size(), 1u);
  EXPECT_NE(report.lines[0].text.find("not in this build"), std::string::npos);
}

}  // namespace
}  // namespace cohort
