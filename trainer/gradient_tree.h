// The tree in which the gradients of the logical ranks are added, the same for every world size.
//
// The leaves are the logical ranks; a process owns a contiguous range of them and holds the sums of the largest complete
// subtrees inside that range. Which process adds two nodes never matters.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cohort {

// Logical ranks [first, last) of rank `rank` of `size`: as even as can be, in order.
struct LogicalRange {
  int first, last;
};
LogicalRange logical_range(int logical_ranks, int rank, int size);

// A node of the tree: leaves [index * 2^level, (index + 1) * 2^level).
struct TreeNode {
  int level, index;
  bool operator==(const TreeNode&) const = default;
};
int first_leaf(TreeNode node);
int last_leaf(TreeNode node);
// The smallest subtree that holds both.
TreeNode common_ancestor(TreeNode a, TreeNode b);

// The largest complete subtrees that cover `range`, left to right.
std::vector<TreeNode> covering_nodes(LogicalRange range);
// Those that cover the range of rank `rank` of `size` and in which a leaf has packs: of these the rank has a sum in the end.
std::vector<TreeNode> held_nodes(const std::vector<bool>& leaf_used, int rank, int size);

// How sums of these subtrees (left to right, none within another) are added up: after each has been put on a stack, so many
// times the two on top become their sum. One is left at the end.
std::vector<int> node_merges(std::span<const TreeNode> nodes);
// The same of packs, each of the leaf that is named: leaves ascending, a leaf's packs in order.
std::vector<int> tree_merges(std::span<const int> leaves);

}  // namespace cohort
