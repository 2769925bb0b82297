// A config of TRL, verl or OpenRLHF, said in cohort's words as far as that goes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cohort {

struct ConvertedConfig {
  std::string yaml;                // a config of cohort: what was translated, each key with the name it had
  std::vector<std::string> notes;  // "trl.yaml:14: use_vllm: ...": what was not, or not as it stood
  std::vector<std::string> to_do;  // what the config still needs
  int64_t translated = 0;          // keys
};

// `processes`: that the config was written for, where batch sizes are per device. Throws (exit code 2) for what is no YAML map, and for
// one of which no key can be translated.
ConvertedConfig convert_config(const std::string& yaml, const std::string& where, int64_t processes = 1);

}  // namespace cohort
