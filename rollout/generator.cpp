#include "rollout/generator.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "model/ops/elementwise.h"
#include "model/ops/head.h"

namespace cohort {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// One completion in flight. It owns a cache slot from admission to its last token.
struct Sequence {
  size_t request;   // index into the requests
  int32_t slot;
  int32_t next;     // the token to run next, at position prompt length + tokens - 1
  double kept = 0;  // sum of kept_mass
};

// How an admitted sequence gets its prompt's keys: from the leader of its group in this admission, from the group that was
// admitted last, or (neither) by running the prompt.
struct Joining {
  int64_t leader;  // index among those joining; -1: none
  bool from_last = false;
};

// The prompt admitted last: samples of its group that are admitted while that member is still in flight copy its keys and
// start from its hidden state instead of running the prompt again.
struct LastPrompt {
  int64_t group = -1;
  int32_t slot = -1;
  std::vector<std::byte> hidden;  // (C) act: the last prompt row, from which each sample draws its first token
};

}  // namespace

struct Generator::Impl {
  Impl(const Policy& policy, const GeneratorConfig& config, int64_t capacity)
      : cache(policy, config.max_num_seqs, capacity),
        state(policy, std::max(config.max_num_batched_tokens, config.max_num_seqs)) {
    const int64_t B = config.max_num_seqs;
    const size_t h = arena.plan("hidden", policy.dtype, {B, policy.config.hidden_size});
    const size_t l = arena.plan("logits", DType::f32, {B, policy.config.vocab_size});
    arena.commit();
    hidden = arena[h];
    logits = arena[l];
  }

  KvCache cache;
  ForwardState state;
  Arena arena{"sampling"};
  Tensor hidden, logits;  // (B, C) act, (B, V) f32: the rows from which this pass draws
  std::vector<Sequence> active;
  std::vector<int32_t> free_slots;
  std::vector<ForwardRun> runs;
  std::vector<DrawKey> keys;
  std::vector<SampledToken> drawn;
};

Generator::Generator(const Policy& policy, GeneratorConfig config, int64_t max_prompt_length)
    : policy_(policy), config_(std::move(config)), max_prompt_length_(max_prompt_length) {
  require_language_model(policy.config);
  CHECK(config_.max_num_seqs > 0 && config_.max_completion_length > 0 && config_.max_num_batched_tokens > 0,
        "generator: limits must be positive");
  CHECK_USAGE(max_prompt_length + config_.max_completion_length <= policy.config.max_positions,
              "prompts of up to {} tokens and completions of up to {} do not fit the model's {} positions; lower "
              "data.max_prompt_length or rollout.max_completion_length",
              max_prompt_length, config_.max_completion_length, policy.config.max_positions);
}

Generator::~Generator() = default;

size_t Generator::bytes() const {
  return impl_ ? impl_->cache.bytes() + impl_->state.bytes() + impl_->arena.bytes() : 0;
}

