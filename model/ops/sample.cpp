#include "model/ops/sample.h"

#include <cmath>

#include "core/check.h"

namespace cohort {

void check_sampling(const SamplingParams& params, const Ban& ban, int64_t vocab) {
  CHECK(params.temperature >= 0 && std::isfinite(params.temperature), "temperature {}; allowed is 0 or more",
        params.temperature);
  CHECK(params.temperature == 0 || std::isfinite(1.0f / params.temperature), "temperature {} is too small; 0 is greedy",
        params.temperature);
  CHECK(params.top_k >= 0, "top_k {}; allowed is 0 (off) or more", params.top_k);
  CHECK(params.top_p > 0 && params.top_p <= 1, "top_p {}; allowed is above 0, up to 1", params.top_p);
  CHECK(params.min_p >= 0 && params.min_p <= 1, "min_p {}; allowed is 0 to 1", params.min_p);
  for (int32_t id : ban.tokens) CHECK(id >= 0 && id < vocab, "banned token {} of a vocabulary of {}", id, vocab);
}

}  // namespace cohort
