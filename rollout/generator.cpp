#include "rollout/generator.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <limits>
#include <optional>
#include <unordered_map>

#include "core/check.h"
#include "core/trace.h"
#include "model/ops/head.h"
#include "rollout/admission.h"
#include "rollout/stop_text.h"

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
  bool stopped = false;        // by a stop token or a stop string
  int64_t pending() const { return static_cast<int64_t>(text.size()) - computed; }
};

// The prompt that was completed last: later samples of its group begin with its pages and draw from its last hidden state.
struct SharedPrompt {
  int64_t group = -1;
  PageTable pages;
  std::vector<std::byte> hidden;  // (C) act
};

}  // namespace

struct Generator::Impl {
  Impl(const Policy& policy, const GeneratorConfig& config, const CacheSize& cache_size, GenerateStats& stats)
      : policy(policy),
        config(config),
        stats(stats),
        cache(policy, cache_size.pages, config.page_tokens),
        cache_holds_all(cache_size.holds_all()),
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
  void share_prompts();
  void draw_next(const Exec& ex);
  bool ends(size_t request);
  void retire();
  void finish(size_t request, FinishReason reason);
  void leave();

  // Sequence `index` of `active` draws its next token from this hidden state.
  void will_draw(size_t index, const std::byte* state_row) {
    std::memcpy(static_cast<std::byte*>(hidden.data) + drawing.size() * hidden_bytes, state_row, hidden_bytes);
    drawing.push_back(index);
  }
  // sequence begins with the prompt's keys at `pages`; false when there is no page for the rest of it.
  bool fork(Sequence& sequence, const PageTable& pages) {
    const int64_t positions = static_cast<int64_t>(requests[sequence.request].prompt.size());
    if (!cache.fork(sequence.pages, pages, positions)) return false;
    sequence.computed = positions;
    stats.cached_tokens += positions;
    return true;
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
  bool cache_holds_all;
  ForwardState state;
  Arena arena{"sampling"};
  Tensor hidden, logits;  // (B, C) act, (B, V) f32: the rows from which this pass draws
  size_t hidden_bytes;

  std::span<const GenerateRequest> requests;
  uint32_t step = 0;
  std::vector<Rollout> rollouts;
  std::vector<double> kept;         // of each request: sum of kept_mass
  std::vector<std::optional<StopText>> texts;  // of each request that has drawn, when there are stop strings
  std::deque<size_t> waiting;       // requests, the next to admit in front
  std::vector<Sequence> active;     // in the order of their admission
  std::unordered_map<int64_t, size_t> leaders;  // of a group whose prompt is being run: the request that others may wait for
  SharedPrompt prompt;
  int64_t finished = 0;

  // Of one pass.
  std::vector<ForwardRun> runs;
  std::vector<size_t> running, drawing;  // indices in `active`: of each run, and of those that draw
  struct PromptRun {
    size_t index;                // in `active`
    const std::byte* state_row;  // the hidden state of its last token
  };
  std::vector<PromptRun> prompts_run;
  std::vector<DrawKey> keys;
  std::vector<SampledToken> drawn;
};

void Generator::Impl::start(std::span<const GenerateRequest> all, uint32_t at_step) {
  requests = all;
  step = at_step;
  rollouts.assign(all.size(), {});
  kept.assign(all.size(), 0.0);
  texts = std::vector<std::optional<StopText>>(config.stop.empty() ? 0 : all.size());
  const std::vector<size_t> order = admission_order(all);
  waiting.assign(order.begin(), order.end());
  for (Sequence& sequence : active) cache.release(sequence.pages);  // after a call that was left by an exception
  active.clear();
  leaders.clear();
  drawing.clear();
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
    const int64_t growth = cache_holds_all ? 0 : static_cast<int64_t>(active.size());
    const auto fits = [&] { return cache.free_pages() - promised >= needed + growth; };
    if (!fits() && !continues_shared_prompt(request)) forget_prompt();
    if (!fits()) {
      if (!active.empty()) return;
      forget_prompt();  // nobody else can make room
    }
    Sequence sequence{.request = request, .text = {text.begin(), text.end()}};
    sequence.text.insert(sequence.text.end(), tokens.begin(), tokens.end());
    if (!continues_shared_prompt(request) || !fork(sequence, prompt.pages)) {
      const auto leader = leaders.find(requests[request].group);
      if (leader != leaders.end()) {
        sequence.waits_for = leader->second;
      } else if (tokens.empty()) {
        leaders.emplace(requests[request].group, request);
      }
    }
    promised += needed - static_cast<int64_t>(sequence.pages.size());
    waiting.pop_front();
    active.push_back(std::move(sequence));
    if (active.back().pending() == 0) will_draw(active.size() - 1, prompt.hidden.data());
  }
}

// The youngest sequence goes back to the front of the queue; its tokens stay. Nobody waits for it: who does is younger.
void Generator::Impl::give_back_last() {
  const size_t request = active.back().request;
  if (!drawing.empty() && drawing.back() + 1 == active.size()) drawing.pop_back();
  const auto leader = leaders.find(requests[request].group);
  if (leader != leaders.end() && leader->second == request) leaders.erase(leader);
  cache.release(active.back().pages);
  waiting.push_front(request);
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
  prompts_run.clear();
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
    if (first) prompts_run.push_back({index, state_row});
  }
  if (!prompts_run.empty()) share_prompts();
  stats.prefill_tokens += row + 1 - decoded;
  const double seconds = seconds_since(start), share = static_cast<double>(decoded) / static_cast<double>(row + 1);
  stats.decode_seconds += seconds * share;
  stats.prefill_seconds += seconds * (1 - share);
}

