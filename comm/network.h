// Which of a host's network interfaces the ranks talk by, for the libraries that look for one themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/launch.h"

namespace cohort {

struct NetworkInterface {
  std::string name, address;         // of IPv4, or of IPv6 where there is no other
  bool loopback = false;
  std::optional<int64_t> megabits;   // a second, where the driver tells
};

// Those of this host that are up and have an address.
std::vector<NetworkInterface> network_interfaces();
// Sorted: "eth0", "lo".
std::vector<std::string> names_of(const std::vector<NetworkInterface>& interfaces);

// Those of `present` that `comm.interface` chooses, in NCCL's notation: beginnings of names, separated by commas; "=eth0,ib0":
// whole names; "^docker,lo": all others. Throws (exit code 2, with the names that there are) when that is none.
std::vector<std::string> chosen_interfaces(const std::string& interface, const std::vector<std::string>& present);

// Environment variables for NCCL: the interface, and that it prints warnings. What the user has set stays.
std::vector<std::pair<std::string, std::string>> nccl_environment(const std::string& interface, const Environment& environment);

}  // namespace cohort
