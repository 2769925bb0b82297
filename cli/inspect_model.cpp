#include "cli/inspect_model.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "trainer/memory_plan.h"
#include "core/files.h"
#include "core/text.h"
#include "model/adapter_folder.h"
#include "model/formats/safetensors.h"
#include "model/params.h"
#include "trainer/model_setup.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// "134,515,008"
std::string grouped(int64_t number) {
  std::string digits = fmt::format("{}", number);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), 1, ',');
  return digits;
}

int64_t count_of(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return count;
}

void parameter_rows(const ModelConfig& model) {
  const ParamTable table = make_param_table(model, 1);
  int64_t embedding = 0, head = 0;
  for (const ParamEntry& entry : table.entries) {
    if (entry.offset == table.embedding) embedding += entry.size();
    if (entry.offset == table.head && table.head != table.embedding) head += entry.size();
  }
  inspect_row("parameters", "{}", grouped(table.count));
  inspect_row("", "embedding {}, {} layers {}, {} {}", grouped(embedding), model.num_layers,
              grouped(table.count - embedding - head), model.is_classifier() ? "score" : "head",
              head > 0 ? grouped(head) : "shared with the embedding");
}

// Dtypes by size, files and their bytes.
void weight_rows(const fs::path& dir, const ModelConfig& model) {
  if (!fs::exists(dir / "model.safetensors") && !fs::exists(dir / "model.safetensors.index.json")) {
    inspect_row("dtype", "{} (says config.json)", stored_name(model.dtype));
    inspect_row("weights", "none here: neither model.safetensors nor model.safetensors.index.json");
    return;
  }
  const SafetensorsFolder folder = SafetensorsFolder::open(dir);
  std::map<std::string, uint64_t> bytes_of;
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : folder.tensors()) bytes_of[tensor.dtype] += tensor.data.size();
  for (const MappedFile& file : folder.files()) bytes += file.bytes().size();
  std::string dtypes;
  for (const auto& [dtype, size] : bytes_of) {
    const std::optional<StoredDType> known = stored_dtype_of_file(dtype);
    dtypes += fmt::format("{}{}{}", dtypes.empty() ? "" : ", ", known ? stored_name(*known) : dtype.c_str(),
                          bytes_of.size() > 1 ? fmt::format(" ({})", human_bytes(size)) : "");
  }
  inspect_row("dtype", "{}", dtypes);
  inspect_row("weights", "{} tensors in {}, {}", folder.tensors().size(),
              folder.files().size() == 1 ? folder.files()[0].path().filename().string()
                                         : fmt::format("{} shards", folder.files().size()),
              human_bytes(bytes));
  for (const std::string& warning : folder.warnings()) inspect_row("warning", "{}", warning);
}

std::string rope_text(const RopeConfig& rope) {
  const std::string theta = fmt::format("theta {}", rope.theta);
  switch (rope.type) {
    case RopeConfig::Type::standard:
      return theta;
    case RopeConfig::Type::linear:
      return fmt::format("{}, scaled by {}", theta, rope.factor);
    case RopeConfig::Type::llama3:
      return fmt::format("{}, llama3 scaling by {} from {} positions", theta, rope.factor, rope.original_max_positions);
  }
  return theta;
}

void position_rows(const ModelConfig& model) {
  inspect_row("context", "{} positions", model.max_positions);
  inspect_row("rope", "{}", rope_text(model.rope));
  const auto local = std::ranges::count(model.local_layers, true);
  if (local > 0)
    inspect_row("local layers", "{} of {}, a window of {}, rope {}", local, model.num_layers, model.window,
                rope_text(model.local_rope));
}

// "<|im_start|> (1)", printable.
std::string token_text(const Tokenizer& tokenizer, const std::string& token) {
  const std::optional<int32_t> id = tokenizer.id_of(token);
  const std::string quoted = dump_json(Json(token));
  return fmt::format("{} ({})", quoted.substr(1, quoted.size() - 2), id ? fmt::format("{}", *id) : "not in the vocabulary");
}

std::string added_tokens(const Tokenizer& tokenizer) {
  constexpr int kShown = 8;
  std::string text;
  int count = 0;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.is_special(id)) continue;
    if (count++ < kShown) text += fmt::format("{}{}", count > 1 ? ", " : "", token_text(tokenizer, tokenizer.token(id)));
  }
  if (count > kShown) text += fmt::format(", {} more", count - kShown);
  return count == 0 ? "none" : text;
}

void tokenizer_rows(const fs::path& dir, const ModelConfig& model) {
  if (!fs::exists(dir / "tokenizer.json")) {
    inspect_row("vocabulary", "{} rows", model.vocab_size);
    inspect_row("tokenizer", "none here: tokenizer.json is missing");
    return;
  }
  const Tokenizer tokenizer = Tokenizer::load(dir);
  inspect_row("vocabulary", "{} rows, {} tokens in tokenizer.json", model.vocab_size, tokenizer.vocab_size());
  std::string named;
  const auto add = [&](std::string_view name, const std::string& token) {
    named += fmt::format("{}{} {}", named.empty() ? "" : ", ", name, token.empty() ? "none" : token_text(tokenizer, token));
  };
  add("bos", tokenizer.bos_token());
  add("eos", tokenizer.eos_token());
  for (const auto& [key, token] : tokenizer.named_tokens()) add(key.substr(0, key.find("_token")), token);
  inspect_row("special tokens", "{}", named);
  inspect_row("", "{}", added_tokens(tokenizer));
  std::string stops;
  for (const int32_t id : model.eos_token_ids)
    stops += fmt::format("{}{}", stops.empty() ? "" : ", ", token_text(tokenizer, tokenizer.token(id)));
  inspect_row("ends with", "{}", stops.empty() ? "no token named by the model" : stops);
}

