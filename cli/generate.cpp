// cohort generate: completions of prompts, with the generator that training uses.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/progress.h"
#include "cli/prompts.h"
#include "cli/records.h"
#include "comm/signals.h"
#include "core/free_memory.h"
#include "rollout/generator.h"
#include "trainer/generator_setup.h"

namespace cohort {
namespace {

constexpr int64_t kDefaultLength = 256;

struct Options {
  ModelArguments model;
  RecordFiles files;
  ChatArguments chat_arguments;
  std::string prompt;
  bool has_prompt = false, chat = false, stats = false;
  GeneratorConfig generator;
  std::vector<std::string> stop;
  std::optional<std::string> stop_token_ids;  // "2,107"
  int64_t num_generations = 1;
};

// A record and the tokens of its prompt; record.error says why it has none.
struct Prompt {
  Record record;
  std::vector<int32_t> tokens;
  bool served() const { return record.error.empty(); }
};

std::vector<int32_t> prompt_tokens(const Json& record, const LoadedModel& model, const Options& o) {
  const int given = static_cast<int>(record.contains("prompt")) +
                    static_cast<int>(record.contains("messages")) +
                    static_cast<int>(record.contains("ids"));
  CHECK_INPUT(given == 1, "a record has one of 'prompt', 'messages' and 'ids', found {} of them",
              given);
  if (record.contains("ids")) return ids_of(record["ids"], model.policy->config.vocab_size);
  const auto chat = [&](const Json& messages) {
    return chat_tokens(model, chat_of(record, messages, o.chat_arguments, true), o.chat_arguments);
  };
  if (record.contains("messages")) return chat(record["messages"]);
  if (record["prompt"].is_array()) return chat(record["prompt"]);
  const std::string text = get_string(record, "prompt", "the record");
  if (!o.chat) return text_tokens(model, text);
  return chat(Json::array({{{"role", "user"}, {"content", text}}}));
}

// The cache of one sequence: what it must hold whatever the other records are.
CacheSize cache_of_one(int64_t prompt_length, const LoadedModel& model, const GeneratorConfig& generator) {
  const Policy& policy = *model.policy;
  return choose_cache_size({.sequences = 1,
                            .positions = prompt_length + generator.max_completion_length,
                            .page_tokens = generator.page_tokens,
                            .page_bytes = kv_page_bytes(policy.config, policy.dtype, generator.page_tokens)},
                           generator.kv_cache);
}

Prompt make_prompt(Record record, const LoadedModel& model, const Options& o) {
  Prompt prompt{.record = std::move(record)};
  if (!prompt.served()) return prompt;
  serve_or_explain(prompt.record, [&]() -> Json {
    prompt.tokens = prompt_tokens(prompt.record.value, model, o);
    const int64_t length = static_cast<int64_t>(prompt.tokens.size());
    const int64_t limit = model.policy->config.max_positions;
    CHECK_INPUT(length > 0, "the prompt has no tokens");
    CHECK_INPUT(length + o.generator.max_completion_length <= limit,
                "the prompt has {} tokens and --max-completion-length is {}: together more than "
                "the model's {} positions",
                length, o.generator.max_completion_length, limit);
    const std::string shortage = cache_of_one(length, model, o.generator).shortage();
    CHECK_INPUT(shortage.empty(), "{}", shortage);
    return nullptr;
  });
  return prompt;
}

std::vector<Prompt> read_prompts(const Options& o, const LoadedModel& model) {
  std::vector<Prompt> prompts;
  if (o.has_prompt) {
    prompts.push_back(make_prompt({.value = {{"prompt", o.prompt}}}, model, o));
    CHECK_INPUT(prompts[0].served(), "{}", prompts[0].record.error);
    return prompts;
  }
  RecordReader reader(o.files.input);
  for (Record record; reader.next(record);) {
    prompts.push_back(make_prompt(std::move(record), model, o));
  }
  return prompts;
}

Json completion_json(const Rollout& rollout, const Tokenizer& tokenizer) {
  return {{"text", tokenizer.decode(rollout.tokens, /*skip_special_tokens=*/true)},
          {"ids", rollout.tokens},
          {"logprobs", rollout.logprobs},
          {"finish_reason", finish_reason_name(rollout.finish_reason)}};
}

// As a share of what could be: "batch occupancy 93 %" is how full the batch was, averaged over time.
void print_stats(const GenerateStats& stats, const CacheSize& cache) {
  const auto rate = [](int64_t tokens, double seconds) {
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
  };
  tell(fmt::format("prefill {:.0f} tok/s\ndecode {:.0f} tok/s\nbatch occupancy {:.1f} %\npreemptions {}\n",
                   rate(stats.prefill_tokens, stats.prefill_seconds), rate(stats.decode_tokens, stats.decode_seconds),
                   100 * stats.occupancy(), stats.preemptions));
  tell(fmt::format("cached prompt tokens {} of {}\n{}\n", stats.cached_tokens, stats.cached_tokens + stats.prefill_tokens,
                   cache.text()));
}

// The ids of "2,107".
std::vector<int64_t> token_ids(const std::optional<std::string>& list) {
  std::vector<int64_t> ids;
  for (size_t at = 0; list && at <= list->size();) {
    const size_t end = std::min(list->find(',', at), list->size());
    const std::string id = list->substr(at, end - at);
    CHECK_USAGE(!id.empty() && id.size() < 10 && id.find_first_not_of("0123456789") == id.npos,
                "--stop-token-ids: found '{}' in '{}'; allowed are ids with commas between them, such as 2,107", id, *list);
    ids.push_back(std::stoll(id));
    at = end + 1;
  }
  return ids;
}

// Prompts [begin, end) of all prompts; a request's draws are keyed by its place among all.
std::vector<Rollout> generate_some(const std::vector<Prompt>& prompts, size_t begin, size_t end,
                                   int64_t num_generations, Generator& generator, const Exec& ex,
                                   const std::function<void(int64_t)>& progress,
                                   const std::function<bool()>& cancelled) {
  std::vector<GenerateRequest> requests;
  for (size_t i = begin; i < end; ++i) {
    if (!prompts[i].served()) continue;
    for (int64_t sample = 0; sample < num_generations; ++sample) {
      const int64_t sequence = static_cast<int64_t>(i) * num_generations + sample;
      requests.push_back({.prompt = prompts[i].tokens,
                          .group = static_cast<int64_t>(i),
                          .sequence = static_cast<uint32_t>(sequence)});
    }
  }
  if (requests.empty()) return {};
  try {
    return generator.generate(requests, 0, ex, progress, cancelled);
  } catch (const NonFiniteLogits& error) {
    const Prompt& prompt = prompts[error.sequence() / num_generations];
    fail(error.code(), "{}: {}; the model's weights are broken, or overflow in bfloat16: try --dtype float32",
         prompt.record.where.empty() ? "--prompt" : prompt.record.where, error.what());
  }
}

// The completions of prompts [begin, end), in order; of a call that was left, up to the last prompt that has one begun.
struct Answers {
  int64_t written = 0, cut_short = 0;  // records, and completions in them

