#include "cli/arguments.h"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace cohort {
namespace {

// A rank's host and the cores that it may run on.
struct Place {
  char host[256] = {};
  cpu_set_t cores;
};

Place this_place(const Comm* comm) {
  Place place;
  CPU_ZERO(&place.cores);
  if (sched_getaffinity(0, sizeof(place.cores), &place.cores) != 0) CPU_SET(0, &place.cores);
  if (comm != nullptr) comm->host().copy(place.host, sizeof(place.host) - 1);
  return place;
}

}  // namespace

void ConfigArguments::add_options(CLI::App& app) {
  app.add_option("CONFIG", file, "YAML file; README.md explains it")->required();
  app.add_option("section.key=value", overrides, "replaces a key of CONFIG; the value is YAML")
      ->type_name("");
}

void ModelArguments::add_options(CLI::App& app) {
  app.add_option("MODEL", path, "a Hugging Face folder")->required();
  app.add_option("--dtype", dtype, "of weights and activations; auto: the checkpoint's")
      ->check(CLI::IsMember({"auto", "float32", "bfloat16"}))
      ->capture_default_str();
  app.add_option("--threads", threads, "0: all cores that this process may use")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
}

int ModelArguments::thread_count() const {
  if (threads > 0) return threads;
  const Place place = this_place(nullptr);
  return std::max(1, CPU_COUNT(&place.cores));
}

int choose_threads(int64_t wanted, Comm& comm) {
  const Place mine = this_place(&comm);
  const auto places = comm.all_gather(std::as_bytes(std::span(&mine, 1)), "hosts and cores");
  if (wanted > 0) return static_cast<int>(wanted);
  int sharing = 0;
  for (const std::vector<std::byte>& bytes : places) {
    Place other;
    std::memcpy(&other, bytes.data(), std::min(bytes.size(), sizeof(other)));
    cpu_set_t common;
    CPU_AND(&common, &mine.cores, &other.cores);
    if (std::strcmp(other.host, mine.host) == 0 && CPU_COUNT(&common) > 0) ++sharing;
  }
  return std::max(1, CPU_COUNT(&mine.cores) / std::max(1, sharing));
}

}  // namespace cohort
