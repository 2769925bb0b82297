// Longest expected first, groups together.
#include "rollout/admission.h"

#include <gtest/gtest.h>

namespace cohort {
namespace {

std::vector<size_t> order_of(const std::vector<std::pair<int64_t, int64_t>>& groups_and_lengths) {
  static const std::vector<int32_t> prompt = {1};
  std::vector<GenerateRequest> requests;
  for (const auto& [group, length] : groups_and_lengths)
    requests.push_back({.prompt = prompt, .group = group, .sequence = 0, .expected_length = length});
  return admission_order(requests);
}

TEST(Admission, TheGroupWithTheLongestMemberComesFirst) {
  EXPECT_EQ(order_of({{0, 5}, {0, 5}, {1, 9}, {1, 3}, {2, 7}}), (std::vector<size_t>{2, 3, 4, 0, 1}));
}

TEST(Admission, EqualAndUnknownGroupsKeepTheirOrderAndTheUnknownComeFirst) {
  EXPECT_EQ(order_of({{7, 0}, {3, 0}, {5, 0}}), (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(order_of({{0, 4}, {1, 0}, {2, 4}, {3, 0}}), (std::vector<size_t>{1, 3, 0, 2}));
}

TEST(Admission, AGroupsRequestsAreBroughtTogether) {
  EXPECT_EQ(order_of({{0, 2}, {1, 2}, {0, 2}, {1, 3}, {0, 1}}), (std::vector<size_t>{1, 3, 0, 2, 4}));
}

TEST(Admission, OfNothingIsNothing) { EXPECT_TRUE(order_of({}).empty()); }

}  // namespace
}  // namespace cohort
