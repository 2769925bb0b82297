// The language-model head on the GPU against the CPU's.
#include "model/cuda/head.h"

#include "model/cuda/embedding.h"
#include "model/ops/elementwise.h"
#include "tests/emulated/gpu_test.h"
#include "tests/ops/head_problem.h"

namespace cohort {
namespace {

using cuda::HeadRows;

// A vocabulary of two chunks, the second narrower and odd.
constexpr int64_t kVocab = 4096 + 301;

class GpuHead : public GpuOps {
 protected:
  static Matrix column(const std::vector<float>& values) {
    Matrix m(DType::f32, 1, static_cast<int64_t>(values.size()));
    for (int64_t i = 0; i < m.cols; ++i) m.set(i, values[static_cast<size_t>(i)]);
    return m;
  }
  DeviceMatrix numbers(int64_t n) { return {DType::f32, 1, std::max<int64_t>(1, n)}; }

  // log-probs, entropies and log-sum-exps of rows [begin, begin + count).
  std::vector<Matrix> forward(const Problem& p, float temperature, int64_t begin, int64_t count) {
    const DeviceMatrix h(p.h), w(p.w), targets(std::span(p.targets).subspan(static_cast<size_t>(begin), static_cast<size_t>(count))),
        room = numbers(cuda::head_scratch(count, p.vocab()));
    const DeviceMatrix logprob = numbers(count), entropy = numbers(count), lse = numbers(count);
    cuda::head_logprobs({logprob.t(), entropy.t(), lse.t()}, h.t().slice_rows(begin, count), w.t(), targets.t(), temperature,
                        p.softcap, products_, room.t(), stream_);
    synchronize();
    return {logprob.host(), entropy.host(), lse.host()};
  }

  // dh, dw, and the kept rows' sums.
  std::vector<Matrix> backward(const Problem& p, float temperature, const std::vector<float>& weights,
                               std::span<const RowPart> parts = {}, std::vector<int32_t> kept_rows = {},
                               const std::vector<float>& of_entropy = {}) {
    const std::vector<Matrix> rows = forward(p, temperature, 0, p.n());
    const int64_t part_count = std::max<int64_t>(1, static_cast<int64_t>(parts.size())), kept = static_cast<int64_t>(kept_rows.size());
    const DeviceMatrix h(p.h), w(p.w), targets(p.targets), logprob(rows[0]), lse(rows[2]), gradient(column(weights)),
        dh(DType::f32, p.n(), p.hidden()), dw(DType::f32, p.vocab(), p.hidden()),
        room = numbers(cuda::head_backward_scratch(p.n(), p.vocab(), p.hidden(), parts, kept > 0)),
        sums(DType::f32, std::max<int64_t>(1, part_count * kept), p.hidden());
    const std::vector<int32_t> nothing = {0};
    const DeviceMatrix device_kept(kept > 0 ? kept_rows : nothing);
    cuda::HeadKeptRows keep;
    if (kept > 0) keep = {kept_rows, device_kept.t(), sums.t()};
    const DeviceMatrix entropy(rows[1]), entropy_gradient(column(of_entropy.empty() ? weights : of_entropy));
    cuda::head_backward(dh.t(), dw.t(), h.t(), w.t(), targets.t(),
                        {logprob.t(), of_entropy.empty() ? Tensor() : entropy.t(), lse.t()},
                        {gradient.t(), of_entropy.empty() ? Tensor() : entropy_gradient.t()}, temperature, p.softcap, products_,
                        room.t(), stream_, parts, keep);
    synchronize();
    return {dh.host(), dw.host(), sums.host()};
  }

