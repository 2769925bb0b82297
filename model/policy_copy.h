// A copy of a policy's weights as they are at one moment, for who samples from them while the policy goes on learning.
#pragma once

#include <memory>

#include "model/policy.h"

namespace cohort {

// A policy for inference, of the same model and dtype as `policy` and with memory of its own, without numbers yet. On the CPU.
std::unique_ptr<Policy> make_policy_copy(const Policy& policy);
// Takes the weights that `policy` computes with (with an adapter: the merged ones) and its version, bit for bit. `copy` is of
// make_policy_copy.
void copy_policy(Policy& copy, const Policy& policy, const Exec& ex);

}  // namespace cohort
