// The reference model of the KL term where it follows the policy, and its place in checkpoints.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/json.h"
#include "model/policy.h"

namespace cohort {

// reference = alpha policy + (1 - alpha) reference, in float32 and rounded once (TR-DPO, arXiv:2404.09656: soft update; with alpha 1, its hard
// update, the reference is the policy). Both are of the same table and dtype.
void mix_reference(Policy& reference, const Policy& policy, float alpha, const Exec& ex);

// Writes all weights into folder/reference.bin and flushes it; returns what read_reference wants to know of it.
// Out of space: exit code 6.
Json write_reference(const Policy& reference, const std::filesystem::path& folder);
// The way back. Exit code 3, naming the file, when it is missing, or not what `record` says.
void read_reference(Policy& reference, const std::filesystem::path& folder, const Json& record, const Exec& ex);

}  // namespace cohort
