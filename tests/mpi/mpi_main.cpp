// Runs the tests on every rank of mpirun; each rank's exit code counts. --max-message=N: bytes of
// one MPI message.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "tests/mpi/world.h"

namespace cohort {
namespace {
Comm* shared = nullptr;
int64_t most = int64_t{1} << 30;
}  // namespace

Comm& world() { return *shared; }
int64_t max_message() { return most; }

}  // namespace cohort

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const std::string option = "--max-message=";
  for (int i = 1; i < argc; ++i)
    if (std::string(argv[i]).starts_with(option))
      cohort::most = std::stoll(argv[i] + option.size());
  const auto comm = cohort::make_mpi_comm(cohort::most);
  // Ranks that part ways after a failed assertion meet it again here, soon.
  comm->set_deadline(std::chrono::seconds(30));
  cohort::shared = comm.get();
  const int result = RUN_ALL_TESTS();
  if (result != 0) {
    std::fprintf(stderr, "rank %d failed\n", comm->rank());
    std::fflush(stdout);
    comm->abort(result);
  }
  return result;
}
