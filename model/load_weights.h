// From a folder's safetensors files into a policy.
#pragma once

#include <string>

#include "model/formats/safetensors.h"
#include "model/policy.h"

namespace cohort {

// Every tensor of the folder is a parameter of the table, none missing, shapes equal; a tied checkpoint may carry its head,
// which must then be the embedding. Exit code 3 otherwise. Reads headers only. `where`: the folder, for messages.
void check_weights(const ParamTable& table, const ModelConfig& config, const SafetensorsFolder& folder,
                   const std::string& where);

// Checks as above, and that numbers are finite; exit code 3 otherwise.
// A policy for training gets its flat weights (repack follows); one for inference is packed layer by layer through one
// buffer, so that no more than the packed weights is held at any time.
void load_weights(Policy& policy, const SafetensorsFolder& folder, const std::string& where, const Exec& ex);

}  // namespace cohort
