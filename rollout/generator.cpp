#include "rollout/generator.h"

#include <algorithm>

#include "core/check.h"
#include "core/clock.h"
#include "core/trace.h"
#include "model/ops/elementwise.h"
#include "model/ops/gpu.h"
#include "model/ops/head.h"
#include "rollout/generator_impl.h"

namespace cohort {

void Generator::Impl::run_pass(const Exec& ex) {
  plan_pass();
  prompts_run.clear(), pass_rows.clear(), has_drawn = false;
  if (runs.empty()) return;
  const TapeSlots slots = take_slots();
  if (only_decodes(slots)) return decode(slots, ex);
  const bool prompts = std::ranges::any_of(runs, [](const auto& run) { return run.tokens.size() > 1; });
  const Span span(ex.trace, prompts ? "prefill" : "decode");
  const Clock::time_point start = Clock::now();
  const Tensor h = forward_cached(policy, cache, state, runs, ex, slots, on_gpu ? on_gpu->tokens() : Tensor());
  note_slots(slots);
  int64_t row = -1, decoded = 0;
  for (size_t r = 0; r < runs.size(); ++r) {
    const size_t index = running[r];
    const int64_t count = static_cast<int64_t>(runs[r].tokens.size());
    row += count;
    active[index].computed += count;
    const bool first = rollouts[active[index].request].tokens.empty();
    if (count == 1 && !first) ++decoded;
    if (active[index].pending() > 0) continue;
    will_draw_from_pass(index, row);
    if (first) prompts_run.push_back({index, row});
  }
  if (!prompts_run.empty()) share_prompts(h);
  const auto from_pass = static_cast<int64_t>(pass_rows.size()), from_prompt = static_cast<int64_t>(drawing.size()) - from_pass;
  gather_rows(hidden.slice_rows(from_prompt, from_pass), h, pass_rows, ex);
  stats.prefill_tokens += row + 1 - decoded;
  const double seconds = seconds_since(start), share = static_cast<double>(decoded) / static_cast<double>(row + 1);
  stats.decode_seconds += seconds * share;
  stats.prefill_seconds += seconds * (1 - share);
}

// Keys of all that draw, then of rows that nobody has, up to `rows`.
void Generator::Impl::take_keys(int64_t rows) {
  keys.assign(static_cast<size_t>(rows), {});
  for (size_t i = 0; i < drawing.size(); ++i) {
    const size_t request = active[drawing[i]].request;
    keys[i] = {config.seed, step, requests[request].sequence, static_cast<uint32_t>(rollouts[request].tokens.size())};
  }
}

// One token from each row of hidden states, with `keys`.
void Generator::Impl::draw_from(Tensor rows, const Exec& ex) {
  const float softcap = policy.config.logit_softcap;
  Ban too_early{{}, static_cast<uint32_t>(config.min_completion_length)};
  if (config.min_completion_length > 0) too_early.tokens = config.stop_token_ids;
  drawn.resize(keys.size());
  if (filters_on(config.sampling, policy.config.vocab_size)) {
    const Tensor l = logits.slice_rows(0, rows.rows());
    head_logits(l, rows, policy.packed_head, ex, softcap);
    on_gpu ? on_gpu->sample_tokens(l, config.sampling, keys, too_early) : sample_tokens(drawn, l, config.sampling, keys, too_early, ex);
  } else if (on_gpu) {
    on_gpu->sample_head(rows, policy.packed_head, softcap, config.sampling, keys, too_early);
  } else {
    sample_head(drawn, rows, policy.packed_head, softcap, config.sampling, keys, too_early, ex);
  }
}

void Generator::Impl::draw_next(const Exec& ex) {
  if (drawing.empty()) return;
  const Span span(ex.trace, "sample");
  const Clock::time_point start = Clock::now();
  const auto count = std::ssize(drawing);
  if (!has_drawn) {
    take_keys(count);
    draw_from(hidden.slice_rows(0, count), ex);
  }
  if (on_gpu) on_gpu->send(std::span(keys).first(drawing.size()), std::ssize(keys), config.sampling.temperature);
  std::vector<DrawnRow> of;
  for (size_t i = 0; i < drawing.size(); ++i) {
    const auto unknown = -1 - static_cast<int32_t>(i);
    Sequence& sequence = active[drawing[i]];
    Rollout& rollout = rollouts[sequence.request];
    of.push_back({sequence.request, drawing[i], rollout.tokens.size()});
    sequence.text.push_back(unknown);
    rollout.tokens.push_back(unknown);
    rollout.logprobs.push_back(0);
  }
  unread.push_back(std::move(of));
  if (!on_gpu) take_draw(drawn);
  stats.decode_seconds += seconds_since(start);
}

// On a GPU: the draws but that of the pass that was begun last, if one was.
void Generator::Impl::read_draws() {
  for (const size_t left = drawing.empty() ? 0 : 1; on_gpu && unread.size() > left;) {
    drawn.resize(unread.front().size());
    on_gpu->read(drawn);
    take_draw(drawn);
  }
}

// The sequence of a request that was at `index` of `active`: some of those before it may have gone since.
Sequence& Generator::Impl::in_flight(size_t request, size_t index) {
  size_t end = std::min(index + 1, active.size());
  while (end > 0 && active[end - 1].request != request) --end;
  CHECK(end > 0, "a token of request {}, which is not in flight", request);
  return active[end - 1];
}

// The tokens of the first draw that was not known yet.
void Generator::Impl::take_draw(std::span<const SampledToken> tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    const DrawnRow& row = unread.front()[i];
    Rollout& rollout = rollouts[row.request];
    if (rollout.tokens.size() <= row.position) continue;  // it had ended before
    rollout.tokens[row.position] = tokens[i].token;
    rollout.logprobs[row.position] = tokens[i].logprob;
    kept[row.request] += tokens[i].kept_mass;
    ++stats.decode_tokens;
    Sequence& sequence = in_flight(row.request, row.index);
    sequence.text[requests[row.request].prompt.size() + row.position] = tokens[i].token;
    if (!ends(row.request, row.position)) continue;
    sequence.stopped = true;
    rollout.tokens.resize(row.position + 1), rollout.logprobs.resize(row.position + 1);  // what came after is for nothing
  }
  unread.pop_front();
}

