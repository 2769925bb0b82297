// tokenizer.json and tokenizer_config.json of a GGUF file.
#include "model/formats/gguf_tokenizer.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/check.h"
#include "core/json.h"
#include "model/formats/in_quotes.h"

namespace cohort {
namespace {

constexpr int64_t kMaxTokenId = (1 << 20) - 1;  // as the tokenizer that will read it

// tokenizer.ggml.token_type (llama.cpp, enum llama_token_type)
constexpr int64_t kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5;

// What convert_gguf_tokenizer understands, or need not (scores belong to unigram models).
constexpr std::string_view kKnownKeys[] = {"model",         "pre",           "tokens",
                                           "token_type",    "merges",        "scores",
                                           "add_bos_token", "add_eos_token", "add_space_prefix"};

struct Vocabulary {
  const std::vector<std::string_view>& tokens;
  std::vector<int64_t> types;
  std::unordered_map<std::string_view, int64_t> ids;  // without unused tokens
};

void check_keys(const GgufFile& file) {
  constexpr std::string_view kPrefix = "tokenizer.ggml.";
  for (const auto& [key, value] : file.values) {
    if (!key.starts_with(kPrefix) || key.ends_with("_token_id")) continue;
    const std::string_view name = key.substr(kPrefix.size());
    CHECK_INPUT(
        std::find(std::begin(kKnownKeys), std::end(kKnownKeys), name) != std::end(kKnownKeys),
        "{}: unknown key {}: it may change the tokens; known are tokenizer.ggml.{{{}}} and "
        "..._token_id",
        file.where, in_quotes(key), fmt::join(kKnownKeys, ", "));
  }
  const std::string_view model = file.get_string("tokenizer.ggml.model");
  CHECK_INPUT(model == "gpt2",
              "{}: tokenizer.ggml.model {} is not supported; supported is gpt2 (byte-level BPE)",
              file.where, in_quotes(model));
  CHECK_INPUT(!file.get_bool_or("tokenizer.ggml.add_space_prefix", false),
              "{}: tokenizer.ggml.add_space_prefix is true, which is not supported", file.where);
}

Vocabulary read_vocabulary(const GgufFile& file) {
  const std::vector<std::string_view>& tokens = file.get_strings("tokenizer.ggml.tokens");
  CHECK_INPUT(!tokens.empty() && tokens.size() <= static_cast<size_t>(kMaxTokenId) + 1,
              "{}: tokenizer.ggml.tokens has {} tokens; allowed are 1 to {}", file.where,
              tokens.size(), kMaxTokenId + 1);
  Vocabulary vocabulary{tokens, std::vector<int64_t>(tokens.size(), kNormal), {}};
  if (file.has("tokenizer.ggml.token_type"))
    vocabulary.types = file.get_ints("tokenizer.ggml.token_type", tokens.size());
  vocabulary.ids.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    const int64_t type = vocabulary.types[id];
    CHECK_INPUT(type == kNormal || type == kControl || type == kUserDefined || type == kUnused,
                "{}: token {} ({}) has the type {}; allowed are normal (1), control (3), "
                "user-defined (4), unused (5)",
                file.where, id, in_quotes(tokens[id]), type);
    if (type == kUnused) continue;
    CHECK_INPUT(!tokens[id].empty(), "{}: token {} is empty", file.where, id);
    CHECK_INPUT(vocabulary.ids.try_emplace(tokens[id], static_cast<int64_t>(id)).second,
                "{}: tokens {} and {} are both {}", file.where, vocabulary.ids[tokens[id]], id,
                in_quotes(tokens[id]));
  }
  return vocabulary;
}

// The steps before BPE, which the file only names.
Json pre_tokenizer_json(const GgufFile& file) {
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  const std::string_view name = file.get_string("tokenizer.ggml.pre");
  if (name == "gpt-2") return byte_level;
  if (name == "smollm")
    return {{"type", "Sequence"},
            {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", true}}, byte_level}}};
  // Written by converters that did not recognise the tokenizer; llama.cpp then splits in a way of
  // its own, which is not GPT-2's and probably not the model's.
  CHECK_INPUT(name != "default",
              "{}: tokenizer.ggml.pre is 'default': the file does not say how its model splits "
              "text; supported are "
              "smollm, gpt-2",
              file.where);
  fail(ExitCode::kInput, "{}: tokenizer.ggml.pre {} is not supported; supported are smollm, gpt-2",
       file.where, in_quotes(name));
}

Json added_token_json(int64_t id, std::string_view content, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

// TemplateProcessing that puts bos before and eos behind a text, or null.
Json post_processor_json(const GgufFile& file, const Vocabulary& vocabulary, int64_t bos,
                         int64_t eos) {
  Json single = Json::array(), pair = Json::array(), special = Json::object();
  const auto add_token = [&](const char* flag, const char* name, int64_t id) {
    if (!file.get_bool_or(fmt::format("tokenizer.ggml.{}", flag), false)) return;
    CHECK_INPUT(id >= 0, "{}: tokenizer.ggml.{} is true, but there is no tokenizer.ggml.{}",
                file.where, flag, name);
    const std::string token(vocabulary.tokens[id]);
    special[token] = {{"id", token}, {"ids", {id}}, {"tokens", {token}}};
    single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
    pair.push_back(single.back());
  };
  add_token("add_bos_token", "bos_token_id", bos);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  pair.push_back(single.back());
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 0}}}});
  add_token("add_eos_token", "eos_token_id", eos);
  if (special.empty()) return nullptr;
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", special}};
}

