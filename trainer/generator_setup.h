// The generator that a config describes: for training steps, and for evaluation.
#pragma once

#include <span>
#include <string>

#include "comm/comm.h"
#include "rollout/generator.h"
#include "trainer/config.h"
#include "trainer/model_setup.h"

namespace cohort {

enum class Sampling { training, evaluation };  // evaluation: by the keys rollout.eval_*

// How tokens are drawn: temperature and filters.
SamplingParams sampling_params(const RolloutSection& rollout, Sampling sampling);

// sequences: of all ranks together, which bounds how many a rank decodes at once.
GeneratorConfig generator_config(const Config& config, const LoadedModel& model, Sampling sampling, int64_t sequences,
                                 const Comm& comm, int host_ranks);

// What ends a completion: the model's own stop tokens and what the user adds. Exit code 2, led by the name of the key, for
// a token that the model does not have, and for a stop string that is a special token, which is never part of the text.
struct StopKeys {
  const char *stop = "rollout.stop", *stop_token_ids = "rollout.stop_token_ids";
};
void add_stops(GeneratorConfig& generator, const LoadedModel& model, std::span<const std::string> stop,
               std::span<const int64_t> stop_token_ids, const StopKeys& keys = {});
// Its refusals alone, for a model that is not loaded.
void check_stops(const Tokenizer& tokenizer, int64_t vocab_size, std::span<const std::string> stop,
                 std::span<const int64_t> stop_token_ids, const StopKeys& keys = {});

// How many ranks share this host and its memory. A collective.
int ranks_on_host(Comm& comm);
// What rollout.kv_cache_gb, or the memory that is free now and shared with the host's other ranks, allows one rank.
CacheLimit cache_limit(const Config& config, int host_ranks);

}  // namespace cohort
