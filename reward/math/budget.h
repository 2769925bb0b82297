// What one check may cost. Counted, never timed, so that a score does not depend on the machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cohort::math {

constexpr size_t kMaxAnswerBytes = 4096;  // of an answer after extraction
constexpr size_t kMaxTokens = 2048;
constexpr int kMaxDepth = 48;         // of brackets, arguments and exponents
constexpr size_t kMaxBits = 1 << 14;  // of an exact integer (about 4900 digits)
constexpr size_t kMaxTerms = 512;     // of a polynomial
constexpr int64_t kMaxWork = 10'000'000;

// One unit of work is about a nanosecond. After the last unit every question is answered by "could not be decided".
class Budget {
 public:
  explicit Budget(int64_t work = kMaxWork) : left_(work) {}
  // False when the budget does not reach; then it is empty for good.
  bool spend(int64_t work) {
    left_ = left_ >= work ? left_ - work : -1;
    return left_ >= 0;
  }
  bool empty() const { return left_ < 0; }

 private:
  int64_t left_;
};

}  // namespace cohort::math
