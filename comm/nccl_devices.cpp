// Which GPU a rank runs on, and what there is of GPUs (nccl.h).
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <nccl.h>

#include <algorithm>
#include <cstring>

#include "comm/nccl.h"
#include "core/check.h"
#include "core/text.h"
#include "model/cuda/platform/status.h"

namespace cohort {
namespace {

using cuda::check_status;

int count_gpus() {
  int count = 0;
  check_status(cudaGetDeviceCount(&count), "find a GPU");
  return count;
}

// One GPU may be all that a launcher shows each of several ranks (srun --gpus-per-task=1): whether it is the same one for
// two of them is seen when all have said what they took.
int gpu_of(int local_rank) {
  const int count = count_gpus();
  if (count == 1) return 0;
  CHECK_USAGE(local_rank < count,
              "this is rank {} of those on its host, counted from 0, and the host shows {} GPUs: start at most {} ranks a host "
              "(mpirun --map-by ppr:{}:node, srun --ntasks-per-node={}), or look at CUDA_VISIBLE_DEVICES",
              local_rank, count, count, count, count);
  return local_rank;
}

std::string bus_id(int device) {
  char text[32] = {};
  check_status(cudaDeviceGetPCIBusId(text, sizeof text, device), "read the GPU's place on the bus");
  return text;
}

// What a rank tells the others: text is why it has no GPU (code not kOk), or where its GPU is.
struct Taken {
  ExitCode code = ExitCode::kOk;
  std::string uuid, host, text;  // the uuid tells the slices of one GPU apart, which its place does not

  std::string pack() const { return fmt::format("{}\n{}\n{}\n{}", static_cast<int>(code), uuid, host, text); }
  static Taken unpack(std::string_view packed) {
    const auto line = [&] {
      const size_t end = packed.find('\n');
      const std::string found(packed.substr(0, end));
      packed.remove_prefix(end + 1);
      return found;
    };
    Taken taken;
    taken.code = static_cast<ExitCode>(std::stoi(line()));
    taken.uuid = line();
    taken.host = line();
    taken.text = packed;
    return taken;
  }
};

std::string uuid_of(int device) {
  cudaDeviceProp properties;
  check_status(cudaGetDeviceProperties(&properties, device), "read the GPU's properties");
  std::string digits;
  for (const char byte : properties.uuid.bytes) digits += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return digits;
}

std::string cuda_versions() {
  int driver = 0, runtime = 0;
  check_status(cudaRuntimeGetVersion(&runtime), "read the CUDA runtime's version");
  check_status(cudaDriverGetVersion(&driver), "read the driver's version");
  const auto text = [](int code) { return fmt::format("{}.{}", code / 1000, code % 1000 / 10); };
  return fmt::format("runtime {}, {}", text(runtime), driver == 0 ? "no NVIDIA driver" : "driver for up to " + text(driver));
}

std::string nccl_version() {
  int here = 0;
  const auto text = [](int code) { return fmt::format("{}.{}.{}", code / 10000, code % 10000 / 100, code % 100); };
  if (const ncclResult_t answer = ncclGetVersion(&here); answer != ncclSuccess) return ncclGetErrorString(answer);
  if (here == NCCL_VERSION_CODE) return text(here);
  return fmt::format("{}; this program was built with {}", text(here), text(NCCL_VERSION_CODE));
}

std::string describe_gpu(int device) {
  cudaDeviceProp p;
  check_status(cudaGetDeviceProperties(&p, device), "read the GPU's properties");
  size_t free = 0, total = 0;
  check_status(cudaSetDevice(device), "use the GPU");
  check_status(cudaMemGetInfo(&free, &total), "read the GPU's memory");
  return fmt::format("{}, sm_{}{}, {} multiprocessors, {} ({} free), at {}", p.name, p.major, p.minor, p.multiProcessorCount,
                     human_bytes(total), human_bytes(free), bus_id(device));
}

}  // namespace

int choose_gpu(Comm& host) {
  Taken mine{.host = host.host()};
  int device = 0;
  try {
    device = gpu_of(host.local_rank());
    mine.text = bus_id(device);
    mine.uuid = uuid_of(device);
    check_status(cudaSetDevice(device), "use the GPU");
  } catch (const Error& error) {
    mine.code = error.code();
    mine.text = error.what();
  }
  // All ranks come to the same end: a host without a driver is named by whoever prints, not by what the others wait for.
  const std::string packed = mine.pack();
  std::vector<Taken> all;
  for (const auto& bytes : host.all_gather(std::as_bytes(std::span(packed)), "GPUs"))
    all.push_back(Taken::unpack({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  for (size_t r = 0; r < all.size(); ++r) {
    if (all[r].code == ExitCode::kOk) continue;
    if (static_cast<int>(r) == host.rank()) throw Error(all[r].code, all[r].text);
    fail(all[r].code, "rank {} on {}: {}", r, all[r].host, all[r].text);
  }
  for (size_t r = 0; r < all.size(); ++r) {
    for (size_t other = 0; other < r; ++other) {
      CHECK_USAGE(all[r].uuid != all[other].uuid || all[r].host != all[other].host,
                  "ranks {} and {} on {} would share the GPU at {}: start at most as many ranks a host as it has GPUs (mpirun "
                  "--map-by ppr:N:node, srun --ntasks-per-node=N), or look at CUDA_VISIBLE_DEVICES",
                  other, r, all[r].host, all[r].text);
    }
  }
  return device;
}

GpuReport examine_gpus() {
  GpuReport report;
  // What cannot be found out is told in its place.
  const auto add = [&](const std::string& name, const auto& look) {
    try {
      report.lines.push_back({name, look()});
    } catch (const Error& error) {
      report.lines.push_back({name, error.what()});
      return false;
    }
    return true;
  };
  add("cuda", cuda_versions);
  add("nccl", nccl_version);
  int count = 0;
  try {
    count = count_gpus();
  } catch (const Error& error) {
    report.lines.push_back({"gpu", error.what()});
  }
  for (int device = 0; device < count; ++device)
    report.usable |= add(fmt::format("gpu {}", device), [&] { return describe_gpu(device); });
  return report;
}

}  // namespace cohort
