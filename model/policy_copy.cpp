#include "model/policy_copy.h"

#include "core/check.h"
#include "model/device.h"
#include "model/ops/merge.h"

namespace cohort {

std::unique_ptr<Policy> make_policy_copy(const Policy& policy) {
  CHECK(policy.device == Device::cpu, "a copy of a policy that is on a GPU");
  return make_policy(policy.config, policy.dtype, 1, PolicyUse::inference);  // shards only lengthen the table's end
}

void copy_policy(Policy& to, const Policy& from, const Exec& ex) {
  ex.pool->run(static_cast<int64_t>(from.pieces.size()), [&](int64_t i, int) {
    CHECK(i < std::ssize(to.pieces), "a copy of {} pieces of weights, the policy has {}", to.pieces.size(), from.pieces.size());
    const WeightPiece &target = to.pieces[static_cast<size_t>(i)], &source = from.pieces[static_cast<size_t>(i)];
    CHECK(target.begin == source.begin && target.end == source.end && (target.packed == nullptr) == (source.packed == nullptr),
          "piece {} of the weights is [{}, {}), in the copy [{}, {})", i, source.begin, source.end, target.begin, target.end);
    if (source.packed) return copy_packed(*target.packed, *source.packed);
    const int64_t count = source.end - source.begin;
    copy(to.weight(source.begin, 1, count), from.weight(source.begin, 1, count));
  });
  to.version = from.version;
}

}  // namespace cohort
