// Which interfaces `comm.interface` chooses, and what NCCL is told.
#include "comm/network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/core/expect_error.h"

namespace cohort {
namespace {

using Names = std::vector<std::string>;
const Names kPresent = {"docker0", "eth0", "eth10", "ib0", "lo"};

Names chosen(const std::string& interface) { return chosen_interfaces(interface, kPresent); }

TEST(Network, BeginningsWholeNamesAndAllOthers) {
  EXPECT_EQ(chosen("eth"), (Names{"eth0", "eth10"}));
  EXPECT_EQ(chosen("eth1,ib"), (Names{"eth10", "ib0"}));
  EXPECT_EQ(chosen("=eth0"), Names{"eth0"});
  EXPECT_EQ(chosen("=eth0,ib0"), (Names{"eth0", "ib0"}));
  EXPECT_EQ(chosen("^docker,lo"), (Names{"eth0", "eth10", "ib0"}));
  EXPECT_EQ(chosen("^=eth0,"), (Names{"docker0", "eth10", "ib0", "lo"}));
}

TEST(Network, AChoiceOfNothingIsRefusedWithWhatThereIs) {
  for (const char* interface : {"wlan", "=eth", "^docker,eth,ib,lo", "^", "=", "", ","})
    EXPECT_ERROR(chosen(interface), kUsage, "none of this host's interfaces (docker0, eth0, eth10, ib0, lo)");
}

TEST(Network, ThisHostHasALoopback) {
  const Names names = names_of(network_interfaces());
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_EQ(std::ranges::count(names, "lo"), 1);
}

TEST(Network, WhatNcclIsTold) {
  std::map<std::string, std::string> table;
  const Environment environment = [&](const char* name) {
    const auto found = table.find(name);
    return found == table.end() ? nullptr : found->second.c_str();
  };
  using Variables = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(nccl_environment("", environment), (Variables{{"NCCL_DEBUG", "WARN"}}));
  EXPECT_EQ(nccl_environment("=ib0", environment), (Variables{{"NCCL_SOCKET_IFNAME", "=ib0"}, {"NCCL_DEBUG", "WARN"}}));
  table = {{"NCCL_SOCKET_IFNAME", "eth0"}, {"NCCL_DEBUG", "INFO"}};
  EXPECT_EQ(nccl_environment("=ib0", environment), Variables{});
}

}  // namespace
}  // namespace cohort