std::vector<Rollout> Generator::generate(std::span<const GenerateRequest> requests, uint32_t step, const Exec& ex,
                                         const std::function<void(int64_t)>& progress) {
  if (!impl_) impl_ = std::make_unique<Impl>(policy_, config_, max_prompt_length_ + config_.max_completion_length);
  Impl& s = *impl_;
  stats_ = {};
  s.cache.version = policy_.version;  // every key below is computed by these weights
  s.active.clear();
  s.free_slots.clear();
  for (int32_t slot = static_cast<int32_t>(config_.max_num_seqs) - 1; slot >= 0; --slot) s.free_slots.push_back(slot);

  std::vector<Rollout> rollouts(requests.size());
  LastPrompt last;
  const size_t hidden_bytes = static_cast<size_t>(policy_.config.hidden_size) * dtype_size(policy_.dtype);
  last.hidden.resize(hidden_bytes);
  const auto hidden_row = [&](size_t row) { return static_cast<std::byte*>(s.hidden.data) + row * hidden_bytes; };
  size_t waiting = 0;    // the next request to admit
  int64_t finished = 0;

  // Draws one token for each of `count` sequences (rows of s.hidden) and retires those that are done.
  const auto draw = [&](size_t first, size_t count) {
    const Tensor logits = s.logits.slice_rows(0, static_cast<int64_t>(count));
    head_logits(logits, s.hidden.slice_rows(0, static_cast<int64_t>(count)), policy_.packed_head, ex,
                policy_.config.logit_softcap);
    s.keys.resize(count);
    s.drawn.resize(count);
    for (size_t i = 0; i < count; ++i) {
      const Sequence& sequence = s.active[first + i];
      s.keys[i] = {config_.seed, step, requests[sequence.request].sequence,
                   static_cast<uint32_t>(rollouts[sequence.request].tokens.size())};
    }
    const Ban too_early{config_.stop_token_ids, static_cast<uint32_t>(config_.min_completion_length)};
    sample_tokens(s.drawn, logits, config_.sampling, s.keys, too_early, ex);
    for (size_t i = 0; i < count; ++i) {
      Sequence& sequence = s.active[first + i];
      Rollout& rollout = rollouts[sequence.request];
      rollout.tokens.push_back(s.drawn[i].token);
      rollout.logprobs.push_back(s.drawn[i].logprob);
      sequence.kept += s.drawn[i].kept_mass;
      sequence.next = s.drawn[i].token;
    }
  };
  const auto retire = [&] {
    std::erase_if(s.active, [&](const Sequence& sequence) {
      Rollout& rollout = rollouts[sequence.request];
      const bool stop = std::ranges::find(config_.stop_token_ids, rollout.tokens.back()) != config_.stop_token_ids.end();
      if (!stop && static_cast<int64_t>(rollout.tokens.size()) < config_.max_completion_length) return false;
      rollout.finish_reason = stop ? FinishReason::stop : FinishReason::length;
      rollout.kept_mass = static_cast<float>(sequence.kept / static_cast<double>(rollout.tokens.size()));
      rollout.policy_version = policy_.version;
      s.free_slots.push_back(sequence.slot);
      if (sequence.slot == last.slot) last.group = -1;  // the slot will be overwritten
      ++finished;
      return true;
    });
    if (progress) progress(finished);
  };

  // Runs the prompts of the joining sequences that lead their group; the last row's hidden state goes to their row.
  const auto run_prompts = [&](size_t before, const std::vector<Joining>& joining) {
    const int64_t budget = s.state.max_tokens();
    std::vector<size_t> batch;
    int64_t tokens = 0;
    const auto flush = [&] {
      if (batch.empty()) return;
      s.runs.clear();
      for (size_t i : batch) {
        const Sequence& sequence = s.active[before + i];
        s.runs.push_back({requests[sequence.request].prompt, 0, sequence.slot});
      }
      const Tensor h = forward_cached(policy_, s.cache, s.state, s.runs, ex);
      int64_t row = -1;
      for (size_t i : batch) {
        row += static_cast<int64_t>(requests[s.active[before + i].request].prompt.size());
        std::memcpy(hidden_row(i), h.slice_rows(row, 1).data, hidden_bytes);
      }
      batch.clear();
      tokens = 0;
    };
    for (size_t i = 0; i < joining.size(); ++i) {
      if (joining[i].leader >= 0 || joining[i].from_last) continue;
      const Sequence& sequence = s.active[before + i];
      const std::span<const int32_t> prompt = requests[sequence.request].prompt;
      const int64_t length = static_cast<int64_t>(prompt.size());
      stats_.prefill_tokens += length;
      if (tokens + length > budget) flush();
      if (length <= budget) {
        batch.push_back(i);
        tokens += length;
        continue;
      }
      for (int64_t begin = 0; begin < length; begin += budget) {  // longer than a pass: in chunks
        const int64_t count = std::min(budget, length - begin);
        const ForwardRun run{prompt.subspan(begin, count), begin, sequence.slot};
        const Tensor h = forward_cached(policy_, s.cache, s.state, {&run, 1}, ex);
        std::memcpy(hidden_row(i), h.slice_rows(count - 1, 1).data, hidden_bytes);
      }
    }
    flush();
  };

  while (waiting < requests.size() || !s.active.empty()) {
    // 1. Admit. A request whose prompt is in the cache joins at once; other prompts are run together, in passes that fit.
    const Clock::time_point start = Clock::now();
    const size_t before = s.active.size();
    std::vector<Joining> joining;
    while (waiting < requests.size() && !s.free_slots.empty()) {
      const GenerateRequest& request = requests[waiting];
      const int64_t length = static_cast<int64_t>(request.prompt.size());
      CHECK(length > 0 && length <= max_prompt_length_, "a prompt of {} tokens, at most {} fit", length,
            max_prompt_length_);
      Joining join{-1};
      if (!joining.empty() && requests[waiting - 1].group == request.group) {
        join.leader = joining.back().leader >= 0 ? joining.back().leader : static_cast<int64_t>(joining.size()) - 1;
        if (joining.back().from_last) join = {-1, true};
      } else if (request.group == last.group) {
        join.from_last = true;
      }
      joining.push_back(join);
      s.active.push_back({waiting++, s.free_slots.back(), 0});
      s.free_slots.pop_back();
    }
    if (!joining.empty()) {
      run_prompts(before, joining);
      // Followers copy their leader's keys and hidden state.
      for (size_t i = 0; i < joining.size(); ++i) {
        const Sequence& sequence = s.active[before + i];
        const int64_t length = static_cast<int64_t>(requests[sequence.request].prompt.size());
        if (joining[i].from_last) {
          s.cache.copy(last.slot, sequence.slot, length);
          std::memcpy(hidden_row(i), last.hidden.data(), hidden_bytes);
        } else if (joining[i].leader >= 0) {
          s.cache.copy(s.active[before + joining[i].leader].slot, sequence.slot, length);
          std::memcpy(hidden_row(i), hidden_row(joining[i].leader), hidden_bytes);
        }
      }
      last.group = requests[s.active.back().request].group;
      last.slot = s.active.back().slot;
      std::memcpy(last.hidden.data(), hidden_row(joining.size() - 1), hidden_bytes);
      stats_.prefill_seconds += seconds_since(start);
      draw(before, joining.size());
      stats_.decode_tokens += static_cast<int64_t>(joining.size());
      retire();
    }
    if (s.active.empty()) continue;

    // 2. One more token for every sequence in flight.
    const Clock::time_point decode = Clock::now();
    s.runs.clear();
    for (Sequence& sequence : s.active) {
      const int64_t position = static_cast<int64_t>(requests[sequence.request].prompt.size() +
                                                    rollouts[sequence.request].tokens.size()) - 1;
      s.runs.push_back({{&sequence.next, 1}, position, sequence.slot});
    }
    const Tensor h = forward_cached(policy_, s.cache, s.state, s.runs, ex);
    std::memcpy(s.hidden.data, h.data, s.runs.size() * hidden_bytes);
    draw(0, s.active.size());
    stats_.decode_tokens += static_cast<int64_t>(s.runs.size());
    retire();
    stats_.decode_seconds += seconds_since(decode);
  }
  return rollouts;
}

}  // namespace cohort