std::string template_text(const fs::path& dir) {
  const ChatTemplate chat_template = ChatTemplate::load(dir);
  if (!chat_template.has_template()) return "none";
  std::string uses;
  const std::pair<const char*, const char*> traits[] = {
      {"tools", "tools"}, {"enable_thinking", "enable_thinking"}, {"<think>", "<think>"}, {"strftime_now", "the clock"}};
  for (const auto& [word, name] : traits)
    if (chat_template.source().find(word) != std::string_view::npos)
      uses += fmt::format("{}{}", uses.empty() ? "; mentions " : ", ", name);
  return fs::path(chat_template.where()).filename().string() + uses;
}

void template_row(const fs::path& dir) {
  try {
    inspect_row("chat template", "{}", template_text(dir));
  } catch (const Error& error) {
    inspect_row("chat template", "cannot be used: {}", error.what());
  }
}

void memory_rows(ModelConfig model) {
  const int64_t positions = std::min<int64_t>(model.max_positions, 768);
  Config config;
  config.data.max_prompt_length = std::min(config.data.max_prompt_length, model.max_positions / 2);
  config.rollout.max_completion_length = std::min(config.rollout.max_completion_length, model.max_positions / 2);
  std::string generate, train;
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const std::string separator = generate.empty() ? "" : ", ";
    config.model.dtype = dtype_name(dtype);
    generate += fmt::format("{}{} {}", separator, dtype_name(dtype),
                            human_bytes(total_bytes(generation_memory(model, dtype, 64, positions, 2048))));
    train += fmt::format("{}{} {}", separator, dtype_name(dtype), human_bytes(total_bytes(training_memory({model, config}))));
  }
  const int64_t cached = 2 * model.num_layers * model.num_kv_heads * model.head_size;
  inspect_row("to generate", "{} (64 sequences of {} tokens)", generate, positions);
  inspect_row("", "matrices packed, held once; a token's keys and values take {} numbers", grouped(cached));
  inspect_row("to train", "{} on one rank ({} prompts a step, {} completions of up to {} tokens)", train,
              config.trainer.prompts_per_step, config.rollout.num_generations, config.rollout.max_completion_length);
  inspect_row("", "the same weights; and 14 bytes a parameter or more (float32: 12): gradients, halves of master weights, Adam's moments");
}

}  // namespace

void inspect_adapter(const fs::path& dir, const fs::path& given) {
  inspect_row("adapter", "{}", dir.string());
  try {
    const AdapterConfig adapter = read_adapter_config(dir);
    const LoraConfig& lora = adapter.lora;
    inspect_row("LoRA", "rank {}, alpha {}, scale {}{}", lora.rank, lora.alpha, lora.scale(), lora.rslora ? " (rslora)" : "");
    inspect_row("target modules", "{}{}", fmt::join(lora.target_modules, ", "), adapter.partial ? " and others; not in every layer" : "");
    const fs::path file = dir / "adapter_model.safetensors";
    if (fs::exists(file)) {
      const SafetensorsFolder folder = SafetensorsFolder::open_file(file);
      int64_t count = 0;
      for (const auto& [name, tensor] : folder.tensors()) count += count_of(tensor.shape);
      inspect_row("parameters", "{} in {} tensors", grouped(count), folder.tensors().size());
    }
    inspect_row("base", "{}", adapter.base.empty() ? "not named" : adapter.base);
    const fs::path base = adapter_base(dir, adapter, given);
    check_adapter(load_model_config(base), dir, adapter);
    fmt::print("\n");
    inspect_model(base);
  } catch (const Error& refusal) {
    inspect_row("cannot be loaded", "{}", refusal.what());
  }
}

void inspect_model(const fs::path& dir) {
  const ModelConfig model = load_model_config(dir);
  inspect_row("model", "{}", dir.string());
  inspect_row("architecture", "{} (family {})", model.architecture, model.model_type);
  parameter_rows(model);
  weight_rows(dir, model);
  inspect_row("layers", "{} of {} hidden, {} in the MLP", model.num_layers, model.hidden_size, model.intermediate_size);
  inspect_row("attention", "{} heads of {}, {} key-value heads", model.num_heads, model.head_size, model.num_kv_heads);
  position_rows(model);
  tokenizer_rows(dir, model);
  template_row(dir);
  if (!model.is_classifier()) memory_rows(model);
  try {
    check_model_folder(dir);
  } catch (const Error& refusal) {
    inspect_row("cannot be loaded", "{}", refusal.what());
  }
}

}  // namespace cohort
