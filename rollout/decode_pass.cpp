// Passes that only decode, on a GPU: the launches of a whole pass, draws included, are recorded and replayed (model/pass_graphs.h).
#include "core/clock.h"
#include "core/trace.h"
#include "rollout/generator_impl.h"

namespace cohort {

// Whether each run is one token, from which the next one is drawn, and nobody else draws. Rows for a tape go to slots set aside
// first: those of its own are others in each pass.
bool Generator::Impl::only_decodes(const TapeSlots& slots) const {
  if (!graphs || !drawing.empty() || !on_gpu->tokens()) return false;
  if (slots.tape != nullptr && slots.tape->aside() < filled_up(std::ssize(runs), config.max_num_seqs)) return false;
  return std::ranges::all_of(running, [&](size_t index) {
    const Sequence& sequence = active[index];
    return sequence.pending() == 1 && !rollouts[sequence.request].tokens.empty();
  });
}

void Generator::Impl::decode(const TapeSlots& slots, const Exec& ex) {
  const Span span(ex.trace, "decode");
  const Clock::time_point start = Clock::now();
  const int64_t count = std::ssize(runs), rows = filled_up(count, config.max_num_seqs);
  const Tensor tokens = on_gpu->tokens();
  const TapeSlots aside{slots.tape, slots.tape == nullptr ? 0 : slots.tape->first_aside()};
  begin_pass(policy, cache, state, runs, rows, aside, tokens);
  for (int64_t row = 0; row < count; ++row) {
    const size_t index = running[static_cast<size_t>(row)];
    ++active[index].computed;
    will_draw_from_pass(index, row);
  }
  take_keys(rows);
  PassInputs inputs;
  add_pass(inputs, policy, cache, state, ex, aside);
  inputs.add(std::span<const DrawKey>(keys));
  graphs->run(inputs, [&] { draw_from(cohort::run_pass(policy, cache, state, ex, aside, tokens), ex); });
  if (slots.tape != nullptr) slots.tape->move_from_aside(slots.first, count, ex);
  note_slots(slots);
  has_drawn = true;
  stats.decode_seconds += seconds_since(start);
}

}  // namespace cohort
