// Lineage: which checkpoints a run was told to go on from (run.resume: PATH), so that the same command, given again, finds what has come of it.
//
// A checkpoint's manifest has "lineage": one entry for each such command of the runs that led to it, oldest first:
// {"path", "state": state_hash, "step", "own": of the same run directory, "changes": keys that run.allow_changes let differ}; those of
// older versions have "manifest", its hash, in place of "state".
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

// What a checkpoint holds, whoever wrote it, on however many ranks, with whichever build.
std::string state_hash(const Json& manifest);

// The newest checkpoint in `checkpoints` with `given` in its lineage. `given` is known by its state or, where it is gone, by its path; one of
// this very run, whose folder may have been renamed, by its step. One whose manifest cannot be read is passed over.
std::optional<std::filesystem::path> newest_descendant(const std::filesystem::path& checkpoints, const std::filesystem::path& given);

// The first step whose metrics lie in the run directory; nothing where the checkpoint (of an older version) does not tell.
std::optional<int64_t> first_step_of(const Json& lineage);

// The lineage of a run that goes on from `checkpoint` (`begins_there`: because it was told so), as YAML comments to stand before its config; "" where
// there is none, or none can be read. A key that was changed and changed back shows here alone.
std::string lineage_text(const std::filesystem::path& checkpoint, bool begins_there, const Config& config);

// Where the run in `run`, of the recorded `config`, began, if that was another run's checkpoint: the entry of its lineage, with "path", "step", "changes".
std::optional<Json> origin_of(const std::filesystem::path& run, const Config& config);

// The key alone of what identity_differences tells: "optim.learning_rate (now ..., was ...)".
std::string key_of_difference(const std::string& difference);
// Differences without those of the keys in run.allow_changes, which count for a checkpoint outside of the run directory alone.
std::vector<std::string> refused_differences(const std::vector<std::string>& differences, const std::filesystem::path& checkpoint, const Config& config);

// What run.allow_changes may name: "optim.learning_rate", ... A run goes on under other values of these without losing its state's meaning.
const std::vector<std::string>& changeable_keys();

}  // namespace cohort