// Whether token `position` of a request's completion, the last that is known, ends it before its greatest length.
bool Generator::Impl::ends(size_t request, size_t position) {
  const int32_t token = rollouts[request].tokens[position];
  if (std::ranges::find(config.stop_token_ids, token) != config.stop_token_ids.end()) return true;
  if (config.stop.empty()) return false;
  if (!texts[request]) texts[request].emplace(*config.tokenizer, config.stop);
  return texts[request]->add(token) && static_cast<int64_t>(position) >= config.min_completion_length;
}

void Generator::Impl::finish(size_t request, FinishReason reason) {
  Rollout& rollout = rollouts[request];
  rollout.finish_reason = reason;
  if (!rollout.tokens.empty()) rollout.kept_mass = static_cast<float>(kept[request] / static_cast<double>(rollout.tokens.size()));
  rollout.policy_version = policy.version;
  complete_slots(request);
  if (!texts.empty()) texts[request].reset();
}

void Generator::Impl::retire(const std::function<void(size_t, const Rollout&)>& completed) {
  std::erase_if(active, [&](Sequence& sequence) {
    const size_t request = sequence.request;
    if (!sequence.stopped && (!has_all_tokens(request) || last_unknown(request))) return false;
    finish(request, sequence.stopped ? FinishReason::stop : FinishReason::length);
    cache.release(sequence.pages);
    ++finished;
    if (completed) completed(request, rollouts[request]);
    return true;
  });
  drawing.clear();
}

