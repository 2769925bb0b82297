#include "trainer/gradient_tree.h"

#include <algorithm>
#include <bit>

#include "core/check.h"

namespace cohort {
namespace {

bool any_used(TreeNode node, const std::vector<bool>& leaf_used) {
  for (int leaf = first_leaf(node); leaf <= last_leaf(node); ++leaf)
    if (leaf_used[leaf]) return true;
  return false;
}

}  // namespace

int first_leaf(TreeNode node) { return node.index << node.level; }
int last_leaf(TreeNode node) { return ((node.index + 1) << node.level) - 1; }

TreeNode common_ancestor(TreeNode a, TreeNode b) {
  const auto apart = static_cast<int>(std::bit_width(static_cast<unsigned>(first_leaf(a) ^ first_leaf(b))));
  const int level = std::max({a.level, b.level, apart});
  return {level, first_leaf(a) >> level};
}

LogicalRange logical_range(int logical_ranks, int rank, int size) {
  CHECK_USAGE(size <= logical_ranks,
              "{} ranks, but trainer.logical_ranks is {}: start at most that many, or raise it (it "
              "is part of the "
              "result, see docs/architecture.md)",
              size, logical_ranks);
  const auto begin = [&](int r) {
    return static_cast<int>(static_cast<int64_t>(logical_ranks) * r / size);
  };
  return {begin(rank), begin(rank + 1)};
}

std::vector<TreeNode> covering_nodes(LogicalRange range) {
  std::vector<TreeNode> nodes;
  for (int leaf = range.first; leaf < range.last;) {
    int level = 0;
    while (leaf % (2 << level) == 0 && leaf + (2 << level) <= range.last) ++level;
    nodes.push_back({level, leaf >> level});
    leaf += 1 << level;
  }
  return nodes;
}

std::vector<TreeNode> held_nodes(const std::vector<bool>& leaf_used, int rank, int size) {
  std::vector<TreeNode> held;
  for (TreeNode node : covering_nodes(logical_range(static_cast<int>(leaf_used.size()), rank, size)))
    if (any_used(node, leaf_used)) held.push_back(node);
  return held;
}

std::vector<int> node_merges(std::span<const TreeNode> nodes) {
  std::vector<int> merges;
  std::vector<TreeNode> open;
  for (size_t i = 0; i < nodes.size(); ++i) {
    open.push_back(nodes[i]);
    merges.push_back(0);
    while (open.size() >= 2) {
      const TreeNode left = open[open.size() - 2], right = open.back(), parent = common_ancestor(left, right);
      const bool complete = i + 1 == nodes.size() || last_leaf(parent) < first_leaf(nodes[i + 1]);
      if (!(left == right) && !complete) break;
      open.pop_back();
      open.back() = parent;
      ++merges.back();
    }
  }
  return merges;
}

std::vector<int> tree_merges(std::span<const int> leaves) {
  std::vector<TreeNode> nodes;
  for (int leaf : leaves) nodes.push_back({0, leaf});
  return node_merges(nodes);
}

}  // namespace cohort
