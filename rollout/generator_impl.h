// What a Generator holds between passes and within one: scheduling is in schedule.cpp, the passes in generator.cpp, those that
// a GPU records in decode_pass.cpp, what a tape keeps of them in taped_rows.cpp.
#pragma once

#include <deque>
#include <limits>
#include <optional>
#include <unordered_map>

#include "model/device.h"
#include "model/gpu_draws.h"
#include "model/pass_graphs.h"
#include "rollout/generator.h"
#include "rollout/stop_text.h"

namespace cohort {

// A completion in flight.
struct Sequence {
  static constexpr size_t kNobody = std::numeric_limits<size_t>::max();

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
  Tensor hidden;  // (1, C) act
};

struct Generator::Impl {
  Impl(const Policy& policy, const GeneratorConfig& config, const CacheSize& cache_size, GenerateStats& stats)
      : policy(policy),
        config(config),
        stats(stats),
        cache(policy, cache_size.pages, config.page_tokens),
        cache_holds_all(cache_size.holds_all()),
        state(policy, std::max(config.max_num_batched_tokens, config.max_num_seqs)) {
    const size_t h = arena.plan("hidden", policy.dtype, {config.max_num_seqs, policy.config.hidden_size});
    const bool filters = filters_on(config.sampling, policy.config.vocab_size);
    const size_t l = arena.plan("logits", DType::f32, {filters ? config.max_num_seqs : 0, policy.config.vocab_size});
    const size_t p = arena.plan("prompt", policy.dtype, {1, policy.config.hidden_size});
    arena.commit(Arena::Pages::all_now, policy.device);
    hidden = arena[h], logits = arena[l], prompt.hidden = arena[p];
    if (policy.device != Device::cuda) return;
    on_gpu = std::make_unique<GpuDraws>(config.max_num_seqs);
    graphs = std::make_unique<PassGraphs>();
  }

  void start(std::span<const GenerateRequest> all, const std::vector<size_t>* mine, uint32_t at_step, ActivationTape* onto);
  bool exchange(const RequestShare& share);
  void take_memory(const Exec& ex);
  void admit();
  bool take_pages(size_t index, int64_t positions);
  void give_back_last();
  void plan_pass();
  TapeSlots take_slots();
  void note_slots(const TapeSlots& to);
  void complete_slots(size_t request);
  void run_pass(const Exec& ex);
  bool only_decodes(const TapeSlots& slots) const;
  void decode(const TapeSlots& slots, const Exec& ex);
  void share_prompts(Tensor h);
  void draw_next(const Exec& ex);
  void take_keys(int64_t rows);
  void draw_from(Tensor rows, const Exec& ex);
  void read_draws();
  void take_draw(std::span<const SampledToken> tokens);
  Sequence& in_flight(size_t request, size_t index);
  int64_t promised_pages() const;
  bool short_of_pages() const { return !unread.empty() && promised_pages() > cache.free_pages(); }
  bool ends(size_t request, size_t position);
  void retire(const std::function<void(size_t, const Rollout&)>& completed);
  void finish(size_t request, FinishReason reason);
  void leave(const std::function<void(size_t, const Rollout&)>& completed);

  // Sequence `index` of `active` draws its next token from the hidden state of the shared prompt, or from row `row` of the
  // pass in progress.
  void will_draw_from_prompt(size_t index) {
    copy(hidden.slice_rows(static_cast<int64_t>(drawing.size()), 1), prompt.hidden);
    drawing.push_back(index);
  }
  void will_draw_from_pass(size_t index, int64_t row) {
    pass_rows.push_back(static_cast<int32_t>(row));
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
  Tensor hidden, logits;  // (B, C) act, (B, V) f32: the rows from which this pass draws; no logits without filters

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
  ActivationTape* tape = nullptr;
  std::vector<bool> taped;  // of each request
  std::unordered_map<int64_t, std::vector<int32_t>> prompt_slots;  // of a group; -1: not on the tape

  // Of one pass.
  std::vector<ForwardRun> runs;
  std::vector<size_t> running, drawing;  // indices in `active`: of each run, and of those that draw
  struct PromptRun {
    size_t index;                // in `active`
    int64_t row;                 // of the pass: its last token
  };
  std::vector<PromptRun> prompts_run;
  std::vector<int32_t> pass_rows;  // from which the last of `drawing` draw
  std::vector<DrawKey> keys;        // of `drawing`, and of rows that nobody has
  std::vector<SampledToken> drawn;
  bool has_drawn = false;           // with the pass itself

  // On a GPU the next pass begins before the host knows what the last one drew. Until then its tokens are -1 - row of the draw;
  // who turns out to have ended has run one row for nothing.
  struct DrawnRow {
    size_t request, index, position;  // index: in `active`, when it was drawn
  };
  std::unique_ptr<GpuDraws> on_gpu;  // null: draws are known at once
  std::unique_ptr<PassGraphs> graphs;  // likewise; gone before all of the device's memory above, whose addresses they hold
  std::deque<std::vector<DrawnRow>> unread;
  bool last_unknown(size_t request) const { return !rollouts[request].tokens.empty() && rollouts[request].tokens.back() < 0; }
  bool has_all_tokens(size_t request) const { return std::ssize(rollouts[request].tokens) >= config.max_completion_length; }
};

}  // namespace cohort