  void write(std::vector<Prompt>& prompts, size_t begin, size_t end, const std::vector<Rollout>& rollouts,
             bool stopped, const Options& o, const Tokenizer& tokenizer, RecordWriter& writer) {
    size_t begun = rollouts.size();
    while (stopped && begun > 0 && rollouts[begun - 1].tokens.empty()) --begun;
    size_t next = 0;
    for (size_t i = begin; i < end && !(stopped && next >= begun); ++i) {
      ++written;
      if (!prompts[i].served()) {
        writer.write_error(prompts[i].record.error);
        continue;
      }
      Json completions = Json::array();
      for (int64_t sample = 0; sample < o.num_generations; ++sample) {
        cut_short += rollouts[next].finish_reason == FinishReason::abort;
        completions.push_back(completion_json(rollouts[next++], tokenizer));
      }
      if (o.has_prompt) {
        for (const Json& c : completions) writer.write_text(c["text"].get<std::string>());
        continue;
      }
      Json answer = std::move(prompts[i].record.value);
      answer["completions"] = std::move(completions);
      writer.write(answer);
    }
  }
};

int run(Options& o) {
  ExecOwner owner(o.model.thread_count(), {}, o.model.gpu());
  const LoadedModel model = o.model.load(owner.exec());
  // A function of the model alone: what one record gets must not depend on the others.
  if (o.generator.max_completion_length == 0)
    o.generator.max_completion_length = std::clamp<int64_t>(model.policy->config.max_positions / 2, 1, kDefaultLength);
  const SamplingParams& sampling = o.generator.sampling;  // the ranges of options let NaN pass
  CHECK_USAGE(!std::isnan(sampling.temperature) && !std::isnan(sampling.top_p) && !std::isnan(sampling.min_p) &&
                  !std::isnan(o.generator.kv_cache.gb),
              "--temperature, --top-p, --min-p and --kv-cache-gb are numbers, found nan");
  CHECK_USAGE(o.generator.min_completion_length <= o.generator.max_completion_length,
              "--min-completion-length {} is more than --max-completion-length {}",
              o.generator.min_completion_length, o.generator.max_completion_length);
  const std::optional<GpuMemory> on_gpu = gpu_memory();
  o.generator.kv_cache.free_bytes = on_gpu ? on_gpu->free : free_memory();
  cache_of_one(1, model, o.generator).require_one();  // else no record could be served
  std::vector<Prompt> prompts = read_prompts(o, model);

  int64_t longest = 1, sequences = 0;
  for (const Prompt& prompt : prompts) {
    if (!prompt.served()) continue;
    longest = std::max(longest, static_cast<int64_t>(prompt.tokens.size()));
    sequences += o.num_generations;
  }
  o.generator.max_num_seqs = std::clamp<int64_t>(sequences, 1, o.generator.max_num_seqs);
  add_stops(o.generator, model, o.stop, token_ids(o.stop_token_ids), {.stop = "--stop", .stop_token_ids = "--stop-token-ids"});
  // When no record can be served there is nothing to generate, and no length that fits.
  std::optional<Generator> generator;
  if (sequences > 0) generator.emplace(*model.policy, o.generator, longest).cache_size().require_free();

  StatusLine line;
  StageProgress stage(line);
  RecordWriter writer(o.files);
  int64_t done = 0;
  const auto progress = [&](int64_t finished) {
    if (!shown_on_terminal(o.files.output)) stage.update("completions", done + finished, sequences);
  };
  // Written a piece at a time, so that a long job shows what it has.
  const size_t piece =
      static_cast<size_t>(std::max<int64_t>(1, 16 * o.generator.max_num_seqs / o.num_generations));
  const StopSignals signals(CtrlC::asks);
  Answers answers;
  GenerateStats stats;
  for (size_t begin = 0; begin < prompts.size() && !signals.requested(); begin += piece) {
    const size_t end = std::min(begin + piece, prompts.size());
    std::vector<Rollout> rollouts;
    if (generator) {
      rollouts = generate_some(prompts, begin, end, o.num_generations, *generator, owner.exec(), progress,
                               [&] { return signals.requested(); });
      if (!rollouts.empty()) stats += generator->stats();
    }
    answers.write(prompts, begin, end, rollouts, signals.requested(), o, model.tokenizer, writer);
    done += static_cast<int64_t>(rollouts.size());
  }
  stage.close();
  if (o.stats && generator) print_stats(stats, generator->cache_size());
  const int code = writer.finish();
  if (answers.written == static_cast<int64_t>(prompts.size()) && answers.cut_short == 0) return code;
  tell(fmt::format("cohort: stopped on request: {} of {} records are written, {} of their completions cut short (finish_reason \"{}\")\n",
                   answers.written, prompts.size(), answers.cut_short, finish_reason_name(FinishReason::abort)));
  return static_cast<int>(ExitCode::kStopped);
}

}  // namespace

Action add_generate(App& app) {
  auto o = std::make_shared<Options>();
  GeneratorConfig& g = o->generator;
  const auto option = [&](const char* name, auto& value, const char* help) {
    return app.add_option(name, value, help).show_default();
  };
  o->model.add_options(app);
  const Option prompt = app.add_option("--prompt", o->prompt, "one prompt; prints text, not JSON");
  o->files.add_options(app);
  app.option("--input").excludes(prompt);
  app.add_flag("--chat", o->chat,
               "a text prompt is one user message for the model's chat template");
  o->chat_arguments.add_options(app);
  option("--num-generations", o->num_generations, "completions of each prompt")
      .range(1, 65536);
  g.max_completion_length = 0;
  app.add_option("--max-completion-length", g.max_completion_length,
                 "tokens; default: 256, or half of the model's positions where that is less")
      .range(int64_t{1}, int64_t{1} << 24);
  option("--min-completion-length", g.min_completion_length, "tokens before which it cannot stop")
      .range(int64_t{0}, int64_t{1} << 24);
  app.add_option("--stop", o->stop,
                 "a completion ends when its text holds this; may be given several times. The text keeps it")
      .type_name("TEXT")
      .one_value();
  app.add_option("--stop-token-ids", o->stop_token_ids, "more tokens that end a completion: 2,107").type_name("IDS");
  option("--temperature", g.sampling.temperature, "0: the most likely token each time")
      .range(0.0, 100.0);
  option("--top-k", g.sampling.top_k, "draw among the k most likely tokens; 0: all")
      .range(0, INT32_MAX);
  option("--top-p", g.sampling.top_p, "draw among the fewest tokens with this probability")
      .range(1e-6, 1.0);
  option("--min-p", g.sampling.min_p, "drop tokens less likely than this times the most likely one")
      .range(0.0, 1.0);
  option("--seed", g.seed, "of the draws; the same seed gives the same completions");
  option("--max-num-seqs", g.max_num_seqs, "sequences decoded together; no result depends on it")
      .range(1, 65536);
  g.kv_cache.key = "--kv-cache-gb";
  option("--kv-cache-gb", g.kv_cache.gb,
         "the most that the KV cache takes, in 10^9 bytes; 0: what --max-num-seqs sequences need, within half of "
         "the memory that is free. No result depends on it")
      .range(0.0, 1e6);
  app.add_flag("--stats", o->stats, "print prefill and decode tokens per second, how full the batch and how large the "
               "KV cache was, on standard error");
  app.footer(
      "A line in: {\"prompt\"} (text or messages), {\"messages\"} or {\"ids\"}; other columns are "
      "kept.\nA line out: {..., \"completions\": [{\"text\", \"ids\", \"logprobs\", "
      "\"finish_reason\"}]}; finish_reason is stop, length, or abort.\n"
      "Ctrl-C (or SIGTERM) writes what is there, in order, and ends with exit code 75; a second one ends at once.");
  return [o, prompt] {
    o->has_prompt = prompt.given();
    return run(*o);
  };
}

}  // namespace cohort