std::string vocab_json(const Vocabulary& vocabulary) {
  std::string json = "{";
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id)
    if (vocabulary.types[id] != kUnused)
      json += fmt::format("{}{}:{}", json.size() > 1 ? "," : "",
                          dump_json(Json(vocabulary.tokens[id])), id);
  return json + "}";
}

// "left right": a byte-level token has no space in it. Each merge must make a token out of two
// others.
std::string merges_json(const GgufFile& file, const Vocabulary& vocabulary) {
  const std::vector<std::string_view>& merges = file.get_strings("tokenizer.ggml.merges");
  std::unordered_set<std::string_view> seen;
  std::string json = "[", merged;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    const size_t space = merge.find(' ');
    CHECK_INPUT(space != merge.npos && merge.find(' ', space + 1) == merge.npos,
                "{}: merge {} is {}; expected two tokens with a space between", file.where, rank,
                in_quotes(merge));
    CHECK_INPUT(seen.insert(merge).second, "{}: merge {}, {}, stands twice", file.where, rank,
                in_quotes(merge));
    const std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    merged.assign(left).append(right);
    for (const std::string_view part : {left, right, std::string_view(merged)})
      CHECK_INPUT(vocabulary.ids.contains(part), "{}: merge {}, {}: {} is no token", file.where,
                  rank, in_quotes(merge), in_quotes(part));
    json += fmt::format("{}{}", rank > 0 ? "," : "", dump_json(Json(merge)));
  }
  return json + "]";
}

// Written piece by piece: the two long lists would be slow as a document.
std::string tokenizer_json(const GgufFile& file, const Vocabulary& vocabulary,
                           const GgufTokenizer& ids) {
  std::string added;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const int64_t type = vocabulary.types[id];
    if (type != kControl && type != kUserDefined) continue;
    added += fmt::format("{}\n{}", added.empty() ? "" : ",",
                         dump_json(added_token_json(static_cast<int64_t>(id), vocabulary.tokens[id],
                                                    type == kControl)));
  }
  const Json decoder = {{"type", "ByteLevel"},
                        {"add_prefix_space", true},
                        {"trim_offsets", true},
                        {"use_regex", true}};
  std::string json =
      "{\"version\":\"1.0\",\n\"truncation\":null,\n\"padding\":null,\n\"added_tokens\":[" + added +
      "],\n";
  json += "\"normalizer\":null,\n\"pre_tokenizer\":" + dump_json(pre_tokenizer_json(file));
  json +=
      ",\n\"post_processor\":" + dump_json(post_processor_json(file, vocabulary, ids.bos, ids.eos));
  json += ",\n\"decoder\":" + dump_json(decoder);
  json +=
      ",\n\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_"
      "prefix\":null,"
      "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":"
      "false,\n\"vocab\":";
  json += vocab_json(vocabulary);
  json += ",\n\"merges\":" + merges_json(file, vocabulary) + "}}\n";
  return json;
}

std::string tokenizer_config_json(const GgufFile& file, const Vocabulary& vocabulary,
                                  const GgufTokenizer& ids) {
  Json config = {{"add_prefix_space", false}, {"clean_up_tokenization_spaces", false}};
  const auto add_token = [&](const char* name, int64_t id) {
    if (id >= 0) config[name] = vocabulary.tokens[id];
  };
  add_token("bos_token", ids.bos);
  add_token("eos_token", ids.eos);
  add_token("pad_token", ids.pad);
  add_token("unk_token", ids.unk);
  if (file.has("llama.context_length"))
    config["model_max_length"] = file.get_int("llama.context_length", 1, INT32_MAX);
  // The class that takes every step from tokenizer.json; GPT2Tokenizer brings steps of its own.
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (file.has("tokenizer.chat_template"))
    config["chat_template"] = file.get_string("tokenizer.chat_template");
  return dump_json(config, 2) + "\n";
}

}  // namespace

GgufTokenizer convert_gguf_tokenizer(const GgufFile& file) {
  check_keys(file);
  const Vocabulary vocabulary = read_vocabulary(file);
  GgufTokenizer result;
  result.vocab_size = static_cast<int64_t>(vocabulary.tokens.size());
  const auto token_id = [&](const char* name) -> int64_t {
    const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
    if (!file.has(key)) return -1;
    const int64_t id = file.get_int(key, 0, result.vocab_size - 1);
    CHECK_INPUT(vocabulary.types[id] != kUnused, "{}: {} is {}, which is unused", file.where, key,
                id);
    return id;
  };
  result.bos = token_id("bos");
  result.eos = token_id("eos");
  result.unk = token_id("unknown");
  result.pad = token_id("padding");
  result.tokenizer_json = tokenizer_json(file, vocabulary, result);
  result.tokenizer_config_json = tokenizer_config_json(file, vocabulary, result);
  return result;
}

}  // namespace cohort
