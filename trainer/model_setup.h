// Everything a command needs of a model: policy, tokenizer, template; from a Hugging Face folder or made from the config.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/formats/write_weights.h"
#include "model/policy.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"
#include "trainer/config.h"
#include "trainer/model_files.h"

namespace cohort {

struct LoadedModel {
  std::unique_ptr<Policy> policy;
  Tokenizer tokenizer;
  ChatTemplate chat_template;
  std::filesystem::path source;  // the folder its config and tokenizer files came from; of an adapter: its base's
  std::filesystem::path adapter = {};  // the folder of an adapter that is merged into the weights; empty: none
};

// The dtype in memory: auto | float32 | bfloat16. `exact`: what auto gives.
DType dtype_in_memory(const std::string& wanted, DType exact);
// The smallest dtype in memory that holds every weight of the folder's files exactly: bfloat16 when all are bfloat16, else
// float32 (float16 has more digits than bfloat16). Without weights: the same of the dtype that config.json names.
DType exact_dtype(const std::filesystem::path& model_dir);

// dtype: auto (exact_dtype) | float32 | bfloat16.    shards: logical ranks (1 for inference)
// For inference also an adapter's folder (model/adapter_folder.h): its base, which `base` may name, with the adapter merged into
// the weights; the adapter's tokenizer and template where it has some.
LoadedModel load_model(const std::filesystem::path& model_dir, const std::string& dtype, int64_t shards, const Exec& ex,
                       PolicyUse use = PolicyUse::training, const std::filesystem::path& base = {});

// For `cohort rm`: a reward model as it is, or a language model as the beginning of one (model/score_head.h), whose score is a function of
// `seed`; `config_json` is then what its config.json becomes, and else "".
struct RewardModelStart {
  LoadedModel model;
  std::string config_json;
};
RewardModelStart load_as_reward_model(const std::filesystem::path& model_dir, const std::string& dtype, int64_t shards, uint64_t seed, const Exec& ex);

// True when the policy's weights are roundings of what the files hold: bfloat16 of float32 or float16. Training then
// starts from the files' numbers (read_masters), and saves its float32 masters.
bool weights_are_rounded(const Policy& policy, const ModelFiles& files);
// out[i] = the folder's number at begin + i of the flat weights, exactly; 0 in the gaps between parameters, and where the folder has none (a
// score that is new).
void read_masters(const ParamTable& table, const std::filesystem::path& model_dir, int64_t begin, std::span<float> out);

// config.json and the tokenizer's files of a from-scratch model, or from-scratch reward model: a byte-level tokenizer with the special
// token <|endoftext|> as EOS. Written into a folder they are a model folder like any other, but for its weights.
ModelFiles initial_model_files(const ModelInitConfig& init, const std::string& dtype, bool reward_model = false);
void write_initial_model(const ModelFiles& files, const std::filesystem::path& dir);
// What those files say.
ModelConfig initial_model_config(const ModelInitConfig& init, const std::string& dtype, bool reward_model = false);

// The tokenizer of a config's model, which need be neither loaded nor made.
Tokenizer tokenizer_of(const ModelSection& model);

// A fresh policy for those files, of which no folder need be there yet, or for the folder they were written to; weights are a function of `seed`.
LoadedModel init_model(const ModelFiles& files, const std::string& dtype, int64_t shards, uint64_t seed, const Exec& ex);
LoadedModel init_model(const std::filesystem::path& dir, const std::string& dtype, int64_t shards, uint64_t seed,
                       const Exec& ex);

struct SaveOptions {
  std::optional<StoredDType> dtype;      // of all weights, also in config.json; default: each tensor's own in the source
  uint64_t max_shard_bytes = kMaxShardBytes;
  std::span<const float> masters = {};   // (table.size) what the weights are roundings of; default: the weights
};

// Every token of the tokenizer but special ones (Gemma 3's <image_soft_token>) is in the model's vocabulary; exit code 3.
void check_vocabulary(const Tokenizer& tokenizer, const ModelConfig& config, const std::filesystem::path& dir);
// A text that spells such a token cannot be run: exit code 3. `where` leads the message: "the text".
void check_text_ids(std::span<const int32_t> ids, const Tokenizer& tokenizer, int64_t vocab_size, std::string_view where);
// What loading would refuse, but for the numbers themselves: adapters, config, names and shapes of the weights, tokenizer,
// template.
void check_model_folder(const std::filesystem::path& dir);

// Writes a Hugging Face folder that transformers and vLLM load: config, tokenizer files and chat templates byte for byte as
// they stand in `source`; the weights with one rounding from memory to each tensor's dtype in `source` (without weights there:
// the dtype that its config.json names), so that a weight that was not changed is what was read, byte for byte. A tied head is
// written once, as the embedding. Out of space: exit code 6; a number that the dtype cannot hold: exit code 5.
void save_model(const Policy& policy, const ModelFiles& from, const std::filesystem::path& dir,
                const SaveOptions& options = {});
void save_model(const Policy& policy, const std::filesystem::path& source, const std::filesystem::path& dir,
                const SaveOptions& options = {});

// What ends a completion: the EOS tokens of the model's config, and the tokenizer's.
std::vector<int32_t> stop_tokens(const LoadedModel& model);

}  // namespace cohort