Generator::Generator(const Policy& policy, GeneratorConfig config, int64_t max_prompt_length)
    : policy_(policy), config_(std::move(config)), max_prompt_length_(max_prompt_length) {
  require_language_model(policy.config);
  CHECK(config_.max_num_seqs > 0 && config_.max_completion_length > 0 && config_.max_num_batched_tokens > 0,
        "generator: limits must be positive");
  const bool bans = config_.min_completion_length > 0;  // stop tokens, before
  CHECK_USAGE(policy.device == Device::cpu || !bans || config_.stop_token_ids.size() <= gpu::kMaxBanned,
              "{} tokens end a completion, and rollout.min_completion_length bans them before: at most {} on a GPU; name fewer in "
              "rollout.stop_token_ids, set rollout.min_completion_length to 0, or use run.device: cpu",
              config_.stop_token_ids.size(), gpu::kMaxBanned);
  CHECK(config_.stop.empty() || config_.tokenizer != nullptr, "generator: stop strings without a tokenizer");
  CHECK_USAGE(max_prompt_length + config_.max_completion_length <= policy.config.max_positions,
              "prompts of up to {} tokens and completions of up to {} do not fit the model's {} positions; lower "
              "data.max_prompt_length or rollout.max_completion_length",
              max_prompt_length, config_.max_completion_length, policy.config.max_positions);
  cache_size_ = choose_cache_size({.sequences = config_.max_num_seqs,
                                   .positions = max_prompt_length + config_.max_completion_length,
                                   .page_tokens = config_.page_tokens,
                                   .page_bytes = kv_page_bytes(policy.config, policy.dtype, config_.page_tokens)},
                                  config_.kv_cache);
  cache_size_.require_one();
}

Generator::~Generator() = default;

PassGraphs::Counts Generator::graphs() const { return impl_ && impl_->graphs ? impl_->graphs->counts() : PassGraphs::Counts{}; }

size_t Generator::bytes() const {
  return impl_ ? impl_->cache.bytes() + impl_->state.bytes() + impl_->arena.bytes() : 0;
}

std::vector<Rollout> Generator::generate(std::span<const GenerateRequest> requests, uint32_t step, const Exec& ex,
                                         const std::function<void(int64_t)>& progress,
                                         const std::function<bool()>& cancelled, ActivationTape* tape,
                                         const std::function<void(size_t, const Rollout&)>& completed,
                                         const RequestShare* share) {
  for (const GenerateRequest& request : requests) {
    const int64_t length = static_cast<int64_t>(request.prompt.size());
    CHECK(length > 0 && length <= max_prompt_length_, "a prompt of {} tokens, at most {} fit", length,
          max_prompt_length_);
    CHECK(request.group >= 0, "group {}, must not be negative", request.group);
  }
  if (!impl_) impl_ = std::make_unique<Impl>(policy_, config_, cache_size_, stats_);
  stats_ = {};
  impl_->start(requests, share != nullptr ? &share->mine : nullptr, step, tape);
  const Clock::time_point begin = Clock::now();
  impl_->take_memory(ex);
  stats_.prefill_seconds += seconds_since(begin);
  const auto begins = static_cast<int64_t>(share != nullptr ? share->mine.size() : requests.size());
  const bool more_may_come = share != nullptr && share->exchange;
  const auto most = static_cast<double>(more_may_come ? config_.max_num_seqs : std::min(config_.max_num_seqs, begins));
  while (true) {
    const bool more = share != nullptr && impl_->exchange(*share);
    if (impl_->waiting.empty() && impl_->active.empty()) {
      if (!more) break;
      continue;
    }
    const Clock::time_point start = Clock::now();
    if (impl_->short_of_pages()) {  // whoever has to give its own back must be known to go on
      impl_->read_draws();
      impl_->retire(completed);
    }
    impl_->admit();
    impl_->run_pass(ex);
    CHECK(!impl_->runs.empty() || !impl_->drawing.empty() || !impl_->unread.empty(), "{} sequences in flight and nothing to do",
          impl_->active.size());
    impl_->draw_next(ex);
    impl_->read_draws();
    if (!impl_->drawing.empty()) {
      const double seconds = seconds_since(start);
      stats_.pass_seconds += seconds;
      stats_.occupied_seconds += seconds * (static_cast<double>(impl_->active.size()) / most);
    }
    impl_->retire(completed);
    if (progress) progress(impl_->finished);
    if (cancelled && cancelled()) impl_->leave(completed);
  }
  return std::move(impl_->rollouts);
}

}  // namespace cohort
