// Lineage: which checkpoints a run was told to go on from (run.resume: PATH), so that the same command, given again, finds what has come of it.
//
// A checkpoint's manifest has "lineage": one entry for each such command of the runs that led to it, oldest first:
// {"path", "manifest": its hash, "step", "own": of the same run directory, "changes": keys that run.allow_changes let differ}.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "trainer/config.h"

namespace cohort {

// Of a run that goes on from `checkpoint` because it was told so.
Json lineage_entry(const std::filesystem::path& checkpoint, const Config& config);

// The newest checkpoint in `checkpoints` with `given` in its lineage. `given` is known by the hash of its manifest or, where it is gone, by
// its path. One whose manifest cannot be read is passed over.
std::optional<std::filesystem::path> newest_descendant(const std::filesystem::path& checkpoints, const std::filesystem::path& given);

// The first step whose metrics lie in the run directory; nothing where the checkpoint (of an older version) does not tell.
std::optional<int64_t> first_step_of(const Json& lineage);

// The key alone of what identity_differences tells: "optim.learning_rate (now ..., was ...)".
std::string key_of_difference(const std::string& difference);
// Differences without those of the keys in run.allow_changes, which count for a checkpoint outside of the run directory alone.
std::vector<std::string> refused_differences(const std::vector<std::string>& differences, const std::filesystem::path& checkpoint, const Config& config);

// What run.allow_changes may name: "optim.learning_rate", ... A run goes on under other values of these without losing its state's meaning.
const std::vector<std::string>& changeable_keys();

}  // namespace cohort
