#include "rollout/generator.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <limits>

#include "core/check.h"
#include "core/trace.h"
#include "model/ops/head.h"

namespace cohort {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr size_t kNobody = std::numeric_limits<size_t>::max();

// A completion in flight.
struct Sequence {
  size_t request;
  std::vector<int32_t> text;   // prompt and what was drawn
  int64_t computed = 0;        // tokens of `text` whose keys are in the cache
  PageTable pages;
  size_t waits_for = kNobody;  // the request that runs the prompt they share
  int64_t pending() const { return static_cast<int64_t>(text.size()) - computed; }
};

// The prompt that was completed last: later samples of its group begin with its pages and draw from its last hidden state.
struct SharedPrompt {
  int64_t group = -1, positions = 0;
  PageTable pages;
  std::vector<std::byte> hidden;  // (C) act
};

}  // namespace

struct Generator::Impl {
  Impl(const Policy& policy, const GeneratorConfig& config, GenerateStats& stats, int64_t pages)
      : policy(policy),
        config(config),
        stats(stats),
        cache(policy, pages, config.page_tokens),
        state(policy, std::max(config.max_num_batched_tokens, config.max_num_seqs)),
        hidden_bytes(static_cast<size_t>(policy.config.hidden_size) * dtype_size(policy.dtype)) {
    const size_t h = arena.plan("hidden", policy.dtype, {config.max_num_seqs, policy.config.hidden_size});
    const size_t l = arena.plan("logits", DType::f32, {config.max_num_seqs, policy.config.vocab_size});
    arena.commit();
    hidden = arena[h];
    logits = arena[l];
    prompt.hidden.resize(hidden_bytes);
  }

  void start(std::span<const GenerateRequest> all, uint32_t at_step);
  void admit();
  bool take_pages(size_t index, int64_t positions);
  void give_back_last();
  void plan_pass();
  void run_pass(const Exec& ex);
  void share_prompt(size_t leader, const std::byte* state_row);
  void draw_next(const Exec& ex);
  void retire(const std::function<void(int64_t)>& progress);

  // Sequence `index` of `active` draws its next token from this hidden state.
  void will_draw(size_t index, const std::byte* state_row) {
    std::memcpy(static_cast<std::byte*>(hidden.data) + drawing.size() * hidden_bytes, state_row, hidden_bytes);
    drawing.push_back(index);
  }
  bool continues_shared_prompt(size_t request) const { return requests[request].group == prompt.group; }
  void forget_prompt() {
    cache.release(prompt.pages);
    prompt.group = -1;
  }

  const Policy& policy;
  const GeneratorConfig& config;
  GenerateStats& stats;
  KvCache cache;
  ForwardState state;
  Arena arena{"sampling"};
  Tensor hidden, logits;  // (B, C) act, (B, V) f32: the rows from which this pass draws
  size_t hidden_bytes;

  std::span<const GenerateRequest> requests;
  uint32_t step = 0;
  std::vector<Rollout> rollouts;
  std::vector<double> kept;         // of each request: sum of kept_mass
  std::deque<size_t> waiting;       // requests, the next to admit in front
  std::vector<Sequence> active;     // in the order of their admission
  SharedPrompt prompt;
  int64_t finished = 0;

  // Of one pass.
  std::vector<ForwardRun> runs;
  std::vector<size_t> running, drawing;  // indices in `active`: of each run, and of those that draw
  std::vector<DrawKey> keys;
  std::vector<SampledToken> drawn;
};

void Generator::Impl::start(std::span<const GenerateRequest> all, uint32_t at_step) {
  requests = all;
  step = at_step;
  rollouts.assign(all.size(), {});
  kept.assign(all.size(), 0.0);
  waiting.clear();
  for (size_t i = 0; i < all.size(); ++i) waiting.push_back(i);
  for (Sequence& sequence : active) cache.release(sequence.pages);  // after a call that was left by an exception
  active.clear();
  forget_prompt();  // its keys may be another policy version's
  cache.version = policy.version;
  finished = 0;
}

