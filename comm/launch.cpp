#include "comm/launch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "comm/comm.h"
#include "core/check.h"

namespace cohort {
namespace {

std::optional<int> number(const Environment& environment, const char* name) {
  const char* text = environment(name);
  if (text == nullptr) return std::nullopt;
  const char* end = text + std::strlen(text);
  int value = 0;
  const auto [stopped, error] = std::from_chars(text, end, value);
  CHECK_USAGE(error == std::errc() && stopped == end && value >= 0,
              "environment variable {}: '{}' is no count; unset it to run as a single process",
              name, text);
  return value;
}

}  // namespace

bool launched_with_others(const Environment& environment) {
  if (const auto size = number(environment, "OMPI_COMM_WORLD_SIZE")) return *size > 1;
  // SLURM_STEP_ID: this is a task of srun, not the batch script. 0: not said.
  const int tasks = environment("SLURM_STEP_ID") != nullptr
                        ? number(environment, "SLURM_STEP_NUM_TASKS").value_or(0)
                        : 0;
  if (environment("PMIX_RANK") != nullptr) return tasks != 1;
  if (environment("PMI_RANK") != nullptr) return number(environment, "PMI_SIZE").value_or(2) > 1;
  CHECK_USAGE(tasks <= 1,
              "srun started {} tasks that cannot find each other; start them by 'srun --mpi=pmix' "
              "or by mpirun",
              tasks);
  return false;
}

bool launched_on_one_host(const Environment& environment) {
  if (const auto size = number(environment, "OMPI_COMM_WORLD_SIZE"))
    return number(environment, "OMPI_COMM_WORLD_LOCAL_SIZE") == size;
  return environment("SLURM_STEP_ID") != nullptr &&
         number(environment, "SLURM_STEP_NUM_NODES") == 1;
}

std::optional<int> launched_size(const Environment& environment) {
  if (const auto size = number(environment, "OMPI_COMM_WORLD_SIZE")) return size;
  if (environment("SLURM_STEP_ID") != nullptr)
    if (const auto size = number(environment, "SLURM_STEP_NUM_TASKS")) return size;
  return number(environment, "PMI_SIZE");
}

std::optional<int> launched_rank(const Environment& environment) {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"})
    if (const auto rank = number(environment, name)) return rank;
  return std::nullopt;
}

std::string launched_name(const Environment& environment) {
  char host[256] = {};
  if (gethostname(host, sizeof host - 1) != 0) std::strcpy(host, "an unknown host");
  const auto rank = launched_rank(environment);
  return fmt::format("rank {} on {}", rank ? std::to_string(*rank) : "?", host);
}

std::unique_ptr<Comm> make_comm(LastSeen* seen) {
  const bool several = launched_with_others([](const char* name) { return std::getenv(name); });
  return several ? make_mpi_comm(int64_t{1} << 30, seen) : make_self_comm();
}

}  // namespace cohort
