// What is told of numbers that are not finite: who had them first, and how to go on.
#pragma once

#include <string>
#include <vector>

#include "core/check.h"

namespace cohort {

// The state before the step is whole, but the same steps would end in the same place.
inline constexpr const char* kGoOnSlower =
    "go on from an earlier checkpoint with a lower optim.learning_rate, as another run: run.name=NEW run.resume=PATH "
    "run.allow_changes=[optim.learning_rate] optim.learning_rate=LOWER";

// The sum of all ranks' gradients is not finite. The same on every rank; PackRunner then looks for whose it was.
class NonFiniteGradient : public Error {
 public:
  // `shards`: of the sum, in which it is not finite.
  NonFiniteGradient(const std::string& message, std::vector<int> shards) : Error(ExitCode::kNonFinite, message), shards_(std::move(shards)) {}
  const std::vector<int>& shards() const { return shards_; }

 private:
  std::vector<int> shards_;
};

}  // namespace cohort
