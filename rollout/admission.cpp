#include "rollout/admission.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

namespace cohort {

std::vector<size_t> admission_order(std::span<const GenerateRequest> requests) {
  struct Group {
    int64_t longest = 0;
    std::vector<size_t> members;
  };
  std::vector<Group> groups;
  std::unordered_map<int64_t, size_t> places;
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto [place, is_new] = places.emplace(requests[i].group, groups.size());
    if (is_new) groups.emplace_back();
    Group& group = groups[place->second];
    const int64_t expected = requests[i].expected_length;
    group.longest = std::max(group.longest, expected > 0 ? expected : std::numeric_limits<int64_t>::max());
    group.members.push_back(i);
  }
  std::ranges::stable_sort(groups, std::ranges::greater(), &Group::longest);
  std::vector<size_t> order;
  order.reserve(requests.size());
  for (const Group& group : groups) order.insert(order.end(), group.members.begin(), group.members.end());
  return order;
}

}  // namespace cohort
