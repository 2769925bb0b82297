// In which order training sees its problems: one endless sequence of places, each a pure function of (data, seed), so that there is
// nothing to save and any place can be asked for.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trainer/dataset.h"

namespace cohort {

// Whole numbers in the proportion of `weights`: exactly, where they have at most nine decimals; at least 1 each.
std::vector<uint64_t> mixture_shares(std::span<const double> weights);

// Which source place `position` (from 0) of a mixture belongs to, and how many places before it do. In every beginning of the sequence a
// source has its share of the places, less or more than so many by less than the number of sources. The first source is told from
// the others by rounding its share of the places, the second from the rest in what is left, and so on: no history is needed.
struct MixturePlace {
  size_t source;
  int64_t position;  // within the source
};
MixturePlace place_in_mixture(int64_t position, std::span<const uint64_t> shares);

// A data set of one source is gone through in epochs, each in an order of its own (epoch_order), or as in the file. One of several is
// mixed by their weights, each source in epochs of its own: a small one with a large weight begins anew sooner.
class ProblemOrder {
 public:
  ProblemOrder(const Dataset& data, uint64_t seed, bool shuffle);

  int64_t at(int64_t position);  // index of the problem
  // Those of step `step` (1-based), which takes `count`.
  std::vector<int64_t> step(int64_t step, int64_t count);

 private:
  struct Source {
    int64_t begin, size;
    int64_t epoch = -1;          // of `order`
    std::vector<int64_t> order;  // empty: as in the file
  };
  uint64_t seed_;
  bool shuffle_;
  std::vector<Source> sources_;
  std::vector<uint64_t> shares_;
};

}  // namespace cohort
