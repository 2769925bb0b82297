// Which rows of a call its tape keeps, and where.
#include "rollout/taped_rows.h"

#include <algorithm>
#include <numeric>

#include "rollout/generator_impl.h"

namespace cohort {

std::vector<bool> taped_requests(std::span<const GenerateRequest> requests, int64_t slots, int64_t max_completion_length) {
  // How many of the first requests fit, if a completion has so many rows.
  const auto fitting = [&](const auto& rows_of) {
    int64_t rows = 0, group = -1;
    size_t count = 0;
    for (const GenerateRequest& request : requests) {
      if (request.group != group) rows += static_cast<int64_t>(request.prompt.size());
      group = request.group;
      rows += rows_of(request);
      if (rows > slots) break;
      ++count;
    }
    return count;
  };
  size_t count = fitting([&](const GenerateRequest&) { return max_completion_length; });
  if (count < requests.size()) {
    count = fitting([&](const GenerateRequest& request) {
      const int64_t expected = request.expected_length;
      return expected > 0 ? std::min(max_completion_length, expected + expected / 4) : max_completion_length;
    });
  }
  std::vector<bool> taped(requests.size());
  std::fill_n(taped.begin(), count, true);
  return taped;
}

// Slots for the pass. Runs whose rows are kept go first, and the slots of the others are free again at once.
TapeSlots Generator::Impl::take_slots() {
  if (tape == nullptr) return {};
  std::vector<size_t> order(runs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto keeps = [&](size_t run) { return taped[active[running[run]].request]; };
  std::ranges::stable_partition(order, keeps);
  std::vector<ForwardRun> sorted;
  std::vector<size_t> sorted_running;
  int64_t rows = 0, kept = 0;
  for (const size_t run : order) {
    const auto count = static_cast<int64_t>(runs[run].tokens.size());
    rows += count;
    if (keeps(run)) kept += count;
    sorted.push_back(runs[run]);
    sorted_running.push_back(running[run]);
  }
  const std::optional<int64_t> first = kept > 0 ? tape->take(rows) : std::nullopt;
  if (!first) return {};
  runs = std::move(sorted), running = std::move(sorted_running);
  tape->give_back(rows - kept);
  return {tape, *first};
}

// Where the rows of the pass are.
void Generator::Impl::note_slots(const TapeSlots& to) {
  if (to.tape == nullptr) return;
  auto slot = static_cast<int32_t>(to.first);
  for (size_t r = 0; r < runs.size(); ++r) {
    const size_t request = active[running[r]].request;
    if (!taped[request]) return;
    const auto prompt_rows = static_cast<int64_t>(requests[request].prompt.size());
    std::vector<int32_t>& of_prompt = prompt_slots.try_emplace(requests[request].group, prompt_rows, -1).first->second;
    std::vector<int32_t>& of_tokens = rollouts[request].slots;
    of_tokens.resize(rollouts[request].tokens.size(), -1);
    for (size_t i = 0; i < runs[r].tokens.size(); ++i) {
      const int64_t position = runs[r].first_position + static_cast<int64_t>(i);
      (position < prompt_rows ? of_prompt[static_cast<size_t>(position)] : of_tokens[static_cast<size_t>(position - prompt_rows)]) = slot++;
    }
  }
}

// All of a finished completion's slots, its prompt's first, or none.
void Generator::Impl::complete_slots(size_t request) {
  Rollout& rollout = rollouts[request];
  const std::vector<int32_t> of_tokens = std::move(rollout.slots);
  rollout.slots.clear();
  const auto of_prompt = prompt_slots.find(requests[request].group);
  if (!taped[request] || rollout.tokens.empty() || of_prompt == prompt_slots.end()) return;
  rollout.slots = of_prompt->second;
  rollout.slots.insert(rollout.slots.end(), of_tokens.begin(), of_tokens.end());
  rollout.slots.resize(requests[request].prompt.size() + rollout.tokens.size() - 1, -1);
  if (std::ranges::find(rollout.slots, -1) != rollout.slots.end()) rollout.slots.clear();
}

}  // namespace cohort
