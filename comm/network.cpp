#include "comm/network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <ifaddrs.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>

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

std::vector<std::string> network_interfaces() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0)
    throw std::system_error(errno, std::generic_category(), "the network interfaces of this host cannot be listed");
  std::vector<std::string> names;
  for (const ifaddrs* address = first; address != nullptr; address = address->ifa_next) names.emplace_back(address->ifa_name);
  freeifaddrs(first);
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());  // an interface has an entry for each address
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
