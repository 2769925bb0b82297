// Sampling against a slow twin that sorts the whole row and computes every token's noise, and against the distribution.
#include "model/ops/sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "core/rng.h"
#include "model/ops/head.h"
#include "tests/ops/random_matrix.h"

namespace cohort {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<SampledToken> sample(const Matrix& logits, const SamplingParams& params, const std::vector<DrawKey>& keys,
                                 const std::vector<int32_t>& banned = {}, int threads = 1,
                                 uint32_t ban_before = UINT32_MAX) {
  ExecOwner owner(threads);
  std::vector<SampledToken> out(keys.size());
  sample_tokens(out, logits.t(), params, keys, {banned, ban_before}, owner.exec());
  return out;
}

std::vector<DrawKey> keys_of(int64_t n, uint64_t seed) {
  std::vector<DrawKey> keys;
  for (int64_t i = 0; i < n; ++i)
    keys.push_back({seed, static_cast<uint32_t>(i % 3), static_cast<uint32_t>(i), static_cast<uint32_t>(7 * i)});
  return keys;
}

// --- the slow twin -------------------------------------------------------------------------------------------------
struct Kept {
  std::vector<int32_t> tokens;  // in falling order
  double mass;                  // of the full softmax
};

Kept filter(const Matrix& logits, int64_t row, const SamplingParams& params, const std::vector<int32_t>& banned) {
  const float inverse = 1.0f / params.temperature;
  std::vector<float> z;
  double total = 0, largest = -1e300;
  for (int64_t v = 0; v < logits.cols; ++v) z.push_back(scaled_logit(logits.at(row, v), inverse));
  for (float x : z) largest = std::max<double>(largest, x);
  for (float x : z) total += std::exp(x - largest);
  Kept kept;
  for (int32_t v = 0; v < logits.cols; ++v)
    if (z[static_cast<size_t>(v)] > -kInf && std::ranges::find(banned, v) == banned.end()) kept.tokens.push_back(v);
  std::ranges::stable_sort(kept.tokens, [&](int32_t a, int32_t b) { return z[a] > z[b]; });
  std::vector<double> p;
  for (int32_t v : kept.tokens) p.push_back(std::exp(z[static_cast<size_t>(v)] - largest) / total);
  const auto keep = [&](size_t n) { kept.tokens.resize(n), p.resize(n); };

  if (params.top_k > 0) keep(std::min<size_t>(p.size(), static_cast<size_t>(params.top_k)));
  if (params.top_p < 1) {
    const double target = params.top_p * std::accumulate(p.begin(), p.end(), 0.0);
    double sum = 0;
    size_t n = 0;
    while (n < p.size() && sum < target) sum += p[n++];
    keep(n);
  }
  if (params.min_p > 0) {
    size_t n = 0;
    while (n < p.size() && p[n] >= params.min_p * p[0]) ++n;
    keep(n);
  }
  kept.mass = std::accumulate(p.begin(), p.end(), 0.0);
  return kept;
}

double gumbel(const DrawKey& key, int32_t token) {
  const uint32_t id = static_cast<uint32_t>(token), call = id / 64 * 16 + id % 16;
  const auto bits = philox({static_cast<uint32_t>(Stream::kSample) << 24 | call, key.step, key.sequence, key.position},
                           {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)});
  return -std::log(-std::log(static_cast<double>(open_uniform(bits[id / 16 % 4]))));
}

double score(const Matrix& logits, int64_t row, const SamplingParams& params, const DrawKey& key, int32_t token) {
  return scaled_logit(logits.at(row, token), 1.0f / params.temperature) + gumbel(key, token);
}

// Checks every row of `got` against the twin.
void expect_twin(const Matrix& logits, const SamplingParams& params, const std::vector<DrawKey>& keys,
                 const std::vector<int32_t>& banned, const std::vector<SampledToken>& got) {
  const bool filters = params.top_k > 0 || params.top_p < 1 || params.min_p > 0;
  for (size_t r = 0; r < got.size(); ++r) {
    SCOPED_TRACE(fmt::format("row {}: top_k {} top_p {} min_p {} temperature {}", r, params.top_k, params.top_p,
                             params.min_p, params.temperature));
    const int64_t row = static_cast<int64_t>(r);
    const Kept kept = filter(logits, row, params, banned);
    ASSERT_NE(std::ranges::find(kept.tokens, got[r].token), kept.tokens.end()) << "token " << got[r].token << " is out";
    double best = -1e300;
    for (int32_t token : kept.tokens) best = std::max(best, score(logits, row, params, keys[r], token));
    const double own = score(logits, row, params, keys[r], got[r].token);
    ASSERT_NEAR(own, best, 1e-5 + 2 * kEps32 * std::abs(best)) << "token " << got[r].token;
    ASSERT_NEAR(got[r].kept_mass, filters ? kept.mass : 1.0, 4e-6);
    const float inverse = 1.0f / params.temperature;
    const float* data = logits.t().f32() + row * logits.cols;
    const RowStats stats = logit_row_stats(data, logits.cols, inverse);
    ASSERT_EQ(got[r].logprob, token_logprob(data, stats, got[r].token, inverse));
  }
}

