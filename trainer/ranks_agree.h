// Ranks that were not started alike would each compute a part of another run, and nothing would tell: they are compared first.
#pragma once

#include <string>

#include "comm/comm.h"
#include "trainer/config.h"

namespace cohort {

// Called by all ranks, before anything depends on the config. Exit code 2, on every rank and naming the first rank that is not as
// rank 0, what differs and both values: another program file, or a config that differs in any key but run.threads and comm.interface,
// which hosts may have different ones of.
void check_same_start(const Config& config, Comm& comm);

// Called by all ranks with a fingerprint of what each has read. Exit code 3 naming the first rank that has read something else; `what`:
// "the training data", `files`: where from.
void check_same_input(const std::string& fingerprint, const std::string& what, const std::string& files, Comm& comm);

}  // namespace cohort