// Takes in what waits while there is room: a sample of a prompt that is in the cache shares its pages, one of a prompt that
// is being run waits for it, another needs pages for the whole of its text.
void Generator::Impl::admit() {
  int64_t promised = 0;
  for (const Sequence& sequence : active)
    promised += cache.pages_for(static_cast<int64_t>(sequence.text.size()) + 1) - static_cast<int64_t>(sequence.pages.size());
  while (!waiting.empty() && static_cast<int64_t>(active.size()) < config.max_num_seqs) {
    const size_t request = waiting.front();
    const std::span<const int32_t> text = requests[request].prompt;
    const std::vector<int32_t>& tokens = rollouts[request].tokens;
    const int64_t needed = cache.pages_for(static_cast<int64_t>(text.size() + tokens.size()) + 1);
    // Where the cache is smaller than max_num_seqs sequences, a page to grow for each in flight, or they would soon be
    // sent back for the one that comes.
    const int64_t growth = config.kv_cache_tokens > 0 ? static_cast<int64_t>(active.size()) : 0;
    const auto fits = [&] { return cache.free_pages() - promised >= needed + growth; };
    if (!fits() && !continues_shared_prompt(request)) forget_prompt();
    if (!fits()) {
      if (!active.empty()) return;
      forget_prompt();  // nobody else can make room
    }
    Sequence sequence{.request = request, .text = {text.begin(), text.end()}};
    sequence.text.insert(sequence.text.end(), tokens.begin(), tokens.end());
    const auto leader = std::ranges::find_if(active, [&](const Sequence& other) {
      return other.waits_for == kNobody && requests[other.request].group == requests[request].group &&
             rollouts[other.request].tokens.empty();
    });
    if (continues_shared_prompt(request) && cache.fork(sequence.pages, prompt.pages, prompt.positions)) {
      sequence.computed = prompt.positions;
    } else if (leader != active.end()) {
      sequence.waits_for = leader->request;
    }
    promised += needed - static_cast<int64_t>(sequence.pages.size());
    waiting.pop_front();
    active.push_back(std::move(sequence));
    if (active.back().pending() == 0) will_draw(active.size() - 1, prompt.hidden.data());
  }
}

// The youngest sequence goes back to the front of the queue; its tokens stay.
void Generator::Impl::give_back_last() {
  cache.release(active.back().pages);
  waiting.push_front(active.back().request);
  active.pop_back();
  ++stats.preemptions;
}

// Pages for `positions` of active[index], from the shared prompt or from younger sequences if there is no other way.
// False when the sequence itself had to go.
bool Generator::Impl::take_pages(size_t index, int64_t positions) {
  while (!cache.grow(active[index].pages, positions)) {
    if (prompt.group >= 0) {
      forget_prompt();
      continue;
    }
    const bool itself = active.size() == index + 1;
    CHECK(!itself || index > 0, "one sequence of {} positions does not fit the kv cache", positions);
    std::erase(drawing, active.size() - 1);
    give_back_last();
    if (itself) return false;
  }
  return true;
}

// The runs of the next pass: what each sequence still has to compute, in order, up to the budget.
void Generator::Impl::plan_pass() {
  runs.clear();
  running.clear();
  int64_t budget = state.max_tokens();
  for (size_t i = 0; i < active.size() && budget > 0; ++i) {
    if (active[i].waits_for != kNobody || active[i].pending() == 0) continue;
    const int64_t count = std::min(active[i].pending(), budget);
    if (!take_pages(i, active[i].computed + count)) break;
    budget -= count;
    Sequence& sequence = active[i];  // stays where it is: only later ones may have gone
    running.push_back(i);
    runs.push_back({std::span(sequence.text).subspan(static_cast<size_t>(sequence.computed), static_cast<size_t>(count)),
                    sequence.computed, &sequence.pages});
  }
}

void Generator::Impl::run_pass(const Exec& ex) {
  plan_pass();
  if (runs.empty()) return;
  const bool prompts = std::ranges::any_of(runs, [](const auto& run) { return run.tokens.size() > 1; });
  const Span span(ex.trace, prompts ? "prefill" : "decode");
  const Clock::time_point start = Clock::now();
  const Tensor h = forward_cached(policy, cache, state, runs, ex);
  int64_t row = -1, decoded = 0;
  for (size_t r = 0; r < runs.size(); ++r) {
    const size_t index = running[r];
    const int64_t count = static_cast<int64_t>(runs[r].tokens.size());
    row += count;
    active[index].computed += count;
    const bool first = rollouts[active[index].request].tokens.empty();
    if (count == 1 && !first) ++decoded;
    if (active[index].pending() > 0) continue;
    const auto* state_row = static_cast<const std::byte*>(h.slice_rows(row, 1).data);
    will_draw(index, state_row);
    if (first) share_prompt(index, state_row);
  }
  stats.prefill_tokens += row + 1 - decoded;
  const double seconds = seconds_since(start), share = static_cast<double>(decoded) / static_cast<double>(row + 1);
  stats.decode_seconds += seconds * share;
  stats.prefill_seconds += seconds * (1 - share);
}

// active[leader] has run its prompt: those that waited for it go on from there.
void Generator::Impl::share_prompt(size_t leader, const std::byte* state_row) {
  const size_t request = active[leader].request;
  forget_prompt();
  prompt.group = requests[request].group;
  prompt.positions = static_cast<int64_t>(requests[request].prompt.size());
  prompt.pages = cache.share(active[leader].pages, prompt.positions);
  std::memcpy(prompt.hidden.data(), state_row, hidden_bytes);
  for (size_t i = leader + 1; i < active.size(); ++i) {
    Sequence& sequence = active[i];
    if (sequence.waits_for != request) continue;
    sequence.waits_for = kNobody;
    // Without a page for the rest of the prompt it runs the prompt itself.
    if (!cache.fork(sequence.pages, prompt.pages, prompt.positions)) continue;
    sequence.computed = prompt.positions;
    if (sequence.pending() == 0) will_draw(i, state_row);
  }
}

