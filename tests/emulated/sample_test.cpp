// Sampling on the GPU: the CPU's tokens.
#include "model/cuda/sample.h"

#include "model/cuda/head.h"
#include "model/ops/head.h"
#include "tests/emulated/gpu_test.h"
#include "tests/ops/head_problem.h"

namespace cohort {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr int64_t kVocab = 4096 + 301;

std::vector<DrawKey> keys_of(int64_t n, uint64_t seed) {
  std::vector<DrawKey> keys;
  for (int64_t i = 0; i < n; ++i)
    keys.push_back({seed << 32 | 77, static_cast<uint32_t>(i % 3), static_cast<uint32_t>(i), static_cast<uint32_t>(7 * i)});
  return keys;
}

// Tokens, log-probs, kept masses and problems, a row each.
struct Drawn {
  Matrix token, logprob, kept_mass, problem;
  int32_t token_of(int64_t r) const { return token.t().i32()[r]; }
  int32_t problem_of(int64_t r) const { return problem.t().i32()[r]; }
};

class GpuSample : public GpuOps {
 protected:
  template <typename Draw>
  Drawn collect(int64_t rows, const std::vector<DrawKey>& keys, int64_t scratch, const Draw& draw) {
    const DeviceBytes device_keys(keys.size() * sizeof(DrawKey));
    cuda::check_status(cudaMemcpy(device_keys.get(), keys.data(), keys.size() * sizeof(DrawKey), cudaMemcpyHostToDevice),
                       "copy keys");
    const DeviceMatrix token(DType::i32, 1, rows), logprob(DType::f32, 1, rows), mass(DType::f32, 1, rows),
        problem(DType::i32, 1, rows), room(DType::f32, 1, scratch);
    draw(cuda::DrawnTokens{token.t(), logprob.t(), mass.t(), problem.t()}, static_cast<const DrawKey*>(device_keys.get()),
         room.t());
    synchronize();
    return {token.host(), logprob.host(), mass.host(), problem.host()};
  }
  Drawn sample(const Matrix& logits, const SamplingParams& params, const std::vector<DrawKey>& keys, const Ban& ban = {}) {
    const DeviceMatrix device(logits);
    return collect(logits.rows, keys, cuda::sample_scratch(logits.rows, logits.cols),
                   [&](const cuda::DrawnTokens& out, const DrawKey* at, Tensor room) {
                     cuda::sample_tokens(out, device.t(), params, at, ban, room, stream_);
                   });
  }
  Drawn sample_head(const Problem& p, const SamplingParams& params, const std::vector<DrawKey>& keys, const Ban& ban = {}) {
    const DeviceMatrix h(p.h), w(p.w);
    return collect(p.n(), keys, cuda::sample_head_scratch(p.n(), p.vocab()),
                   [&](const cuda::DrawnTokens& out, const DrawKey* at, Tensor room) {
                     cuda::sample_head(out, h.t(), w.t(), p.softcap, params, at, ban, products_, room, stream_);
                   });
  }
  // The same in every order.
  Drawn sample_in_orders(const Matrix& logits, const SamplingParams& params, const std::vector<DrawKey>& keys,
                         const Ban& ban = {}) {
    const std::vector<Matrix> m = in_every_order([&] {
      const Drawn d = sample(logits, params, keys, ban);
      return std::vector<Matrix>{d.token, d.logprob, d.kept_mass, d.problem};
    });
    return {m[0], m[1], m[2], m[3]};
  }
  void expect_cpus(const Matrix& logits, const SamplingParams& params, const std::vector<DrawKey>& keys, const Ban& ban,
                   const Drawn& got) {
    std::vector<SampledToken> wanted(keys.size());
    sample_tokens(wanted, logits.t(), params, keys, ban, ex_);
    for (int64_t r = 0; r < logits.rows; ++r) {
      const SampledToken& w = wanted[static_cast<size_t>(r)];
      EXPECT_EQ(got.problem_of(r), cuda::kDrawn);
      EXPECT_EQ(got.token_of(r), w.token) << "row " << r;
      EXPECT_NEAR(got.logprob.get(r), w.logprob, 64 * kEps32 * 10);
      EXPECT_NEAR(got.kept_mass.get(r), w.kept_mass, 64 * kEps32);
    }
  }
  cuda::Products products_;
};

TEST_F(GpuSample, DrawsTheCpusTokens) {
  for (int64_t vocab : {1, 63, 700, static_cast<int>(kVocab)}) {
    const int64_t rows = vocab > 1000 ? 3 : 12;
    const Matrix logits = Matrix::random(DType::f32, rows, vocab, 5, 2);
    const std::vector<DrawKey> keys = keys_of(rows, 9);
    for (float temperature : {1.0f, 0.6f, 0.0f}) {
      const SamplingParams params{.temperature = temperature};
      expect_cpus(logits, params, keys, {}, sample_in_orders(logits, params, keys));
    }
  }
}

TEST_F(GpuSample, ManyDrawsAreTheCpus) {
  const Matrix logits = Matrix::random(DType::f32, 300, 130, 6, 1);
  const std::vector<DrawKey> keys = keys_of(300, 10);
  expect_cpus(logits, {}, keys, {}, sample(logits, {}, keys));
}

TEST_F(GpuSample, FiltersAreTheCpus) {
  const Matrix logits = Matrix::random(DType::f32, 6, 500, 7, 2);
  const std::vector<DrawKey> keys = keys_of(6, 11);
  const std::vector<int32_t> banned = {3, 17, 400};
  for (const SamplingParams& params :
       {SamplingParams{.top_k = 1}, SamplingParams{.top_k = 40}, SamplingParams{.top_p = 0.5f}, SamplingParams{.top_p = 0.01f},
        SamplingParams{.min_p = 0.1f}, SamplingParams{.temperature = 0.7f, .top_k = 50, .top_p = 0.8f, .min_p = 0.02f},
        SamplingParams{.top_k = 499, .top_p = 0.999f}, SamplingParams{.top_k = 5000, .min_p = 1.0f}}) {
    expect_cpus(logits, params, keys, {}, sample_in_orders(logits, params, keys));
    expect_cpus(logits, params, keys, {banned}, sample(logits, params, keys, {banned}));
  }
}

TEST_F(GpuSample, FiltersOverTwoChunksAreTheCpus) {
  const Matrix logits = Matrix::random(DType::f32, 2, kVocab, 7, 3);
  const std::vector<DrawKey> keys = keys_of(2, 12);
  const SamplingParams params{.top_k = 300, .top_p = 0.9f};
  expect_cpus(logits, params, keys, {}, sample(logits, params, keys));
}

TEST_F(GpuSample, OfEqualLogitsTheLowerIdsStay) {
  Matrix logits(DType::f32, 40, 100);
  for (int64_t r = 0; r < 40; ++r)
    for (int64_t v = 0; v < 100; ++v) logits.set(r * 100 + v, v % 2 == 0 ? 0.0f : -0.0f);
  logits.set(7, 1.0f);
  const std::vector<DrawKey> keys = keys_of(40, 13);
  for (const SamplingParams& params : {SamplingParams{.top_k = 3}, SamplingParams{.top_k = 33}}) {
    const Drawn got = sample(logits, params, keys);
    expect_cpus(logits, params, keys, {}, got);
    for (int64_t r = 1; r < 40; ++r) EXPECT_LT(got.token_of(r), params.top_k);
  }
  // A sum of equal masses may fall on either side of a limit; between two tokens it cannot.
  const SamplingParams half{.top_p = 0.105f};
  const Drawn got = sample(logits, half, keys);
  for (int64_t r = 1; r < 40; ++r) EXPECT_LT(got.token_of(r), 11);
  expect_cpus(logits, half, keys, {}, got);
}

TEST_F(GpuSample, BansEndAtTheirPosition) {
  const Matrix logits = Matrix::random(DType::f32, 30, 8, 14, 1);
  const std::vector<DrawKey> keys = keys_of(30, 15);
  const std::vector<int32_t> banned = {0, 2, 3, 5, 7};
  const Ban ban{banned, 100};
  const Drawn got = sample_in_orders(logits, {}, keys, ban);
  expect_cpus(logits, {}, keys, ban, got);
  expect_cpus(logits, {.temperature = 0}, keys, ban, sample(logits, {.temperature = 0}, keys, ban));
}

TEST_F(GpuSample, TheHeadDrawsWhatItsLogitsDrawBitForBit) {
  for (DType act : kActs) {
    for (float softcap : {0.0f, 5.0f}) {
      const Problem p(act, 5, kVocab, 24, 3, softcap);
      const std::vector<DrawKey> keys = keys_of(5, 16);
      const std::vector<int32_t> banned = {1, 4100};
      for (float temperature : {0.8f, 0.0f}) {
        const SamplingParams params{.temperature = temperature};
        const DeviceMatrix h(p.h), w(p.w), logits(DType::f32, 5, kVocab),
            room(DType::f32, 1, cuda::head_scratch(5, kVocab));
        cuda::head_logits(logits.t(), h.t(), w.t(), softcap, products_, room.t(), stream_);
        synchronize();
        const Drawn from_logits = sample(logits.host(), params, keys, {banned});
        const std::vector<Matrix> got = in_every_order([&] {
          const Drawn d = sample_head(p, params, keys, {banned});
          return std::vector<Matrix>{d.token, d.logprob, d.kept_mass, d.problem};
        });
        EXPECT_TRUE(got[0] == from_logits.token && got[1] == from_logits.logprob && got[2] == from_logits.kept_mass);
        expect_cpus(logits.host(), params, keys, {banned}, from_logits);
      }
    }
  }
}

TEST_F(GpuSample, TheTrainerComputesTheSamplersLogprobBitForBit) {
  const Problem p(DType::bf16, 5, kVocab, 80);
  const Drawn drawn = sample_head(p, {.temperature = 0.8f}, keys_of(5, 17));
  const DeviceMatrix h(p.h), w(p.w), targets(std::span<const int32_t>(drawn.token.t().i32(), 5)), logprob(DType::f32, 1, 5),
      lse(DType::f32, 1, 5), room(DType::f32, 1, cuda::head_scratch(5, kVocab));
  cuda::head_logprobs({logprob.t(), {}, lse.t()}, h.t(), w.t(), targets.t(), 0.8f, 0, products_, room.t(), stream_);
  synchronize();
  EXPECT_TRUE(logprob.host() == drawn.logprob);
}

TEST_F(GpuSample, ProblemsAreToldRowByRow) {
  Matrix logits = Matrix::random(DType::f32, 5, 70, 18, 1);
  logits.set(0 * 70 + 3, std::numeric_limits<float>::quiet_NaN());
  logits.set(1 * 70 + 3, kInf);
  for (int64_t v = 0; v < 70; ++v) logits.set(2 * 70 + v, -kInf);
  for (int64_t v = 0; v < 70; ++v) logits.set(3 * 70 + v, v == 9 ? 1.0f : -kInf);
  const std::vector<int32_t> banned = {9};
  for (const SamplingParams& params : {SamplingParams{}, SamplingParams{.temperature = 0}, SamplingParams{.top_k = 5, .top_p = 0.9f, .min_p = 0.01f}}) {
    const Drawn got = sample_in_orders(logits, params, keys_of(5, 19), {banned});
    for (int64_t r = 0; r < 3; ++r) EXPECT_EQ(got.problem_of(r), cuda::kNonFiniteLogits) << r;
    EXPECT_EQ(got.problem_of(3), cuda::kNothingLeft);
    EXPECT_EQ(got.problem_of(4), cuda::kDrawn);
    for (int64_t r = 0; r < 4; ++r) EXPECT_EQ(got.token_of(r), -1);
  }
  // Without the ban the only live token is drawn.
  const Drawn got = sample(logits, {.top_k = 3}, keys_of(5, 19));
  EXPECT_EQ(got.token_of(3), 9);
}

TEST_F(GpuSample, RefusesSettingsAndShapes) {
  const Matrix logits = Matrix::random(DType::f32, 1, 8, 20);
  const std::vector<DrawKey> keys = keys_of(1, 21);
  const auto refuses = [&](const SamplingParams& params, const Ban& ban = {}) {
    EXPECT_THROW(sample(logits, params, keys, ban), Error);
  };
  refuses({.temperature = -1});
  refuses({.temperature = 1e-40f});
  refuses({.top_k = -1});
  refuses({.top_p = 0});
  refuses({.min_p = 1.5f});
  const std::vector<int32_t> outside = {8}, many(65, 1);
  refuses({}, {outside});
  refuses({}, {many});
  const Problem p(DType::f32, 1, 50, 8);
  EXPECT_THROW(sample_head(p, {.top_k = 3}, keys), Error) << "filters";
  const DeviceMatrix token(DType::i32, 1, 1), number(DType::f32, 1, 1), device(logits);
  const DrawKey* none = nullptr;
  const cuda::DrawnTokens good{token.t(), number.t(), number.t(), token.t()}, bad{token.t(), token.t(), number.t(), token.t()};
  const DeviceBytes key(sizeof(DrawKey));
  const DrawKey* at = static_cast<const DrawKey*>(key.get());
  EXPECT_THROW(cuda::sample_tokens(good, device.t(), {}, none, {}, number.t(), stream_), Error);
  EXPECT_THROW(cuda::sample_tokens(good, device.t(), {}, at, {}, number.t(), stream_), Error) << "scratch";
  EXPECT_THROW(cuda::sample_tokens(bad, device.t(), {}, at, {}, number.t(), stream_), Error) << "types";
}

}  // namespace
}  // namespace cohort
