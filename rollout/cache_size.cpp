#include "rollout/cache_size.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/text.h"
#include "model/ops/attention.h"

namespace cohort {

int64_t kv_page_bytes(const ModelConfig& model, DType dtype, int64_t page_tokens) {
  return 2 * model.num_layers * page_tokens * model.num_kv_heads * cached_head_size(model.head_size) *
         static_cast<int64_t>(dtype_size(dtype));
}

CacheSize choose_cache_size(const CacheNeed& need, const CacheLimit& limit) {
  CacheSize size{.need = need, .limit = limit, .pages = 0};
  size.pages = need.sequences * size.whole_pages();
  const auto cut = [&](double bytes) {
    if (bytes < static_cast<double>(size.bytes())) size.pages = static_cast<int64_t>(bytes / static_cast<double>(need.page_bytes));
  };
  if (limit.gb > 0) {
    cut(limit.gb * 1e9);
  } else if (limit.free_bytes) {
    cut(static_cast<double>(*limit.free_bytes) * kFreeMemoryShare);
  }
  return size;
}

std::string CacheSize::shortage() const {
  if (holds_one()) return "";
  const std::string needs = fmt::format("one sequence of up to {} tokens needs {:.9g} GB", need.positions,
                                        std::ceil(static_cast<double>(whole_bytes()) / 1e3) / 1e6);  // up: to be copied
  if (limit.gb > 0) {
    return fmt::format("{} is {:.9g}, and {} of KV cache; raise it, or allow shorter prompts or completions", limit.key, limit.gb,
                       needs);
  }
  return fmt::format(
      "{} of KV cache, and half of the {:.3g} GB that is free for this rank is {:.3g} GB; set {} to take more of it, run fewer "
      "ranks on this host, or allow shorter prompts or completions",
      needs, static_cast<double>(limit.free_bytes.value_or(0)) / 1e9,
      static_cast<double>(limit.free_bytes.value_or(0)) * kFreeMemoryShare / 1e9, limit.key);
}

void CacheSize::require_one() const {
  const std::string why = shortage();
  if (!why.empty()) fail(limit.gb > 0 ? ExitCode::kUsage : ExitCode::kResources, "{}", why);
}

void CacheSize::require_free() const {
  if (limit.gb <= 0 || !limit.free_bytes || bytes() <= *limit.free_bytes) return;
  fail(ExitCode::kResources,
       "{} is {:.9g}, and the KV cache would take {:.3g} GB of it, but {:.3g} GB is free for this rank; lower it (0: half of what "
       "is free), or run fewer ranks on this host",
       limit.key, limit.gb, static_cast<double>(bytes()) / 1e9, static_cast<double>(*limit.free_bytes) / 1e9);
}

std::string CacheSize::text() const {
  const std::string size = human_bytes(static_cast<uint64_t>(bytes()));
  const char* lazily = "memory is taken as pages are used";
  if (holds_all())
    return fmt::format("KV cache: up to {} sequences of {} tokens, {}; {}", need.sequences, need.positions, size, lazily);
  const std::string why = limit.gb > 0 ? std::string(limit.key)
                                       : fmt::format("half of the {} that is free for this rank; {} sets it",
                                                     human_bytes(static_cast<uint64_t>(limit.free_bytes.value_or(0))), limit.key);
  return fmt::format("KV cache: {} tokens of up to {} sequences of {}, {} ({}); {}", pages * need.page_tokens, need.sequences,
                     need.positions, size, why, lazily);
}

}  // namespace cohort
