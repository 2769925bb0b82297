// A completion in a line of JSONL, as `cohort score` and the stages of a pipeline read it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "reward/reward.h"

namespace cohort {

struct CompletionRecord {
  std::string prompt, text, finish_reason = "stop";
  std::vector<int32_t> ids;
  bool opens_thinking = false;
  Json columns = Json::object();  // the others, as in training
  Json messages;                  // null: the prompt is no list

  RewardInput input() const;  // views of this
};

// {"completion", "prompt"?, "finish_reason"?, "ids"?, "opens_thinking"?, columns...}. Exit code 3, led by `where`, for another type.
CompletionRecord read_completion(const Json& record, std::string_view where);

}  // namespace cohort