void Generator::Impl::draw_next(const Exec& ex) {
  if (drawing.empty()) return;
  const Span span(ex.trace, "sample");
  const Clock::time_point start = Clock::now();
  const int64_t count = static_cast<int64_t>(drawing.size());
  const Tensor rows = logits.slice_rows(0, count);
  head_logits(rows, hidden.slice_rows(0, count), policy.packed_head, ex, policy.config.logit_softcap);
  keys.clear();
  drawn.resize(drawing.size());
  for (size_t index : drawing) {
    const size_t request = active[index].request;
    keys.push_back({config.seed, step, requests[request].sequence, static_cast<uint32_t>(rollouts[request].tokens.size())});
  }
  const Ban too_early{config.stop_token_ids, static_cast<uint32_t>(config.min_completion_length)};
  sample_tokens(drawn, rows, config.sampling, keys, too_early, ex);
  for (size_t i = 0; i < drawing.size(); ++i) {
    Sequence& sequence = active[drawing[i]];
    sequence.text.push_back(drawn[i].token);
    rollouts[sequence.request].tokens.push_back(drawn[i].token);
    rollouts[sequence.request].logprobs.push_back(drawn[i].logprob);
    kept[sequence.request] += drawn[i].kept_mass;
  }
  stats.decode_tokens += count;
  stats.decode_seconds += seconds_since(start);
}

void Generator::Impl::retire(const std::function<void(int64_t)>& progress) {
  std::erase_if(active, [&](Sequence& sequence) {
    Rollout& rollout = rollouts[sequence.request];
    if (rollout.tokens.empty()) return false;
    const bool stop = std::ranges::find(config.stop_token_ids, rollout.tokens.back()) != config.stop_token_ids.end();
    if (!stop && static_cast<int64_t>(rollout.tokens.size()) < config.max_completion_length) return false;
    rollout.finish_reason = stop ? FinishReason::stop : FinishReason::length;
    rollout.kept_mass = static_cast<float>(kept[sequence.request] / static_cast<double>(rollout.tokens.size()));
    rollout.policy_version = policy.version;
    cache.release(sequence.pages);
    ++finished;
    return true;
  });
  drawing.clear();
  if (progress) progress(finished);
}

Generator::Generator(const Policy& policy, GeneratorConfig config, int64_t max_prompt_length)
    : policy_(policy), config_(std::move(config)), max_prompt_length_(max_prompt_length) {
  require_language_model(policy.config);
  CHECK(config_.max_num_seqs > 0 && config_.max_completion_length > 0 && config_.max_num_batched_tokens > 0,
        "generator: limits must be positive");
  CHECK_USAGE(max_prompt_length + config_.max_completion_length <= policy.config.max_positions,
              "prompts of up to {} tokens and completions of up to {} do not fit the model's {} positions; lower "
              "data.max_prompt_length or rollout.max_completion_length",
              max_prompt_length, config_.max_completion_length, policy.config.max_positions);
  const int64_t whole = max_prompt_length + config_.max_completion_length;
  CHECK_USAGE(config_.kv_cache_tokens == 0 || config_.kv_cache_tokens >= whole,
              "a kv cache of {} tokens does not hold one sequence of up to {}", config_.kv_cache_tokens, whole);
}

Generator::~Generator() = default;

size_t Generator::bytes() const {
  return impl_ ? impl_->cache.bytes() + impl_->state.bytes() + impl_->arena.bytes() : 0;
}

std::vector<Rollout> Generator::generate(std::span<const GenerateRequest> requests, uint32_t step, const Exec& ex,
                                         const std::function<void(int64_t)>& progress) {
  for (const GenerateRequest& request : requests) {
    const int64_t length = static_cast<int64_t>(request.prompt.size());
    CHECK(length > 0 && length <= max_prompt_length_, "a prompt of {} tokens, at most {} fit", length,
          max_prompt_length_);
  }
  if (!impl_) {
    const auto pages = [&](int64_t tokens) { return (tokens + config_.page_tokens - 1) / config_.page_tokens; };
    const int64_t whole = pages(max_prompt_length_ + config_.max_completion_length);
    const int64_t wanted = config_.kv_cache_tokens > 0 ? config_.kv_cache_tokens / config_.page_tokens : 0;
    impl_ = std::make_unique<Impl>(policy_, config_, stats_, wanted > 0 ? std::max(wanted, whole) : config_.max_num_seqs * whole);
  }
  stats_ = {};
  impl_->start(requests, step);
  while (!impl_->waiting.empty() || !impl_->active.empty()) {
    impl_->admit();
    impl_->run_pass(ex);
    CHECK(!impl_->runs.empty() || !impl_->drawing.empty(), "{} sequences in flight and nothing to do",
          impl_->active.size());
    impl_->draw_next(ex);
    impl_->retire(progress);
  }
  return std::move(impl_->rollouts);
}

}  // namespace cohort
