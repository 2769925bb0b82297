#include "comm/network.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>
#include <fstream>
#include <string_view>

#include "core/check.h"

namespace cohort {
namespace {

std::vector<std::string> words_of(std::string_view list) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    if (end > begin) words.emplace_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

}  // namespace

std::vector<NetworkInterface> network_interfaces() {
  std::vector<NetworkInterface> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return found;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
      if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != family || (at->ifa_flags & IFF_UP) == 0) continue;
      if (std::ranges::find(found, at->ifa_name, &NetworkInterface::name) != found.end()) continue;
      char address[INET6_ADDRSTRLEN] = {};
      const void* bytes = family == AF_INET ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr)
                                            : &reinterpret_cast<const sockaddr_in6*>(at->ifa_addr)->sin6_addr;
      inet_ntop(family, bytes, address, sizeof address);
      NetworkInterface interface{at->ifa_name, address, (at->ifa_flags & IFF_LOOPBACK) != 0, std::nullopt};
      int64_t speed = 0;
      std::ifstream("/sys/class/net/" + interface.name + "/speed") >> speed;
      if (speed > 0) interface.megabits = speed;
      found.push_back(std::move(interface));
    }
  }
  freeifaddrs(list);
  return found;
}

std::vector<std::string> names_of(const std::vector<NetworkInterface>& interfaces) {
  std::vector<std::string> names;
  for (const NetworkInterface& interface : interfaces) names.push_back(interface.name);
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> chosen_interfaces(const std::string& interface, const std::vector<std::string>& present) {
  std::string_view list = interface;
  const auto leads = [&](char sign) {
    const bool found = list.starts_with(sign);
    if (found) list.remove_prefix(1);
    return found;
  };
  const bool others = leads('^'), whole = leads('=');
  const std::vector<std::string> words = words_of(list);
  std::vector<std::string> chosen;
  for (const std::string& name : present) {
    const bool named = std::ranges::any_of(words, [&](const std::string& w) { return whole ? name == w : name.starts_with(w); });
    if (named != others) chosen.push_back(name);
  }
  CHECK_USAGE(!words.empty() && !chosen.empty(),
              "comm.interface: '{}' chooses none of this host's interfaces ({}); name one of them, or its beginning", interface,
              fmt::join(present, ", "));
  return chosen;
}

std::vector<std::pair<std::string, std::string>> nccl_environment(const std::string& interface, const Environment& environment) {
  std::vector<std::pair<std::string, std::string>> variables;
  const auto set = [&](const char* name, const std::string& value) {
    if (environment(name) == nullptr) variables.emplace_back(name, value);
  };
  if (!interface.empty()) set("NCCL_SOCKET_IFNAME", interface);
  set("NCCL_DEBUG", "WARN");  // why a call failed, which no return code says
  return variables;
}

}  // namespace cohort
