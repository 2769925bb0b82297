// Who started this process: mpirun, srun, or a shell. Read from the environment, because asking MPI
// takes longer than many commands run.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace cohort {

// std::getenv, or a test's table; null for a variable that is not set.
using Environment = std::function<const char*(const char*)>;

// Whether a launcher started this process as one of several:
//   mpirun (Open MPI)                  OMPI_COMM_WORLD_SIZE
//   srun --mpi=pmix                    PMIX_RANK, SLURM_STEP_NUM_TASKS
//   other MPIs' mpirun, --mpi=pmi2     PMI_RANK, PMI_SIZE
// One that does not tell how many it started is taken to have started several. What sbatch sets
// (SLURM_PROCID, SLURM_NTASKS) says nothing: the batch script itself is one process. Throws (exit
// code 2) where srun started several without PMIx: each would believe itself to be alone.
bool launched_with_others(const Environment& environment);

// How many it started, where it says so.
std::optional<int> launched_size(const Environment& environment);

// This process's number among them, where the launcher says it.
std::optional<int> launched_rank(const Environment& environment);

// "rank 3 on node07", before there is a Comm to ask.
std::string launched_name(const Environment& environment);

// Whether the launcher says that all ranks are on this host.
bool launched_on_one_host(const Environment& environment);

}  // namespace cohort