  cuda::Products products_;
};

TEST_F(GpuHead, LogprobsAndEntropiesAreTheCpus) {
  for (DType act : kActs) {
    for (float softcap : {0.0f, 5.0f}) {
      for (float temperature : {1.0f, 0.7f}) {
        const Problem p(act, 4, kVocab, 24, 3, softcap);
        const LogProbs wanted = logprobs(p, temperature, ex_);
        const std::vector<Matrix> got = in_every_order([&] { return forward(p, temperature, 0, p.n()); });
        for (int64_t r = 0; r < p.n(); ++r) {
          const size_t i = static_cast<size_t>(r);
          EXPECT_NEAR(got[0].get(r), wanted.logprob[i], 64 * kEps32 * 10);
          EXPECT_NEAR(got[1].get(r), wanted.entropy[i], 64 * kEps32 * 10);
          EXPECT_LE(got[0].get(r), 0);
        }
      }
    }
  }
}

TEST_F(GpuHead, ARowsBitsDoNotDependOnItsNeighbours) {
  const Problem p(DType::bf16, 6, kVocab, 80);
  const std::vector<Matrix> all = forward(p, 1, 0, 6);
  for (int64_t r = 0; r < 6; ++r) {
    const std::vector<Matrix> one = forward(p, 1, r, 1);
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(one[i].get(0), all[i].get(r));
  }
}

TEST_F(GpuHead, LogitsAreTheCpusAndCapped) {
  for (float softcap : {0.0f, 5.0f}) {
    const Problem p(DType::bf16, 3, kVocab, 24, 3, softcap);
    Matrix logits(DType::f32, 3, kVocab);
    head_logits(logits.t(), p.h.t(), packed(p.w, ex_), ex_, softcap);
    const DeviceMatrix h(p.h), w(p.w);
    const std::vector<Matrix> got = in_every_order([&] {
      const DeviceMatrix room = numbers(cuda::head_scratch(3, kVocab)), to(DType::f32, 3, kVocab);
      cuda::head_logits(to.t(), h.t(), w.t(), softcap, products_, room.t(), stream_);
      synchronize();
      return std::vector<Matrix>{to.host()};
    });
    expect_close(got[0], logits, 16 * kEps32, 4);
  }
}

TEST_F(GpuHead, GradientsAreTheCpus) {
  for (DType act : kActs) {
    for (float softcap : {0.0f, 5.0f}) {
      const Problem p(act, 7, kVocab, 24, 3, softcap);
      std::vector<float> weights = random_weights(7);
      weights[3] = 0;  // a row without a gradient
      const Loss wanted = loss(p, 0.8f, weights, ex_);
      const std::vector<Matrix> got = in_every_order([&] { return backward(p, 0.8f, weights); });
      // bf16: the gradient of a logit is rounded before the products, and may round the other way.
      const double near = act == DType::bf16 ? kEps16 : 64 * kEps32;
      expect_close(got[0], wanted.dh, near, 0.5);
      expect_close(got[1], wanted.dw, near, act == DType::bf16 ? 0.1 : 0.5);
      for (int64_t c = 0; c < p.hidden(); ++c) EXPECT_EQ(got[0].at(3, c), 0);
    }
  }
}

TEST_F(GpuHead, GradientsOfEntropiesAreTheCpus) {
  for (DType act : kActs) {
    for (float softcap : {0.0f, 5.0f}) {
      const Problem p(act, 5, kVocab, 24, 3, softcap);
      std::vector<float> weights = random_weights(5), of_entropy = random_weights(10);
      of_entropy.resize(5);
      weights[1] = 0;                   // the entropy alone
      weights[3] = of_entropy[3] = 0;  // neither
      Matrix dh(DType::f32, p.n(), p.hidden()), dw(DType::f32, p.vocab(), p.hidden());
      head_loss(dh.t(), dw.t(), p.h.t(), packed(p.w, ex_), p.targets, 0.8f,
                [&](int64_t i, float, float) { return RowGradient(weights[static_cast<size_t>(i)], of_entropy[static_cast<size_t>(i)]); },
                ex_, p.softcap);
      const std::vector<Matrix> got = in_every_order([&] { return backward(p, 0.8f, weights, {}, {}, of_entropy); });
      const double near = act == DType::bf16 ? kEps16 : 256 * kEps32;
      expect_close(got[0], dh, near, 0.5);
      expect_close(got[1], dw, near, act == DType::bf16 ? 0.1 : 0.5);
      double moved = 0;
      for (int64_t c = 0; c < p.hidden(); ++c) {
        EXPECT_EQ(got[0].at(3, c), 0);
        moved += std::abs(static_cast<double>(got[0].at(1, c)));
      }
      EXPECT_GT(moved, 0);
    }
  }
}

TEST_F(GpuHead, PartsAndKeptRowsAreAddedAsIfEachWereAlone) {
  const Problem p(DType::bf16, 9, kVocab, 16);
  const std::vector<float> weights = random_weights(9);
  const std::vector<RowPart> parts = {{0, 3, 0}, {3, 4, 1}, {7, 2, 1}};
  const std::vector<int32_t> kept = {0, 5, 4095, 4096, static_cast<int32_t>(kVocab) - 1};
  const auto part_of = [&](int64_t begin, int64_t count) {
    Problem part = p;
    std::vector<int64_t> rows;
    for (int64_t r = begin; r < begin + count; ++r) rows.push_back(r);
    part.h = p.h.take(rows);
    part.targets = {p.targets.begin() + begin, p.targets.begin() + begin + count};
    return backward(part, 1, {weights.begin() + begin, weights.begin() + begin + count})[1];
  };
  const Matrix a = part_of(0, 3), b = part_of(3, 4), c = part_of(7, 2);
  const std::vector<Matrix> without = backward(p, 1, weights, parts);
  const std::vector<Matrix> with = in_every_order([&] { return backward(p, 1, weights, parts, kept); });
  for (int64_t i = 0; i < kVocab * p.hidden(); ++i) ASSERT_EQ(without[1].get(i), (a.get(i) + b.get(i)) + c.get(i)) << i;
  EXPECT_TRUE(with[1] == without[1]);
  for (size_t part = 0; part < 3; ++part) {
    const Matrix& alone = part == 0 ? a : part == 1 ? b : c;
    for (size_t k = 0; k < kept.size(); ++k)
      for (int64_t col = 0; col < p.hidden(); ++col)
        EXPECT_EQ(with[2].at(static_cast<int64_t>(part * kept.size() + k), col), alone.at(kept[k], col));
  }
}

TEST_F(GpuHead, ATiedEmbeddingsGradientIsTheCpus) {
  const Problem p(DType::f32, 6, 700, 16);
  const std::vector<float> weights = random_weights(6);
  const std::vector<int32_t> tokens = {5, 1, 5, 699, 0, 1}, kept = {0, 1, 5, 699};
  const Matrix dx = Matrix::random(DType::f32, 6, 16, 77);
  Matrix sums(DType::f32, 4, 16);
  Loss wanted = loss(p, 1, weights, ex_, {}, {kept, sums.t()});
  embedding_backward(wanted.dw.t(), {kept, sums.t()}, dx.t(), tokens, ex_);
  const cuda::EmbeddingOrder order = cuda::embedding_order(tokens, kept, 700);
  const std::vector<Matrix> head = backward(p, 1, weights, {}, kept);
  const DeviceMatrix dw(head[1]), device_sums(head[2]), device_dx(dx), device_order(order.numbers);
  cuda::embedding_backward(dw.t(), device_sums.t(), device_dx.t(), order, device_order.t(), stream_);
  synchronize();
  expect_close(dw.host(), wanted.dw, 64 * kEps32, 1);
}

TEST_F(GpuHead, InfinitiesAndForeignTargetsDoNotPassForNumbers) {
  Problem p(DType::f32, 4, 300, 8);
  for (int64_t c = 0; c < 8; ++c) p.h.set(c, std::numeric_limits<float>::quiet_NaN());
  for (int64_t c = 0; c < 8; ++c) p.h.set(8 + c, c == 0 ? std::numeric_limits<float>::infinity() : 0.0f);
  p.targets[2] = 300, p.targets[3] = -1;
  const std::vector<Matrix> got = forward(p, 1, 0, 4);
  EXPECT_FALSE(std::isfinite(got[2].get(0)));
  EXPECT_FALSE(std::isfinite(got[2].get(1)));
  EXPECT_TRUE(std::isnan(got[0].get(2)) && std::isnan(got[0].get(3)));
  EXPECT_TRUE(std::isfinite(got[2].get(2)));
}

TEST_F(GpuHead, RefusesWrongShapesAndSettings) {
  const DeviceMatrix h(DType::bf16, 2, 8), w(DType::bf16, 50, 8), single(DType::f32, 50, 8), targets(std::vector<int32_t>{1, 2}),
      few(std::vector<int32_t>{1}), room = numbers(cuda::head_scratch(2, 50)), small = numbers(3), a = numbers(2), b = numbers(2),
      c = numbers(2), dh(DType::f32, 2, 8), dw(DType::f32, 50, 8),
      wide = numbers(cuda::head_backward_scratch(2, 50, 8, {}, true)), sums(DType::f32, 2, 8);
  const HeadRows rows{a.t(), b.t(), c.t()};
  const auto forward = [&](Tensor weight, Tensor t, float temperature, float softcap, Tensor scratch) {
    cuda::head_logprobs(rows, h.t(), weight, t, temperature, softcap, products_, scratch, stream_);
  };
  EXPECT_NO_THROW(forward(w.t(), targets.t(), 1, 0, room.t()));
  EXPECT_THROW(forward(single.t(), targets.t(), 1, 0, room.t()), Error);
  EXPECT_THROW(forward(w.t(), few.t(), 1, 0, room.t()), Error);
  EXPECT_THROW(forward(w.t(), targets.t(), 0, 0, room.t()), Error);
  EXPECT_THROW(forward(w.t(), targets.t(), 1, -1, room.t()), Error);
  EXPECT_THROW(forward(w.t(), targets.t(), 1, 0, small.t()), Error) << "scratch";
  const auto backward = [&](Tensor to, Tensor scratch, const cuda::HeadKeptRows& kept) {
    cuda::head_backward(dh.t(), to, h.t(), w.t(), targets.t(), rows, {a.t(), {}}, 1, 0, products_, scratch, stream_, {}, kept);
  };
  const std::vector<int32_t> good = {1, 49}, falling = {49, 1}, outside = {1, 50};
  EXPECT_NO_THROW(backward(dw.t(), wide.t(), {good, targets.t(), sums.t()}));
  EXPECT_THROW(backward(w.t(), wide.t(), {}), Error);
  EXPECT_THROW(backward(dw.t(), small.t(), {}), Error);
  EXPECT_THROW(backward(dw.t(), wide.t(), {falling, targets.t(), sums.t()}), Error);
  EXPECT_THROW(backward(dw.t(), wide.t(), {outside, targets.t(), sums.t()}), Error);
  EXPECT_THROW(backward(dw.t(), wide.t(), {good, few.t(), sums.t()}), Error);
  synchronize();
}

}  // namespace
}  // namespace cohort
