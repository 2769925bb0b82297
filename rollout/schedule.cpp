// Who takes part in the next pass: admission, shared prompts, and pages given back when there are none left.
#include <algorithm>

#include "core/check.h"
#include "rollout/admission.h"
#include "rollout/generator_impl.h"
#include "rollout/taped_rows.h"

namespace cohort {

// mine: those of `all` that begin here; null: all of them.
void Generator::Impl::start(std::span<const GenerateRequest> all, const std::vector<size_t>* mine, uint32_t at_step, ActivationTape* onto) {
  requests = all;
  step = at_step;
  rollouts.assign(all.size(), {});
  kept.assign(all.size(), 0.0);
  texts = std::vector<std::optional<StopText>>(config.stop.empty() ? 0 : all.size());
  std::vector<GenerateRequest> begins;
  for (size_t i = 0; i < (mine ? mine->size() : all.size()); ++i) begins.push_back(all[mine ? (*mine)[i] : i]);
  waiting.clear();
  for (const size_t i : admission_order(begins)) waiting.push_back(mine ? (*mine)[i] : i);
  for (Sequence& sequence : active) cache.release(sequence.pages);  // after a call that was left by an exception
  active.clear();
  leaders.clear();
  drawing.clear();
  unread.clear();
  if (on_gpu) on_gpu->forget();
  forget_prompt();  // its keys may be another policy version's
  cache.version = policy.version;
  finished = 0;
  tape = onto;
  taped.assign(all.size(), false);
  if (tape != nullptr) {
    if (graphs && tape->aside() == 0 && tape->free_slots() >= 4 * config.max_num_seqs) tape->set_aside(config.max_num_seqs);
    const std::vector<bool> of_mine = taped_requests(begins, tape->free_slots(), config.max_completion_length);
    for (size_t i = 0; i < begins.size(); ++i) taped[mine ? (*mine)[i] : i] = of_mine[i];
  }
  prompt_slots.clear();
}

// Memory for the pages that the first sequences are sure to fill, before anybody waits for a token.
void Generator::Impl::take_memory(const Exec& ex) {
  int64_t pages = 0;
  const auto first = static_cast<size_t>(config.max_num_seqs);
  for (size_t i = 0; i < std::min(first, waiting.size()); ++i) {
    const auto prompt_length = static_cast<int64_t>(requests[waiting[i]].prompt.size());
    const int64_t shared = prompt_length / cache.page_tokens();  // perhaps
    pages += cache.pages_for(prompt_length + std::max<int64_t>(1, config.min_completion_length)) - shared;
  }
  cache.take_memory(std::min(pages, cache.pages()), ex);
}

// False: no more requests will come.
bool Generator::Impl::exchange(const RequestShare& share) {
  if (!share.exchange) return false;
  const auto drawn = std::ranges::find_if(waiting.rbegin(), waiting.rend(), [&](size_t request) { return !rollouts[request].tokens.empty(); });
  const auto movable = static_cast<size_t>(drawn - waiting.rbegin());
  const auto held = active.size() + waiting.size(), most = static_cast<size_t>(config.max_num_seqs);
  return share.exchange(waiting, movable, most - std::min(most, held), held == 0);
}

// What those in flight need for their next pass.
int64_t Generator::Impl::promised_pages() const {
  int64_t promised = 0;
  for (const Sequence& sequence : active)
    promised += cache.pages_for(static_cast<int64_t>(sequence.text.size()) + 1) - static_cast<int64_t>(sequence.pages.size());
  return promised;
}

// Takes in what waits while there is room: a sample of a prompt that is in the cache shares its pages, one of a prompt that
// is being run waits for it, another needs pages for the whole of its text.
void Generator::Impl::admit() {
  int64_t promised = promised_pages();
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
    if (active.back().pending() == 0) will_draw_from_prompt(active.size() - 1);
  }
}

// The youngest sequence goes back to the front of the queue; its tokens stay. Nobody waits for it: who does is younger.
void Generator::Impl::give_back_last() {
  const size_t request = active.back().request;
  CHECK(!last_unknown(request), "request {} gives its pages back before its last token is known", request);
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
    if (active[i].waits_for != Sequence::kNobody || active[i].pending() == 0 || has_all_tokens(active[i].request)) continue;
    const int64_t count = std::min(active[i].pending(), budget);
    if (!take_pages(i, active[i].computed + count)) break;
    budget -= count;
    Sequence& sequence = active[i];  // stays where it is: only later ones may have gone
    running.push_back(i);
    runs.push_back({std::span(sequence.text).subspan(static_cast<size_t>(sequence.computed), static_cast<size_t>(count)),
                    sequence.computed, &sequence.pages});
  }
}

// Those that waited for a prompt that was run in this pass go on from there; the last one is kept for samples to come.
void Generator::Impl::share_prompts(Tensor h) {
  std::unordered_map<size_t, PromptRun> run_by;  // by request
  for (const PromptRun& run : prompts_run) {
    const size_t request = active[run.index].request;
    run_by.emplace(request, run);
    const auto leader = leaders.find(requests[request].group);
    if (leader != leaders.end() && leader->second == request) leaders.erase(leader);
  }
  // Of the sequence that was admitted last: runs may have been put in another order (taped_rows.cpp).
  const PromptRun& last = *std::ranges::max_element(prompts_run, {}, &PromptRun::index);
  const GenerateRequest& kept_prompt = requests[active[last.index].request];
  forget_prompt();
  prompt.group = kept_prompt.group;
  prompt.pages = cache.share(active[last.index].pages, static_cast<int64_t>(kept_prompt.prompt.size()));
  copy(prompt.hidden, h.slice_rows(last.row, 1));
  for (size_t i = 0; i < active.size(); ++i) {
    Sequence& sequence = active[i];
    const auto run = sequence.waits_for == Sequence::kNobody ? run_by.end() : run_by.find(sequence.waits_for);
    if (run == run_by.end()) continue;
    sequence.waits_for = Sequence::kNobody;
    if (fork(sequence, active[run->second.index].pages)) {
      if (sequence.pending() == 0) will_draw_from_pass(i, run->second.row);
    } else if (rollouts[sequence.request].tokens.empty()) {
      leaders.emplace(requests[sequence.request].group, sequence.request);  // runs the prompt itself
    }
  }
}

// What is in flight or waits ends here, with all that was drawn.
void Generator::Impl::leave(const std::function<void(size_t, const Rollout&)>& completed) {
  read_draws();
  retire(completed);
  for (Sequence& sequence : active) {
    cache.release(sequence.pages);
    finish(sequence.request, FinishReason::abort);
  }
  for (const size_t request : waiting) finish(request, FinishReason::abort);
  active.clear();
  waiting.clear();
}

}  // namespace cohort
