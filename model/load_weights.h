// From a folder's safetensors files into a policy.
#pragma once

#include <memory>
#include <string>

#include "model/formats/safetensors.h"
#include "model/policy.h"

namespace cohort {

// Every tensor of the folder is a parameter of the model, none missing, shapes equal; a tied checkpoint may carry its head,
// which must then be the embedding. Exit code 3 otherwise. Reads headers only. `where`: the folder, for messages.
void check_weights(const ModelConfig& config, const SafetensorsFolder& folder, const std::string& where);

// A policy with the folder's weights, after check_weights; numbers that are not finite: exit code 3.
// Packed layer by layer, so that little more than the packed weights is held at any time. `new_score`: the folder is of a language model,
// the config that of a reward model made of it (score_head.h): its head is left out, and the score is still to be set.
std::unique_ptr<Policy> load_policy(const ModelConfig& config, const SafetensorsFolder& folder, const std::string& where,
                                    DType dtype, int64_t shards, PolicyUse use, const Exec& ex, bool new_score = false);

}  // namespace cohort
