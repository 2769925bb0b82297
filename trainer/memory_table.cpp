// A memory plan as people read it.
#include <fmt/format.h>

#include "core/text.h"
#include "trainer/memory_plan.h"

namespace cohort {

uint64_t total_bytes(const std::vector<MemoryPiece>& pieces) {
  uint64_t sum = 0;
  for (const MemoryPiece& piece : pieces) sum += piece.bytes;
  return sum;
}

std::string memory_table(const std::vector<MemoryPiece>& pieces) {
  std::string text;
  for (const MemoryPiece& piece : pieces) {
    text += fmt::format("  {:<34}{:>10}\n", piece.name, human_bytes(piece.bytes));
  }
  return text + fmt::format("  {:<34}{:>10}\n", "together", human_bytes(total_bytes(pieces)));
}

}  // namespace cohort
