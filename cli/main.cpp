// Entry point; everything is in cli/command_line.cpp.
#include "cli/command.h"
#include "core/memory_reserve.h"

namespace {

// Before the static objects of all other files are made, which take memory too.
[[gnu::constructor(101)]] void begin() { cohort::reserve_memory(); }

}  // namespace

int main(int argc, char** argv) { return cohort::run_command_line(argc, argv); }
