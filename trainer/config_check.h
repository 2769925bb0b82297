// What the keys of a config must be to each other, beyond the range of each one.
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "trainer/config.h"

namespace cohort {

// Where each key, map and section was given: "run.yaml:14", "command line: trainer.max_steps=3".
using KeyPlaces = std::map<std::string, std::string>;

// Throws (exit code 2) for contradictions, led by the place of the key at fault, or by `file` when
// it is not given.
void check_config(const Config& config, const std::string& file, const KeyPlaces& places, ConfigUse use);

// The part of it that is about losses, advantages, KL and entropy: refuse(keys at fault, why) throws.
using Refuse = std::function<void(std::initializer_list<const char*> keys, const std::string& why)>;
void check_algorithm(const Config& config, const Refuse& refuse);
// Of completions of an older policy, and of a teacher.
void check_off_policy(const Config& config, const Refuse& refuse);

// The part that is about `cohort sft` and `cohort rm`, whose section is `own`: refuses by name every key that is given and not read.
void check_rows_command(const Config& config, std::string_view own, const KeyPlaces& places, const Refuse& refuse);

// Whether the run of this config reads a key, map or section, by its path: those of sft and rm in a config of that command alone, and
// there what it has a use for.
bool config_reads(const Config& config, std::string_view path);

}  // namespace cohort
