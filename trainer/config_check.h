// What the keys of a config must be to each other, beyond the range of each one.
#pragma once

#include <map>
#include <string>

#include "trainer/config.h"

namespace cohort {

// Where each key, map and section was given: "run.yaml:14", "command line: trainer.max_steps=3".
using KeyPlaces = std::map<std::string, std::string>;

// Throws (exit code 2) for contradictions, led by the place of the key at fault, or by `file` when
// it is not given.
void check_config(const Config& config, const std::string& file, const KeyPlaces& places, ConfigUse use);

}  // namespace cohort