TEST(Sample, AgreesWithTheTwinOnRandomRowsAndFilters) {
  constexpr uint64_t kSeed = 12;
  Random random(kSeed, Stream::kTest);
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(fmt::format("seed {}, round {}", kSeed, round));
    const int64_t vocab = random.between(1, 700), rows = random.between(1, 5);
    Matrix logits = Matrix::random(DType::f32, rows, vocab, kSeed + round, static_cast<float>(random.between(0, 6)));
    if (random.below(3) == 0)  // few distinct values: ties everywhere
      for (int64_t i = 0; i < rows * vocab; ++i) logits.set(i, std::round(logits.get(i)));
    if (random.below(4) == 0)
      for (int64_t i = 1; i < rows * vocab; i += 3)
        if (i % vocab != 0) logits.set(i, -kInf);
    SamplingParams params{.temperature = 0.25f + random.uniform()};
    if (random.below(2) == 0) params.top_k = static_cast<int32_t>(random.between(1, 60));
    if (random.below(2) == 0) params.top_p = random.uniform();
    if (random.below(2) == 0) params.min_p = 0.3f * random.uniform();
    std::vector<int32_t> banned;
    if (random.below(3) == 0 && vocab > 8)
      for (int i = 0; i < 3; ++i) banned.push_back(static_cast<int32_t>(random.between(1, vocab - 1)));
    const std::vector<DrawKey> keys = keys_of(rows, random.next());
    expect_twin(logits, params, keys, banned, sample(logits, params, keys, banned));
  }
}

TEST(Sample, SkippingTokensThatCannotWinSkipsNoWinner) {
  constexpr int64_t kVocab = 49152;
  for (float spread : {0.0f, 0.3f, 2.0f, 5.0f, 20.0f}) {
    const Matrix logits = Matrix::random(DType::f32, 3, kVocab, 4, spread);
    for (const SamplingParams& params : {SamplingParams{}, SamplingParams{.temperature = 0.6f},
                                         SamplingParams{.top_p = 0.9f}, SamplingParams{.top_k = 3000}}) {
      const std::vector<DrawKey> keys = keys_of(3, 99);
      expect_twin(logits, params, keys, {}, sample(logits, params, keys));
    }
  }
}

// Chi-square of draws with many keys against the softmax; 19 degrees of freedom, 50 is passed with probability 1e-4.
double chi_square(const Matrix& logits, const SamplingParams& params, int64_t draws) {
  const Matrix rows = logits.take(std::vector<int64_t>(static_cast<size_t>(draws), 0));
  std::vector<DrawKey> keys;
  for (int64_t i = 0; i < draws; ++i)
    keys.push_back(
        {5, static_cast<uint32_t>(i / 5000), static_cast<uint32_t>(i / 100), static_cast<uint32_t>(i % 100)});
  std::vector<double> seen(static_cast<size_t>(logits.cols)), p(seen.size());
  for (const SampledToken& s : sample(rows, params, keys)) ++seen[static_cast<size_t>(s.token)];
  const Kept kept = filter(logits, 0, params, {});
  for (int32_t token : kept.tokens) p[static_cast<size_t>(token)] = std::exp(logits.at(0, token) / params.temperature);
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  double chi = 0;
  for (size_t v = 0; v < p.size(); ++v) {
    const double wanted = static_cast<double>(draws) * p[v] / total;
    if (p[v] == 0) {
      EXPECT_EQ(seen[v], 0) << "token " << v << " is out";
    } else {
      chi += (seen[v] - wanted) * (seen[v] - wanted) / wanted;
    }
  }
  return chi;
}

