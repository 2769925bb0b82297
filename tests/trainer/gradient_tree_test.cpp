// Which leaves of the tree a rank owns, and by which subtrees.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/check.h"
#include "trainer/gradient_sum.h"

namespace cohort {
namespace {

TEST(LogicalRange, RanksShareAllLeavesEvenlyAndInOrder) {
  for (int logical_ranks : {1, 2, 4, 8, 16, 64}) {
    for (int size = 1; size <= logical_ranks; ++size) {
      int next = 0;
      for (int rank = 0; rank < size; ++rank) {
        const LogicalRange range = logical_range(logical_ranks, rank, size);
        EXPECT_EQ(range.first, next);
        EXPECT_GE(range.last - range.first, logical_ranks / size);
        EXPECT_LE(range.last - range.first, (logical_ranks + size - 1) / size);
        next = range.last;
      }
      EXPECT_EQ(next, logical_ranks);
    }
  }
}

TEST(LogicalRange, MoreRanksThanLeavesAreRefused) {
  try {
    logical_range(8, 0, 9);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("9 ranks, but trainer.logical_ranks is 8"),
              std::string::npos)
        << error.what();
  }
}

TEST(CoveringNodes, AreTheLargestSubtreesThatFillTheRange) {
  for (int first = 0; first <= 32; ++first) {
    for (int last = first; last <= 32; ++last) {
      int next = first;
      for (const TreeNode node : covering_nodes({first, last})) {
        EXPECT_EQ(node.index << node.level, next) << "a gap or an overlap";
        next = (node.index + 1) << node.level;
        const int parent = node.index / 2, level = node.level + 1;
        EXPECT_FALSE((parent << level) >= first && ((parent + 1) << level) <= last)
            << "the parent of (" << node.level << ", " << node.index << ") fits into [" << first
            << ", " << last << ")";
      }
      EXPECT_EQ(next, last);
    }
  }
}

TEST(CoveringNodes, AnExample) {
  const std::vector<TreeNode> expected{{0, 3}, {2, 1}, {1, 4}, {0, 10}};
  EXPECT_EQ(covering_nodes({3, 11}), expected);
}

}  // namespace
}  // namespace cohort
