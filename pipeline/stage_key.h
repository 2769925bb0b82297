// What decides whether a stage is run again: what it is made from, and what it left.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/stages.h"

namespace cohort {

// Files and folders that the stage reads: data, models, and models among its rewards; of an adapter not its base.
std::vector<std::filesystem::path> files_of(const ReadyStage& ready);

// Of all that decides what the stage leaves: its definition, the config without what cannot change a bit, what it reads.
std::string key_of(const ReadyStage& ready);

// Of all that the stage leaves (outputs_of); "" where something of it is gone.
std::string output_fingerprint(const ReadyStage& ready);

}  // namespace cohort
