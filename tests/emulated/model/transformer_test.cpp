// The transformer on a GPU: the CPU's numbers within roundings, and bits that depend on a row's own prefix alone.
#include "model/transformer.h"

#include "core/rng.h"
#include "tests/emulated/model/gpu_model.h"

namespace cohort {
namespace {

class GpuTransformer : public GpuModel {
 protected:
  static std::vector<int32_t> random_tokens(uint64_t seed, int64_t count) {
    Random random(seed, Stream::kTest);
    std::vector<int32_t> tokens(static_cast<size_t>(count));
    for (int32_t& token : tokens) token = static_cast<int32_t>(random.below(80));
    return tokens;
  }
  // A text, then a prompt with two completions behind it.
  static TokenPack shared_pack() {
    TokenPack pack;
    append_text(pack, random_tokens(1, 5));
    const int64_t begin = static_cast<int64_t>(pack.tokens.size()), prompt = 17;
    append_run(pack, random_tokens(2, prompt));
    for (const int64_t length : {4, 9}) {
      const int64_t at = static_cast<int64_t>(pack.tokens.size());
      const std::vector<int32_t> tokens = random_tokens(static_cast<uint64_t>(length), length);
      pack.runs.push_back({at, length, begin, prompt});
      for (int64_t i = 0; i < length; ++i) {
        pack.tokens.push_back(tokens[static_cast<size_t>(i)]);
        pack.positions.push_back(static_cast<int32_t>(prompt + i));
        pack.rows.push_back(static_cast<int32_t>(i == 0 ? begin + prompt - 1 : at + i - 1));
        pack.targets.push_back(tokens[static_cast<size_t>(i)]);
      }
    }
    return pack;
  }
  struct Loss {
    std::vector<float> logprobs, gradients;
    bool operator==(const Loss&) const = default;
  };
  static Loss loss_of(const Policy& policy, const TokenPack& pack, const Exec& ex, bool checkpointing = false) {
    TrainState state(policy, 64, 64, checkpointing);
    Arena arena("gradients");
    arena.plan("sum", DType::f32, {policy.table.size});
    arena.commit(Arena::Pages::all_now, policy.device);
    Loss loss;
    const auto gradient = [&](int64_t row, float logprob, float) {
      loss.logprobs.push_back(logprob);
      return row % 2 == 0 ? -0.1f : 0.05f;
    };
    pack_loss(policy, state, pack, 0.7f, gradient, arena[0], ex);
    loss.gradients = numbers(arena[0]);
    return loss;
  }
};

TEST_F(GpuTransformer, WeightsComeBackAsTheyWent) {
  ExecOwner cpu(1), gpu(1, {}, gpu_);
  for (const bool tied : {true, false}) {
    const auto a = tiny_policy(DType::bf16, 3, cpu.exec(), tied), b = tiny_policy(DType::bf16, 3, gpu.exec(), tied);
    EXPECT_EQ(weights_fingerprint(*a), weights_fingerprint(*b));
    EXPECT_EQ(b->weights.device, Device::cuda);
  }
}

TEST_F(GpuTransformer, DecodePrefillAndTrainingForwardGiveTheSameBits) {
  ExecOwner owner(1, {}, gpu_);
  const Exec ex = owner.exec();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto policy = tiny_policy(dtype, 1, ex);
    const std::vector<int32_t> tokens = random_tokens(17, 50), other = random_tokens(18, 13);
    TrainState train(*policy, 50, 50);
    TokenPack pack;
    append_text(pack, tokens);
    const std::vector<float> trained = numbers(forward_pack(*policy, train, pack, ex));
    KvCache cache(*policy, 9, 16);
    PageTable pages, other_pages;
    ASSERT_TRUE(cache.grow(pages, 50) && cache.grow(other_pages, 13));
    ForwardState state(*policy, 60);
    const auto expect_rows = [&](const Tensor& h, int64_t first, int64_t count, int64_t at) {
      const std::vector<float> got = numbers(h);
      for (int64_t i = 0; i < count && first + i < 49; ++i)
        for (int64_t c = 0; c < 48; ++c)
          ASSERT_EQ(got[static_cast<size_t>((at + i) * 48 + c)], trained[static_cast<size_t>((first + i) * 48 + c)])
              << dtype_name(dtype) << " row " << first + i;
    };
    int64_t done = 0;
    for (const int64_t chunk : {1, 7, 32, 3}) {
      const ForwardRun runs[] = {{other, 0, &other_pages}, {std::span(tokens).subspan(done, chunk), done, &pages}};
      expect_rows(forward_cached(*policy, cache, state, runs, ex), done, chunk, 13);
      done += chunk;
    }
    for (; done < 50; ++done) {
      const ForwardRun run{std::span(tokens).subspan(done, 1), done, &pages};
      expect_rows(forward_cached(*policy, cache, state, {&run, 1}, ex), done, 1, 0);
    }
  }
}

TEST_F(GpuTransformer, AForkedPageHoldsTheKeys) {
  ExecOwner owner(1, {}, gpu_);
  const Exec ex = owner.exec();
  const auto policy = tiny_policy(DType::bf16, 1, ex);
  KvCache cache(*policy, 6, 16);
  PageTable pages, forked;
  const std::vector<int32_t> tokens = random_tokens(3, 21), next = {5};
  ASSERT_TRUE(cache.grow(pages, 22));
  ForwardState state(*policy, 32);
  const ForwardRun prompt{tokens, 0, &pages};
  forward_cached(*policy, cache, state, {&prompt, 1}, ex);
  ASSERT_TRUE(cache.fork(forked, pages, 21) && cache.grow(forked, 22));
  const ForwardRun own{next, 21, &pages}, of_fork{next, 21, &forked};
  const std::vector<float> a = numbers(forward_cached(*policy, cache, state, {&own, 1}, ex));
  EXPECT_EQ(a, numbers(forward_cached(*policy, cache, state, {&of_fork, 1}, ex)));
}

TEST_F(GpuTransformer, LossAndGradientsAreTheCpus) {
  ExecOwner cpu(1), gpu(1, {}, gpu_);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const bool tied : {true, false}) {
      const auto on_cpu = tiny_policy(dtype, 4, cpu.exec(), tied), on_gpu = tiny_policy(dtype, 4, gpu.exec(), tied);
      const TokenPack pack = shared_pack();
      const Loss wanted = loss_of(*on_cpu, pack, cpu.exec());
      Loss first;
      for (const char* order : kGpuOrders) {
        emulated::set_settings(emulated::parse_settings(order));
        const Loss got = loss_of(*on_gpu, pack, gpu.exec());
        if (first.logprobs.empty()) first = got;
        EXPECT_TRUE(got == first) << "other bits with " << order;
      }
      emulated::set_settings({});
      EXPECT_TRUE(loss_of(*on_gpu, pack, gpu.exec(), /*checkpointing=*/true) == first);
      const float tolerance = dtype == DType::f32 ? 2e-5f : 0.03f;
      expect_near(first.logprobs, wanted.logprobs, tolerance);
      expect_near(first.gradients, wanted.gradients, tolerance);
    }
  }
}

}  // namespace
}  // namespace cohort