TEST(Sample, DrawsFromTheSoftmax) {
  const Matrix logits = Matrix::random(DType::f32, 1, 20, 8);
  EXPECT_LT(chi_square(logits, {}, 40000), 50);
  EXPECT_LT(chi_square(logits, {.temperature = 1.7f}, 40000), 50);
  EXPECT_LT(chi_square(logits, {.top_k = 8, .top_p = 0.9f}, 40000), 35);
  EXPECT_GT(chi_square(logits, {.temperature = 1.0f}, 40000), 4);  // nor is it too good
}

TEST(Sample, GreedyTakesTheLargestAndTheLowerIdOnTies) {
  Matrix logits = Matrix::random(DType::f32, 2, 500, 3);
  logits.set(77, 9.5f);
  logits.set(333, 9.5f);
  logits.set(500 + 499, 30.0f);
  const SamplingParams greedy{.temperature = 0};
  const std::vector<SampledToken> out = sample(logits, greedy, keys_of(2, 1));
  EXPECT_EQ(out[0].token, 77);
  EXPECT_EQ(out[1].token, 499);
  EXPECT_EQ(out[0].kept_mass, 1.0f);
  const RowStats stats = logit_row_stats(logits.t().f32(), 500, 1.0f);
  EXPECT_EQ(out[0].logprob, token_logprob(logits.t().f32(), stats, 77, 1.0f)) << "log-probs are those of temperature 1";
  EXPECT_EQ(sample(logits, greedy, keys_of(2, 1), {77, 499})[0].token, 333);
  EXPECT_NE(sample(logits, greedy, keys_of(2, 1), {77, 499})[1].token, 499);
}

TEST(Sample, ARowDoesNotDependOnTheBatchOrThreads) {
  const Matrix logits = Matrix::random(DType::f32, 9, 3000, 3, 2.0f);
  const std::vector<DrawKey> keys = keys_of(9, 77);
  for (const SamplingParams& params :
       {SamplingParams{}, SamplingParams{.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.02f}}) {
    const std::vector<SampledToken> all = sample(logits, params, keys);
    for (int threads : {2, 3}) {
      const std::vector<SampledToken> again = sample(logits, params, keys, {}, threads);
      for (size_t r = 0; r < 9; ++r) {
        EXPECT_EQ(again[r].token, all[r].token);
        EXPECT_EQ(again[r].logprob, all[r].logprob);
        EXPECT_EQ(again[r].kept_mass, all[r].kept_mass);
      }
    }
    for (int64_t r = 0; r < 9; ++r) {
      const SampledToken alone = sample(logits.take({r}), params, {keys[static_cast<size_t>(r)]})[0];
      EXPECT_EQ(alone.token, all[static_cast<size_t>(r)].token);
      EXPECT_EQ(alone.logprob, all[static_cast<size_t>(r)].logprob);
      EXPECT_EQ(alone.kept_mass, all[static_cast<size_t>(r)].kept_mass);
    }
  }
}

TEST(Sample, EveryPartOfTheKeyMatters) {
  const Matrix logits(DType::f32, 1, 5000);  // all 0
  const auto draw = [&](DrawKey key) { return sample(logits, {}, {key})[0].token; };
  const DrawKey key{1, 2, 3, 4};
  std::set<int32_t> tokens = {draw(key),          draw({2, 2, 3, 4}), draw({1ull << 32 | 1, 2, 3, 4}),
                              draw({1, 3, 3, 4}), draw({1, 2, 4, 4}), draw({1, 2, 3, 5})};
  EXPECT_EQ(tokens.size(), 6u);
  EXPECT_EQ(draw(key), draw(key));
}

TEST(Sample, ExtremeRowsNeverGiveNan) {
  Matrix logits(DType::f32, 4, 300);
  for (int64_t v = 0; v < 300; ++v) {
    logits.set(v, -17.0f);                             // all equal
    logits.set(300 + v, v == 42 ? 0.0f : -kInf);       // one token left
    logits.set(600 + v, v % 2 == 0 ? 1e30f : -1e30f);  // huge
    logits.set(900 + v, v < 5 ? 3e38f : -3e38f);       // the largest there are
  }
  for (const SamplingParams& params : {SamplingParams{}, SamplingParams{.top_k = 3}, SamplingParams{.top_p = 0.5f},
                                       SamplingParams{.min_p = 1.0f}, SamplingParams{.temperature = 0}}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const std::vector<SampledToken> out = sample(logits, params, keys_of(4, seed));
      for (const SampledToken& s : out) ASSERT_TRUE(std::isfinite(s.logprob) && std::isfinite(s.kept_mass));
      EXPECT_NEAR(out[0].logprob, -std::log(300.0), 1e-5);
      EXPECT_EQ(out[1].token, 42);
      EXPECT_EQ(out[1].logprob, 0.0f);
      EXPECT_EQ(out[2].token % 2, 0);
      EXPECT_LT(out[3].token, 5);
      const int32_t kept = params.top_k == 3 || params.temperature == 0 ? 3 : params.top_p == 0.5f ? 150 : 300;
      EXPECT_LT(out[0].token, kept) << "ties keep the lower ids";
    }
  }
}

