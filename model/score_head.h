// A language model as the beginning of a reward model: the same weights, and a score in place of the head.
#pragma once

#include <cstdint>
#include <span>

#include "model/policy.h"

namespace cohort {

// The config of the family's ...ForSequenceClassification of one label.
ModelConfig as_reward_model(ModelConfig config);
// config.json of such a model, from that of the language model; `pad`: its pad_token_id, where it names none.
Json reward_model_json(Json config, const ModelConfig& reward_model, int32_t pad);

// The numbers of a new score.weight (1, C): normal(0, 0.02), transformers' initializer_range; the i-th is the i-th draw of Philox with
// (seed, Stream::kInit, 2^32 - 1), so that no parameter of init_weights has its draws. Sets them in the policy, rounded to its dtype.
void init_score_head(Policy& policy, uint64_t seed, const Exec& ex);
// The same, exactly, in elements [begin, begin + out.size()) of the table; others stay as they are.
void read_score_head(const ParamTable& table, uint64_t seed, int64_t begin, std::span<float> out);

}  // namespace cohort
