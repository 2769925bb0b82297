// What the tests of attention on the GPU share: passes over packs and over a paged cache of the device.
#pragma once

#include "model/cuda/attention.h"
#include "tests/emulated/gpu_test.h"
#include "tests/ops/attention_twin.h"

namespace cohort {

class GpuAttention : public GpuOps {
 protected:
  Forward forward_on_device(const Shape& s, const Inputs& in, const std::vector<PackRun>& runs) {
    const int64_t rows = in.q.rows;
    const cuda::AttentionPlan plan = cuda::pack_plan(runs, rows, s.heads);
    const DeviceMatrix q(in.q), k(in.k), v(in.v), device_plan(plan.numbers), out(s.dtype, rows, s.width()),
        lse(DType::f32, rows, s.heads.num_heads);
    cuda::attention_pack(out.t(), lse.t(), q.t(), k.t(), v.t(), plan, device_plan.t(), s.heads, stream_);
    synchronize();
    return {out.host(), lse.host()};
  }
  Gradients backward_on_device(const Shape& s, const Inputs& in, const Forward& f, const std::vector<PackRun>& runs) {
    const int64_t rows = in.q.rows;
    const cuda::AttentionPlan plan = cuda::pack_plan(runs, rows, s.heads);
    const DeviceMatrix q(in.q), k(in.k), v(in.v), dout(in.dout), out(f.out), lse(f.lse), device_plan(plan.numbers),
        dq(DType::f32, rows, s.width()), dk(DType::f32, rows, s.kv_width()), dv(DType::f32, rows, s.kv_width()),
        delta(DType::f32, rows, s.heads.num_heads);
    cuda::attention_pack_backward(dq.t(), dk.t(), dv.t(), dout.t(), out.t(), lse.t(), q.t(), k.t(), v.t(), plan,
                                  device_plan.t(), s.heads, delta.t(), stream_);
    synchronize();
    return {dq.host(), dk.host(), dv.host()};
  }
  void expect_twin(const Shape& s, const Inputs& in, const std::vector<PackRun>& runs, const Forward& f, const Gradients& g) {
    Twin twin(s, in, runs);
    twin.run_forward();
    const double rounding = s.dtype == DType::bf16 ? kEps16 : 0;
    expect_near(f.out, twin.out, 64 * kEps32 + rounding, "out", s.dtype == DType::bf16 ? rms(twin.v) : 0);
    expect_near(f.lse, twin.lse, 32 * kEps32, "lse");
    twin.run_backward(doubles(in.dout));
    const double tolerance = 128 * kEps32 + (s.dtype == DType::bf16 ? 8 * kEps16 : 0);
    expect_near(g.dq, twin.dq, tolerance, "dq", twin.dq_size);
    expect_near(g.dk, twin.dk, tolerance, "dk", twin.dk_size);
    // Tensor cores take the weights that make dv rounded to bf16.
    expect_near(g.dv, twin.dv, 128 * kEps32 + rounding, "dv", s.dtype == DType::bf16 ? twin.dv_size : 0);
  }
};

// Keys and values of sequences in pages of the device, in a random order; what is not theirs is NaN.
class DevicePages {
 public:
  // Sequence i begins with `shared[i].second` keys of sequence `shared[i].first` < i: whole pages of them are the same.
  DevicePages(const Shape& s, const std::vector<const Inputs*>& sequences, int64_t page_tokens, cudaStream_t stream,
              const std::vector<std::pair<size_t, int64_t>>& shared = {})
      : page_tokens_(page_tokens),
        page_numbers_(s.heads.num_kv_heads * page_tokens * cached_head_size(s.heads.head_size)),
        keys_(s.dtype, page_count(sequences, page_tokens), page_numbers_),
        values_(s.dtype, page_count(sequences, page_tokens), page_numbers_) {
    std::vector<int32_t> free;
    for (int32_t i = 0; i < keys_.t().rows(); ++i) free.push_back(i);
    Random random(static_cast<uint64_t>(page_tokens), Stream::kTest);
    for (size_t i = free.size(); i > 1; --i) std::swap(free[i - 1], free[random.below(static_cast<uint32_t>(i))]);
    for (size_t i = 0; i < sequences.size(); ++i) {
      const int64_t count = sequences[i]->k.rows;
      std::vector<int32_t>& pages = of.emplace_back();
      if (i < shared.size()) {
        const std::vector<int32_t>& other = of[shared[i].first];
        pages.assign(other.begin(), other.begin() + shared[i].second / page_tokens);
      }
      const int64_t first = static_cast<int64_t>(pages.size()) * page_tokens;
      while (static_cast<int64_t>(pages.size()) * page_tokens < count) pages.push_back(free.back()), free.pop_back();
      if (first >= count) continue;
      const CachedRun rest{first, count - first, first, pages};
      const cuda::AttentionPlan plan = cuda::cached_plan({&rest, 1}, count, page_tokens, s.heads);
      const DeviceMatrix k(sequences[i]->k), v(sequences[i]->v), device_plan(plan.numbers);
      cuda::store_cached(view(), k.t(), v.t(), plan, device_plan.t(), s.heads, stream);
      cuda::check_status(cudaStreamSynchronize(stream), "wait for the stream");
    }
  }
  KeyPages view() const { return {keys_.t().data, values_.t().data, page_tokens_, page_numbers_}; }
  std::vector<std::vector<int32_t>> of;  // of each sequence

