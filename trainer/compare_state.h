// Whether an optimizer's state is, bit for bit, what a checkpoint holds: for replays, which write no checkpoint of their own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "comm/comm.h"
#include "model/params.h"
#include "trainer/optimizer.h"

namespace cohort {

struct StateDifference {
  std::string where;     // "shard_00003.bin, master of model.norm.weight[17]"
  std::string stored, now;  // "0.25 (0x3e800000)"
};

// "model.norm.weight[17]" for an element of the flat table; beyond the last parameter: "element 17".
std::string element_name(const ParamTable& table, int64_t at);

// Called by all ranks, each for its own shards; the first difference of all, in the order of the files and in them of master
// weights, m, v. The checkpoint must be of this model. Exit code 3 when a shard is missing, of another size, or not what its
// manifest says.
std::optional<StateDifference> compare_state(const std::filesystem::path& checkpoint, const ParamTable& table,
                                             const Optimizer& optimizer, Comm& comm);

}  // namespace cohort
