#include "cli/plan_memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"

namespace cohort {
namespace {

std::string line(const std::string& name, uint64_t bytes) { return fmt::format("  {:<38}{:>10}\n", name, human_bytes(bytes)); }

std::string lines(const std::vector<MemoryPiece>& pieces) {
  std::string text;
  for (const MemoryPiece& piece : pieces) text += line(piece.name, piece.bytes);
  return text;
}

}  // namespace

uint64_t RunMemory::most() const {
  const uint64_t beside = std::max(total_bytes(checkpoint) + total_bytes(evaluation), total_bytes(finish));
  return std::max(total_bytes(warm_start), total_bytes(step) + beside);
}

RunMemory plan_memory(const TrainingPlan& plan, std::optional<int64_t> free_bytes) {
  const MemoryRoom room = memory_room(plan, free_bytes);
  RunMemory memory{.cache = planned_cache(plan, room), .tape = {}, .warm_start = warm_start_memory(plan), .step = {}, .checkpoint = {}, .evaluation = {},
                   .finish = final_memory(plan)};
  memory.tape = planned_tape(plan, room, memory.cache);
  memory.step = training_memory(plan, memory.cache, memory.tape);
  std::optional<int64_t> left = free_bytes;
  if (left) *left = std::max<int64_t>(0, *left - static_cast<int64_t>(total_bytes(memory.step)));
  memory.checkpoint = checkpoint_memory(plan, left);
  if (left) *left -= static_cast<int64_t>(total_bytes(memory.checkpoint));
  memory.evaluation = evaluation_memory(plan, left);
  return memory;
}

std::string memory_table(const RunMemory& memory) {
  const uint64_t step = total_bytes(memory.step);
  std::string text = lines(memory.step) + line("together, in a step", step);
  const uint64_t writing = step + total_bytes(memory.checkpoint);
  if (!memory.checkpoint.empty()) text += lines(memory.checkpoint) + line("together, while a checkpoint is written", writing);
  if (!memory.evaluation.empty())
    text += lines(memory.evaluation) + line("together, while evaluating", writing + total_bytes(memory.evaluation));
  if (!memory.finish.empty()) text += lines(memory.finish) + line("together, at the end", step + total_bytes(memory.finish));
  if (!memory.warm_start.empty()) text += line("warm start, before the rest", total_bytes(memory.warm_start));
  return text + line("at most", memory.most());
}

}  // namespace cohort