 private:
  static int64_t page_count(const std::vector<const Inputs*>& sequences, int64_t page_tokens) {
    int64_t count = 0;
    for (const Inputs* in : sequences) count += (in->k.rows + page_tokens - 1) / page_tokens;
    return count;
  }
  int64_t page_tokens_, page_numbers_;
  DeviceMatrix keys_, values_;
};

// The runs of a pack as sequences of their own, which share their prompts' pages.
struct Sequences {
  Sequences(const Shape& s, const Inputs& in, const std::vector<PackRun>& runs) {
    alone.reserve(runs.size());
    for (size_t r = 0; r < runs.size(); ++r) {
      std::vector<int64_t> rows;
      for (int64_t i = 0; i < runs[r].prefix_count; ++i) rows.push_back(runs[r].prefix_begin + i);
      for (int64_t i = 0; i < runs[r].count; ++i) rows.push_back(runs[r].begin + i);
      Inputs& own = alone.emplace_back(s, 1, 0);
      own.q = in.q.take(rows), own.k = in.k.take(rows), own.v = in.v.take(rows);
      size_t prompt = r;
      while (runs[prompt].prefix_count > 0) --prompt;
      shared.emplace_back(prompt, runs[r].prefix_count);
      last_rows.push_back(rows.back());
      pointers.push_back(&own);
    }
  }
  // A decode step: of each sequence its last row, in the order of the sequences.
  std::vector<CachedRun> step(const DevicePages& pages) const {
    std::vector<CachedRun> last;
    for (size_t r = 0; r < alone.size(); ++r)
      last.push_back({static_cast<int64_t>(r), 1, alone[r].k.rows - 1, pages.of[r]});
    return last;
  }

  std::vector<Inputs> alone;
  std::vector<const Inputs*> pointers;
  std::vector<std::pair<size_t, int64_t>> shared;
  std::vector<int64_t> last_rows;  // of the pack
};

class GpuCachedAttention : public GpuAttention {
 protected:
  struct Attended {
    Matrix out, lse;
    cuda::AttentionPlan plan;
  };
  Attended attend(const Shape& s, const Matrix& q, const DevicePages& pages, const std::vector<CachedRun>& runs) {
    const cuda::AttentionPlan plan = cuda::cached_plan(runs, q.rows, pages.view().page_tokens, s.heads);
    const DeviceMatrix device_q(q), device_plan(plan.numbers), out(s.dtype, q.rows, s.width()),
        lse(DType::f32, q.rows, s.heads.num_heads),
        scratch(DType::f32, 1, std::max<int64_t>(1, cuda::attention_cached_scratch(plan, s.heads)));
    cuda::attention_cached(out.t(), device_q.t(), pages.view(), plan, device_plan.t(), s.heads, scratch.t(), stream_, lse.t());
    synchronize();
    return {out.host(), lse.host(), plan};
  }
};

}  // namespace cohort