TEST(Sample, BannedTokensAreNotDrawnButStayInTheSoftmax) {
  Matrix logits = Matrix::random(DType::f32, 1, 100, 5);
  logits.set(9, 30.0f);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const SampledToken s = sample(logits, {}, keys_of(1, seed), {9})[0];
    ASSERT_NE(s.token, 9);
    ASSERT_LT(s.logprob, -20.0f);
    ASSERT_EQ(s.kept_mass, 1.0f) << "no filter is on";
  }
}

TEST(Sample, ABanEndsAtItsPosition) {
  const Matrix logits = Matrix::random(DType::f32, 40, 30, 7);
  std::vector<DrawKey> keys = keys_of(40, 3);
  for (size_t i = 0; i < keys.size(); ++i) keys[i].position = static_cast<uint32_t>(i % 7);
  const SamplingParams params{.temperature = 1.5f};
  const std::vector<int32_t> ban = {1, 4, 9, 16, 25};
  const std::vector<SampledToken> free = sample(logits, params, keys), banned = sample(logits, params, keys, ban),
                                  mixed = sample(logits, params, keys, ban, 2, 5);
  int differ = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(mixed[i].token, (keys[i].position < 5 ? banned : free)[i].token) << i;
    differ += free[i].token != banned[i].token;
  }
  EXPECT_GT(differ, 0);
}

void expect_refused(const Matrix& logits, const SamplingParams& params, const std::vector<int32_t>& banned,
                    const std::string& part, ExitCode wanted = ExitCode::kInternal) {
  ExitCode code = ExitCode::kOk;
  const std::string message = message_of([&] { sample(logits, params, keys_of(logits.rows, 1), banned); }, code);
  EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(code, wanted) << message;
}

TEST(Sample, RefusesNonFiniteRowsAndImpossibleParameters) {
  Matrix logits = Matrix::random(DType::f32, 2, 100, 5);
  expect_refused(logits, {.temperature = -1}, {}, "temperature -1; allowed is 0 or more");
  expect_refused(logits, {.temperature = kInf}, {}, "temperature");
  expect_refused(logits, {.temperature = 1e-40f}, {}, "too small");
  expect_refused(logits, {.top_k = -1}, {}, "top_k -1");
  expect_refused(logits, {.top_p = 0}, {}, "top_p 0; allowed is above 0");
  expect_refused(logits, {.top_p = 1.5f}, {}, "top_p 1.5");
  expect_refused(logits, {.min_p = -0.5f}, {}, "min_p -0.5");
  expect_refused(logits, {.top_p = std::nanf("")}, {}, "top_p nan");
  expect_refused(logits, {}, {100}, "banned token 100 of a vocabulary of 100");
  std::vector<int32_t> all(100);
  std::iota(all.begin(), all.end(), 0);
  expect_refused(logits, {}, all, "is banned");
  ExecOwner owner(1);
  std::vector<SampledToken> out(1);
  EXPECT_THROW(sample_tokens(out, logits.t(), {}, keys_of(1, 1), {}, owner.exec()), Error) << "1 token, 2 rows";

  logits.set(150, std::nanf(""));
  expect_refused(logits, {}, {}, "the logits of token 8 of the completion are not finite at temperature 1", ExitCode::kNonFinite);
  try {
    sample_tokens(out = std::vector<SampledToken>(2), logits.t(), {}, keys_of(2, 1), {}, owner.exec());
    ADD_FAILURE() << "not refused";
  } catch (const NonFiniteLogits& error) {
    EXPECT_EQ(error.sequence(), keys_of(2, 1)[1].sequence);
  }
  logits.set(150, kInf);
  expect_refused(logits, {}, {}, "are not finite", ExitCode::kNonFinite);
  for (int64_t v = 0; v < 100; ++v) logits.set(100 + v, -kInf);
  expect_refused(logits, {.temperature = 0}, {}, "are not finite", ExitCode::kNonFinite);
}

}  // namespace
}  // namespace cohort