// Those that waited for a prompt that was run in this pass go on from there; the last one is kept for samples to come.
void Generator::Impl::share_prompts() {
  std::unordered_map<size_t, PromptRun> run_by;  // by request
  for (const PromptRun& run : prompts_run) {
    const size_t request = active[run.index].request;
    run_by.emplace(request, run);
    const auto leader = leaders.find(requests[request].group);
    if (leader != leaders.end() && leader->second == request) leaders.erase(leader);
  }
  const PromptRun& last = prompts_run.back();
  const GenerateRequest& kept_prompt = requests[active[last.index].request];
  forget_prompt();
  prompt.group = kept_prompt.group;
  prompt.pages = cache.share(active[last.index].pages, static_cast<int64_t>(kept_prompt.prompt.size()));
  std::memcpy(prompt.hidden.data(), last.state_row, hidden_bytes);
  for (size_t i = 0; i < active.size(); ++i) {
    Sequence& sequence = active[i];
    const auto run = sequence.waits_for == kNobody ? run_by.end() : run_by.find(sequence.waits_for);
    if (run == run_by.end()) continue;
    sequence.waits_for = kNobody;
    if (fork(sequence, active[run->second.index].pages)) {
      if (sequence.pending() == 0) will_draw(i, run->second.state_row);
    } else if (rollouts[sequence.request].tokens.empty()) {
      leaders.emplace(requests[sequence.request].group, sequence.request);  // runs the prompt itself
    }
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
    sequence.stopped = ends(sequence.request);
  }
  stats.decode_tokens += count;
  stats.decode_seconds += seconds_since(start);
}

// Whether the last token of a request's completion ends it before its greatest length.
bool Generator::Impl::ends(size_t request) {
  const std::vector<int32_t>& tokens = rollouts[request].tokens;
  if (std::ranges::find(config.stop_token_ids, tokens.back()) != config.stop_token_ids.end()) return true;
  if (config.stop.empty()) return false;
  if (!texts[request]) texts[request].emplace(*config.tokenizer, config.stop);
  return texts[request]->add(tokens.back()) && static_cast<int64_t>(tokens.size()) > config.min_completion_length;
}

void Generator::Impl::finish(size_t request, FinishReason reason) {
  Rollout& rollout = rollouts[request];
  rollout.finish_reason = reason;
  if (!rollout.tokens.empty()) rollout.kept_mass = static_cast<float>(kept[request] / static_cast<double>(rollout.tokens.size()));
  rollout.policy_version = policy.version;
  if (!texts.empty()) texts[request].reset();
}

void Generator::Impl::retire() {
  std::erase_if(active, [&](Sequence& sequence) {
    const size_t request = sequence.request;
    if (!sequence.stopped && static_cast<int64_t>(rollouts[request].tokens.size()) < config.max_completion_length) return false;
    finish(request, sequence.stopped ? FinishReason::stop : FinishReason::length);
    cache.release(sequence.pages);
    ++finished;
    return true;
  });
  drawing.clear();
}

// What is in flight or waits ends here.
void Generator::Impl::leave() {
  for (Sequence& sequence : active) {
    cache.release(sequence.pages);
    finish(sequence.request, FinishReason::abort);
  }
  for (const size_t request : waiting) finish(request, FinishReason::abort);
  active.clear();
  waiting.clear();
}

Generator::Generator(const Policy& policy, GeneratorConfig config, int64_t max_prompt_length)
    : policy_(policy), config_(std::move(config)), max_prompt_length_(max_prompt_length) {
  require_language_model(policy.config);
  CHECK(config_.max_num_seqs > 0 && config_.max_completion_length > 0 && config_.max_num_batched_tokens > 0,
        "generator: limits must be positive");
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

size_t Generator::bytes() const {
  return impl_ ? impl_->cache.bytes() + impl_->state.bytes() + impl_->arena.bytes() : 0;
}

std::vector<Rollout> Generator::generate(std::span<const GenerateRequest> requests, uint32_t step, const Exec& ex,
                                         const std::function<void(int64_t)>& progress,
                                         const std::function<bool()>& cancelled) {
  for (const GenerateRequest& request : requests) {
    const int64_t length = static_cast<int64_t>(request.prompt.size());
    CHECK(length > 0 && length <= max_prompt_length_, "a prompt of {} tokens, at most {} fit", length,
          max_prompt_length_);
  }
  if (!impl_) impl_ = std::make_unique<Impl>(policy_, config_, cache_size_, stats_);
  stats_ = {};
  impl_->start(requests, step);
  const auto most = static_cast<double>(std::min(config_.max_num_seqs, static_cast<int64_t>(requests.size())));
  while (!impl_->waiting.empty() || !impl_->active.empty()) {
    const Clock::time_point start = Clock::now();
    impl_->admit();
    impl_->run_pass(ex);
    CHECK(!impl_->runs.empty() || !impl_->drawing.empty(), "{} sequences in flight and nothing to do",
          impl_->active.size());
    impl_->draw_next(ex);
    if (!impl_->drawing.empty()) {
      const double seconds = seconds_since(start);
      stats_.pass_seconds += seconds;
      stats_.occupied_seconds += seconds * (static_cast<double>(impl_->active.size()) / most);
    }
    impl_->retire();
    if (progress) progress(impl_->finished);
    if (cancelled && cancelled()) impl_->leave();
  }
  return std::move(impl_->rollouts);
}

}  // namespace cohort
