// Entry point; everything is in cli/command_line.cpp.
#include "cli/command.h"

int main(int argc, char** argv) { return cohort::run_command_line(argc, argv); }
