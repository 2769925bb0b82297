#include "model/pass_graphs.h"

#include <cuda_runtime_api.h>

#include <cstring>

#include "core/check.h"
#include "model/cuda/gpu.h"
#include "model/cuda/platform/status.h"
#include "model/gpu_stream.h"

namespace cohort {
namespace {

using cuda::check_status;

Gpu& opened() {
  CHECK(Gpu::current() != nullptr, "graphs without a GPU that is open");
  return *Gpu::current();
}

}  // namespace

// No graph outlives an address that it holds: lists are here, scratch memory says when it has moved, and what else a pass reads
// lives as long as its owner, who owns the graphs too.
struct PassGraphs::Impl {
  explicit Impl(size_t most) : most(most) {}
  ~Impl() {
    if (Gpu::current() != nullptr) (void)cudaStreamSynchronize(Gpu::current()->stream());  // which may run one still
    for (Pass& pass : passes) destroy(pass);
  }

  struct Place {
    cuda::DeviceBuffer device;
    std::vector<std::byte> there;  // what it holds
  };
  struct Pass {
    std::vector<int64_t> key;
    cudaGraphExec_t graph = nullptr;
    uint64_t used = 0;
  };

  static void destroy(Pass& pass) {
    if (pass.graph != nullptr) (void)cudaGraphExecDestroy(pass.graph);
    pass.graph = nullptr;
  }
  void forget_graphs() {
    if (counts.kept == 0) return;
    gpu::synchronize(opened());  // one may be running
    for (Pass& pass : passes) destroy(pass);
    counts.kept = 0;
  }

  // Where the lists lie on the device, with their numbers on the way there.
  std::vector<Gpu::PlacedList> bring(std::span<const HostList> lists) {
    Gpu& gpu = opened();
    while (places.size() < lists.size()) places.push_back(std::make_unique<Place>());
    std::vector<Gpu::PlacedList> placed;
    for (size_t i = 0; i < lists.size(); ++i) {
      const HostList& list = lists[i];
      for (size_t other = 0; other < i; ++other)
        CHECK(lists[other].data() != list.data(), "two lists of a pass lie at one place");
      Place& place = *places[i];
      if (list.size() > place.device.size()) {
        forget_graphs();
        place.there.clear();
        place.device.require(2 * list.size(), gpu.stream());
      }
      if (place.there.size() < list.size() || std::memcmp(place.there.data(), list.data(), list.size()) != 0) {
        place.there.assign(list.begin(), list.end());
        gpu.upload(place.device.data(), list.data(), list.size());
      }
      placed.push_back({list.data(), list.size(), place.device.data()});
    }
    return placed;
  }

  // Of a pass with this key, the one used longest ago making room for it.
  Pass& pass_of(const std::vector<int64_t>& key) {
    const auto known = std::ranges::find(passes, key, &Pass::key);
    if (known != passes.end()) return *known;
    if (passes.size() < most) return passes.emplace_back(Pass{.key = key});
    Pass& oldest = *std::ranges::min_element(passes, {}, &Pass::used);
    if (oldest.graph != nullptr) {
      gpu::synchronize(opened());  // it may be running
      destroy(oldest);
      --counts.kept;
    }
    return oldest = {.key = key};
  }

  // Leaves pass.graph null where the device does not record, or has no memory for it: not again then.
  void record(Pass& pass, std::span<const Gpu::PlacedList> lists, const std::function<void()>& launches) {
    Gpu& gpu = opened();
    const cudaError_t begun = cudaStreamBeginCapture(gpu.stream(), cudaStreamCaptureModeThreadLocal);
    if (begun == cudaErrorNotSupported) {
      (void)cudaGetLastError();
      records = false;
      return;
    }
    check_status(begun, "record a pass");
    cudaGraph_t graph = nullptr;
    try {
      const Gpu::Pass recorded(gpu, lists, true);
      launches();
    } catch (...) {
      if (cudaStreamEndCapture(gpu.stream(), &graph) == cudaSuccess) (void)cudaGraphDestroy(graph);
      (void)cudaGetLastError();
      throw;
    }
    check_status(cudaStreamEndCapture(gpu.stream(), &graph), "record a pass");
    const cudaError_t made = cudaGraphInstantiate(&pass.graph, graph, 0);
    (void)cudaGraphDestroy(graph);
    if (made != cudaSuccess) pass.graph = nullptr;
    if (made == cudaErrorMemoryAllocation) {
      (void)cudaGetLastError();
      records = false;
      return forget_graphs();
    }
    check_status(made, "make a graph of a pass");
    ++counts.recorded, ++counts.kept;
  }

  size_t most;
  std::vector<std::unique_ptr<Place>> places;  // of the lists, in their order
  std::vector<Pass> passes;
  uint64_t clock = 0, scratch_moves = 0;  // scratch_moves: when the graphs were recorded
  bool records = true;
  Counts counts;
};

PassGraphs::PassGraphs(size_t most) : impl_(std::make_unique<Impl>(most)) {}
PassGraphs::~PassGraphs() = default;

void PassGraphs::run(const PassInputs& inputs, const std::function<void()>& launches) {
  Gpu& gpu = opened();
  gpu.begin_op();  // memory that ops took in pieces becomes one, where it stays
  if (gpu.scratch_moves() != impl_->scratch_moves) impl_->forget_graphs();
  impl_->scratch_moves = gpu.scratch_moves();
  const std::vector<Gpu::PlacedList> lists = impl_->bring(inputs.lists);
  Impl::Pass& pass = impl_->pass_of(inputs.key);
  const bool seen = pass.used > 0;
  pass.used = ++impl_->clock;
  if (pass.graph == nullptr && seen && impl_->records) impl_->record(pass, lists, launches);
  if (pass.graph != nullptr) {
    check_status(cudaGraphLaunch(pass.graph, gpu.stream()), "launch the graph of a pass");
    ++impl_->counts.replayed;
    return;
  }
  const Gpu::Pass launched(gpu, lists, false);
  launches();
  ++impl_->counts.launched;
}

const PassGraphs::Counts& PassGraphs::counts() const { return impl_->counts; }

void gpu::add_attention(PassInputs& inputs, std::span<const CachedRun> runs, int64_t rows, int64_t page_tokens, const HeadLayout& heads, Gpu& gpu) {
  const cuda::AttentionPlan& plan = gpu.plan(runs, rows, page_tokens, heads);
  inputs.add(std::span(plan.numbers));
  const auto& at = plan.at;
  inputs.key.insert(inputs.key.end(), {rows, plan.room.whole_tiles, plan.room.split_tiles, plan.room.partials, at.rows, at.positions,
                                       at.first_pages, at.first_partials, at.sets, at.whole_tiles, at.split_tiles, at.pages});
}

}  // namespace cohort
