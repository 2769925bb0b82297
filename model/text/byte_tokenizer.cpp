// The tokenizer of models made from scratch: one token a byte, no merges, then special tokens.
#include <algorithm>

#include "core/check.h"
#include "core/json.h"
#include "model/text/byte_level.h"
#include "model/text/tokenizer.h"

namespace cohort {

std::string byte_tokenizer_json(std::span<const std::string> special) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back(spell_byte(static_cast<unsigned char>(byte)));
  Json added = Json::array();
  for (const std::string& token : special) {
    CHECK_USAGE(!token.empty() && std::find(tokens.begin(), tokens.end(), token) == tokens.end(),
                "special token '{}' is empty, spells a byte or stands twice", token);
    added.push_back({{"id", tokens.size()},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
    tokens.push_back(token);
  }
  Json json_vocab = Json::object();
  for (size_t id = 0; id < tokens.size(); ++id) json_vocab[tokens[id]] = id;
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", false}};
  const Json file = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", added},
                     {"normalizer", nullptr},
                     {"pre_tokenizer", byte_level},
                     {"post_processor", nullptr},
                     {"decoder", byte_level},
                     {"model",
                      {{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", nullptr},
                       {"continuing_subword_prefix", nullptr},
                       {"end_of_word_suffix", nullptr},
                       {"fuse_unk", false},
                       {"byte_fallback", false},
                       {"ignore_merges", false},
                       {"vocab", json_vocab},
                       {"merges", Json::array()}}}};
  return dump_json(file, 2) + "\n";
}

std::string byte_tokenizer_config_json(std::string_view bos, std::string_view eos,
                                       std::string_view chat_template) {
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false},
                 {"add_prefix_space", false}};
  if (!bos.empty()) config["bos_token"] = bos;
  if (!eos.empty()) config["eos_token"] = config["pad_token"] = eos;
  if (!chat_template.empty()) config["chat_template"] = chat_template;
  return dump_json(config, 2) + "\n";
}

}  // namespace cohort
