// Generator: turns prompts into completions with the policy's own weights. Each forward pass takes the next token of every
// sequence in flight and pieces of waiting prompts, up to a budget of rows (continuous batching, chunked prefill). A
// group's prompt is run once and the pages of its keys are shared by its samples. When pages run out, the sequence that
// came last gives its own back and is computed again later.
//
// A completion depends on (weights, prompt, seed, step, sequence key) only: not on batch size, order, budget, pages,
// ranks or threads.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/ops/sample.h"
#include "model/text/tokenizer.h"
#include "model/transformer.h"
#include "rollout/cache_size.h"
#include "rollout/generate_stats.h"

namespace cohort {

enum class FinishReason : uint8_t { stop, length, abort };  // abort: the call was left before its end
inline const char* finish_reason_name(FinishReason reason) {
  return reason == FinishReason::stop ? "stop" : reason == FinishReason::length ? "length" : "abort";
}

struct GeneratorConfig {
  SamplingParams sampling;
  int64_t max_completion_length = 256;  // tokens
  int64_t min_completion_length = 0;    // stop tokens are banned before, stop strings that end before do not count
  std::vector<int32_t> stop_token_ids;  // e.g. EOS; the stop token is part of the completion, as in TRL
  // A completion whose text comes to hold one of these ends with the token that completes it. The whole token stays, in
  // tokens and text: log-probs belong to whole tokens (TRL; vLLM with include_stop_str_in_output).
  std::vector<std::string> stop;
  const Tokenizer* tokenizer = nullptr;  // spells the text; needed with `stop`
  int64_t max_num_seqs = 64;            // sequences decoded together
  int64_t max_num_batched_tokens = 2048;  // rows in one forward pass
  CacheLimit kv_cache;                    // beyond max_num_seqs whole sequences it never grows
  int64_t page_tokens = kPageTokens;      // positions of a page of the cache; a power of two
  uint64_t seed = 0;
};

// One completion to make.
struct GenerateRequest {
  std::span<const int32_t> prompt;  // not empty
  int64_t group;                    // equal for requests with the same prompt
  uint32_t sequence;                // key of its random draws: global prompt index * num_generations + sample index
  int64_t expected_length = 0;      // tokens of its completion, for the order of admission alone; 0: unknown
};

// A finished completion.
struct Rollout {
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;  // of the full softmax at the sampling temperature, one per token
  float kept_mass = 1.0f;       // mean over tokens of what top-k / top-p / min-p left
  FinishReason finish_reason = FinishReason::length;
  int64_t policy_version = 0;
  // Where the tape of the call holds the rows of the prompt and of all tokens but the last; empty unless it holds each.
  std::vector<int32_t> slots;
};

// How the requests of a call are shared with generators that run at the same time on other ranks, over the same requests.
struct RequestShare {
  std::vector<size_t> mine;  // those that begin here
  // Called before each pass. `waiting`: requests that are to begin here, the next one in front. It may take some of the last
  // `movable` away, of which no token is drawn, and add others. `room`: how many more could begin now. `idle`: nothing is in
  // flight or waits, so it may wait itself. False: no more will come, whatever happens. Empty: nothing moves.
  std::function<bool(std::deque<size_t>& waiting, size_t movable, size_t room, bool idle)> exchange = {};
};

class Generator {
 public:
  // Buffers are allocated at the first call and kept. A cache that cannot hold one sequence of max_prompt_length +
  // max_completion_length positions: exit code 2 or 6 (rollout/cache_size.h).
  Generator(const Policy& policy, GeneratorConfig config, int64_t max_prompt_length);
  ~Generator();

  // Completions in the order of the requests. `step` is part of every draw's key. `progress(done)` is called after each
  // pass, and `cancelled()` asked: when it says true the call is left, and completions that are not done have what was drawn
  // so far and FinishReason::abort. Both may be empty. `tape`, begun at the policy's version, keeps the rows of as many of
  // the requests as it has slots for (rollout/taped_rows.h); no result depends on it. `completed(request, rollout)` is
  // called as each completion ends, between passes; what its vectors hold stays where it is. `share`, if given: which of the
  // requests are made here; others have no tokens, and what came in exchange has no rows on the tape.
  std::vector<Rollout> generate(std::span<const GenerateRequest> requests, uint32_t step, const Exec& ex,
                                const std::function<void(int64_t)>& progress = {},
                                const std::function<bool()>& cancelled = {}, ActivationTape* tape = nullptr,
                                const std::function<void(size_t, const Rollout&)>& completed = {},
                                const RequestShare* share = nullptr);
  const GenerateStats& stats() const { return stats_; }
  const GeneratorConfig& config() const { return config_; }
  const CacheSize& cache_size() const { return cache_size_; }
  size_t bytes() const;
  // Passes of the GPU that were recorded, and those that were replayed.
  PassGraphs::Counts graphs() const;

 private:
  struct Impl;
  const Policy& policy_;
  GeneratorConfig config_;
  int64_t max_prompt_length_;
  CacheSize cache_size_;
  GenerateStats stats_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cohort
