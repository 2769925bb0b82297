// What lies where in a checkpoint's folder; for who writes it and who reads it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "trainer/optimizer.h"

namespace cohort {

inline constexpr int64_t kCheckpointFormat = 1;

// A shard's file: the parts one after the other, float32, `kCheckpointPiece` numbers at a time through memory.
inline constexpr std::array kShardParts = {Optimizer::Part::master, Optimizer::Part::m, Optimizer::Part::v};
inline constexpr int64_t kCheckpointPiece = int64_t{1} << 20;

std::filesystem::path shard_file(const std::filesystem::path& folder, int shard);

// N of a folder "step_N"; nothing for any other name.
std::optional<int64_t> step_of(const std::filesystem::path& folder);

// The complete ones in the folder, oldest first.
std::vector<std::filesystem::path> complete_checkpoints(const std::filesystem::path& checkpoints);

// Folders step_N without a manifest: a rename makes a checkpoint and unmakes it, so that somebody else has taken the manifest away.
std::vector<std::filesystem::path> incomplete_checkpoints(const std::filesystem::path& checkpoints);

// What is being written, or is no checkpoint any more: tmp_step_N and tmp_step_N.old, found and removed by the next commit.
inline constexpr const char* kTemporaryPrefix = "tmp_step_";

}  // namespace cohort
