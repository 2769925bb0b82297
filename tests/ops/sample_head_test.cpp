// Sampling without logits in memory (sample_head) against the logits and sample_tokens: equal bits.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "model/ops/sample.h"
#include "tests/core/expect_error.h"
#include "tests/ops/head_problem.h"

namespace cohort {
namespace {

std::vector<DrawKey> keys_of(int64_t n, uint32_t step) {
  std::vector<DrawKey> keys;
  for (int64_t i = 0; i < n; ++i) keys.push_back({kSeed, step, static_cast<uint32_t>(i), static_cast<uint32_t>(7 * i)});
  return keys;
}

TEST(SampleHead, DrawsWhatTheWholeLogitsGive) {
  ExecOwner one(1), three(3);
  for (const DType act : kActs) {
    for (const auto& [n, vocab] :
         {std::pair<int64_t, int64_t>{1, 1}, {3, 50}, {70, 384}, {9, 385}, {5, 2000}, {130, 1000}}) {
      for (const float softcap : {0.0f, 5.0f}) {
        const Problem p(act, n, vocab, 33, 3.0f, softcap);
        const PackedWeight w = packed(p.w, one.exec());
        Matrix logits(DType::f32, n, vocab);
        head_logits(logits.t(), p.h.t(), w, one.exec(), softcap);
        std::vector<int32_t> banned;
        for (int32_t id = 0; id + 1 < vocab; id += 3) banned.push_back(id);
        for (const float temperature : {0.0f, 0.3f, 1.0f, 20.0f}) {
          for (const Ban& ban : {Ban{}, Ban{banned}, Ban{banned, 100}}) {
            const std::vector<DrawKey> keys = keys_of(n, static_cast<uint32_t>(10 * temperature));
            std::vector<SampledToken> wanted(keys.size()), got(keys.size());
            sample_tokens(wanted, logits.t(), {.temperature = temperature}, keys, ban, one.exec());
            for (ExecOwner* owner : {&one, &three}) {
              sample_head(got, p.h.t(), w, softcap, {.temperature = temperature}, keys, ban, owner->exec());
              for (size_t i = 0; i < keys.size(); ++i) {
                ASSERT_EQ(got[i].token, wanted[i].token) << n << " x " << vocab << " at " << temperature;
                ASSERT_EQ(std::bit_cast<uint32_t>(got[i].logprob), std::bit_cast<uint32_t>(wanted[i].logprob));
                ASSERT_EQ(got[i].kept_mass, 1.0f);
              }
            }
          }
        }
      }
    }
  }
}

TEST(SampleHead, EqualLogitsGiveTheLowerIdWhicheverThreadSawIt) {
  ExecOwner owner(3);
  Matrix h(DType::f32, 2, 4), w(DType::f32, 3000, 4);
  for (int64_t i = 0; i < 8; ++i) h.set(i, 1);
  for (const int64_t row : {700, 701, 2900})
    for (int64_t c = 0; c < 4; ++c) w.set(row * 4 + c, 1);
  std::vector<SampledToken> out(2);
  sample_head(out, h.t(), packed(w, owner.exec()), 0, {.temperature = 0}, keys_of(2, 0), {}, owner.exec());
  EXPECT_EQ(out[0].token, 700);
  EXPECT_EQ(out[1].token, 700);
}

TEST(SampleHead, RefusesWhatSampleTokensRefusesAndFilters) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  Problem p(DType::f32, 2, 500, 8);
  const PackedWeight w = packed(p.w, ex);
  std::vector<SampledToken> out(2);
  const auto refused = [&](const SamplingParams& params, const Ban& ban, const std::string& part, ExitCode wanted) {
    ExitCode code = ExitCode::kOk;
    const std::string message =
        message_of([&] { sample_head(out, p.h.t(), w, 0, params, keys_of(2, 1), ban, ex); }, code);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(code, wanted) << message;
  };
  std::vector<int32_t> all(500);
  std::iota(all.begin(), all.end(), 0);
  const std::vector<int32_t> outside = {500};
  refused({}, {all}, "every token of row 0", ExitCode::kInternal);
  refused({.temperature = 0}, {all}, "every token of row 0", ExitCode::kInternal);
  refused({}, {outside}, "banned token 500", ExitCode::kInternal);
  refused({.temperature = -1}, {}, "temperature -1", ExitCode::kInternal);
  refused({.top_k = 3}, {}, "filters", ExitCode::kInternal);
  p.h.set(8, std::numeric_limits<float>::quiet_NaN());
  refused({}, {}, "the logits of token 8 of the completion are not finite", ExitCode::kNonFinite);
  refused({.temperature = 0}, {}, "the logits of token 8 of the completion are not finite", ExitCode::kNonFinite);
  EXPECT_THROW(sample_head(out, p.h.t(), w, 0, {}, keys_of(1, 1), {}, ex), Error) << "1 key, 2 rows";
}

}  // namespace
}  // namespace cohort
