#include "trainer/generator_setup.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/free_memory.h"
#include "core/text.h"
#include "model/device.h"

namespace cohort {

int ranks_on_host(Comm& comm) {
  const std::string host = comm.host();
  int count = 0;
  for (const std::vector<std::byte>& bytes : comm.all_gather(std::as_bytes(std::span(host)), "hosts"))
    count += std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == host;
  return std::max(1, count);
}

CacheLimit cache_limit(const Config& config, int host_ranks) {
  CacheLimit limit{.gb = config.rollout.kv_cache_gb};
  if (const std::optional<GpuMemory> on_gpu = gpu_memory()) {
    limit.free_bytes = on_gpu->free;
  } else if (const auto free = free_memory()) {
    limit.free_bytes = *free / host_ranks;
  }
  return limit;
}

void check_stops(const Tokenizer& tokenizer, int64_t vocab_size, std::span<const std::string> stop,
                 std::span<const int64_t> stop_token_ids, const StopKeys& keys) {
  for (const int64_t id : stop_token_ids)
    CHECK_USAGE(id >= 0 && id < vocab_size, "{}: found {}; the model's tokens are 0 to {}", keys.stop_token_ids, id, vocab_size - 1);
  for (const std::string& text : stop) {
    CHECK_USAGE(!text.empty(), "{}: found an empty text, which every completion holds", keys.stop);
    CHECK_USAGE(is_utf8(text), "{}: '{}' is not UTF-8, and a completion always is", keys.stop, printable(text));
    const std::optional<int32_t> id = tokenizer.id_of(text);
    CHECK_USAGE(!id || !tokenizer.is_special(*id),
                "{}: '{}' is a special token, which is not part of the text; give its id {} in {}", keys.stop, text, *id,
                keys.stop_token_ids);
    for (const std::string& special : tokenizer.special_token_texts())
      CHECK_USAGE(text.find(special) == text.npos, "{}: '{}' holds the special token '{}', which is not part of the text", keys.stop,
                  text, special);
  }
}

void add_stops(GeneratorConfig& generator, const LoadedModel& model, std::span<const std::string> stop,
               std::span<const int64_t> stop_token_ids, const StopKeys& keys) {
  check_stops(model.tokenizer, model.policy->config.vocab_size, stop, stop_token_ids, keys);
  generator.stop_token_ids = stop_tokens(model);
  for (const int64_t id : stop_token_ids)
    if (std::ranges::find(generator.stop_token_ids, id) == generator.stop_token_ids.end())
      generator.stop_token_ids.push_back(static_cast<int32_t>(id));
  generator.stop.assign(stop.begin(), stop.end());
  generator.tokenizer = &model.tokenizer;
}

SamplingParams sampling_params(const RolloutSection& r, Sampling sampling) {
  const bool training = sampling == Sampling::training;
  const auto own = [&](auto in_training, auto in_evaluation) { return training || in_evaluation < 0 ? in_training : in_evaluation; };
  return {.temperature = training ? r.temperature : r.eval_temperature,
          .top_k = static_cast<int32_t>(own(r.top_k, r.eval_top_k)),
          .top_p = own(r.top_p, r.eval_top_p),
          .min_p = own(r.min_p, r.eval_min_p)};
}

GeneratorConfig generator_config(const Config& config, const LoadedModel& model, Sampling sampling, int64_t sequences,
                                 const Comm& comm, int host_ranks) {
  const RolloutSection& r = config.rollout;
  GeneratorConfig g;
  g.sampling = sampling_params(r, sampling);
  g.max_completion_length = r.max_completion_length;
  g.min_completion_length = r.min_completion_length;
  add_stops(g, model, r.stop, r.stop_token_ids);
  g.max_num_seqs = std::min(r.max_num_seqs, std::max<int64_t>(1, (sequences + comm.size() - 1) / comm.size()));
  g.max_num_batched_tokens = r.max_num_batched_tokens;
  g.kv_cache = cache_limit(config, host_ranks);
  g.seed = config.run.seed;
  return g;
}

}  // namespace cohort
