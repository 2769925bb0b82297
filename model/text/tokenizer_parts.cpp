// The strict reader of tokenizer.json's steps.
#include "model/text/tokenizer_parts.h"

#include "core/check.h"
#include "model/text/tokenizer_part.h"
#include "model/text/tokenizer_steps.h"

namespace cohort {
namespace {

using Part = TokenizerPart;

// TemplateProcessing of one text: ids before and after it. The template of pairs is of no use here.
void read_template(const Part& part, TokenizerParts& parts) {
  part.allow({"type", "single", "pair", "special_tokens"});
  bool before = true;
  for (const Part& piece : part.list("single")) {
    if (piece.json.contains("Sequence")) {
      CHECK_INPUT(before, "{}: a second Sequence is not supported; supported is one", piece.path);
      before = false;
      continue;
    }
    CHECK_INPUT(piece.json.contains("SpecialToken"), "{}: supported are SpecialToken and Sequence",
                piece.path);
    const std::string name = get_string(piece.at("SpecialToken").json, "id", piece.path);
    CHECK_INPUT(part.json.contains("special_tokens") && part.json["special_tokens"].contains(name),
                "{}: '{}' is not among the special_tokens", piece.path, name);
    const Json& token = part.json["special_tokens"][name];
    CHECK_INPUT(token.contains("ids") && token["ids"].is_array(),
                "{}: special_tokens['{}'] has no ids", part.path, name);
    for (const Json& id : token["ids"]) {
      CHECK_INPUT(id.is_number_integer() && id >= 0 && id <= kMaxTokenId,
                  "{}: special_tokens['{}'] has a bad id {}", part.path, name, id.dump());
      (before ? parts.prefix : parts.suffix).push_back(id.get<int32_t>());
    }
  }
  CHECK_INPUT(!before, "{}: 'single' has no Sequence: the text itself would be dropped", part.path);
}

// [token, id] at `key`.
int32_t id_of_pair(const Part& part, std::string_view key) {
  const auto it = part.json.find(std::string(key));
  CHECK_INPUT(it != part.json.end() && it->is_array() && it->size() == 2 &&
                  (*it)[1].is_number_integer() && (*it)[1] >= 0 && (*it)[1] <= kMaxTokenId,
              "{}: '{}' must be [token, id]", part.path, key);
  return (*it)[1].get<int32_t>();
}

// Says whether the processor adds tokens.
bool read_processor(const Part& part, TokenizerParts& parts) {
  const std::string type = part.type();
  if (type == "ByteLevel") {
    part.allow({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    return false;
  }
  if (type == "TemplateProcessing") {
    read_template(part, parts);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    part.allow({"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
    parts.prefix.push_back(id_of_pair(part, "cls"));
    parts.suffix.push_back(id_of_pair(part, "sep"));
  } else {
    part.refuse_type(
        "ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing, a Sequence of them, or "
        "null");
  }
  return true;
}

void read_post_processor(const Part& part, TokenizerParts& parts) {
  if (part.type() != "Sequence") {
    read_processor(part, parts);
    return;
  }
  part.allow({"type", "processors"});
  int adding = 0;
  for (const Part& step : part.list("processors")) adding += read_processor(step, parts);
  CHECK_INPUT(adding <= 1, "{}: {} processors add tokens; supported is one", part.path, adding);
}

AddedToken read_added_token(const Part& part) {
  part.allow({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedToken token;
  token.id = static_cast<int32_t>(get_int(part.json, "id", part.path, 0, kMaxTokenId));
  token.content = get_string(part.json, "content", part.path);
  CHECK_INPUT(!token.content.empty(), "{}: an added token must not be empty", part.path);
  token.single_word = part.flag("single_word", false);
  token.lstrip = part.flag("lstrip", false);
  token.rstrip = part.flag("rstrip", false);
  token.special = part.flag("special", false);
  token.normalized = part.flag("normalized", !token.special);
  return token;
}

void read_model(const Part& model, TokenizerParts& parts) {
  if (model.json.contains("type") && model.type() != "BPE") model.refuse_type("BPE");
  model.allow({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
               "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  model.refuse_unless("dropout", 0.0);
  model.refuse_unless("continuing_subword_prefix", "");
  model.refuse_unless("end_of_word_suffix", "");
  const auto merges = model.json.find("merges");
  CHECK_INPUT(merges != model.json.end() && merges->is_array(),
              "{}: 'merges' {}; allowed is a list of merges, which may be empty", model.path,
              merges == model.json.end() ? std::string("is missing")
                                         : fmt::format("is of the kind {}", merges->type_name()));
  parts.model.fuse_unk = model.flag("fuse_unk", false);
  parts.model.byte_fallback = model.flag("byte_fallback", false);
  parts.model.unk_token = get_string_or(model.json, "unk_token", model.path, "");
  parts.model.ignore_merges = model.flag("ignore_merges", false);
}

}  // namespace

TokenizerParts read_tokenizer_parts(const Json& rest, std::string_view where) {
  const Part root{rest, std::string(where)};
  root.allow({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
              "post_processor", "decoder", "model"});
  root.refuse_unless("truncation", nullptr);
  root.refuse_unless("padding", nullptr);
  if (const std::string version = get_string_or(rest, "version", where, "1.0"); version != "1.0")
    fail(ExitCode::kInput, "{}: version '{}' is not supported; supported is 1.0", where, version);

  const auto present = [&](const char* key) {
    const auto it = rest.find(key);
    if (it == rest.end() || it->is_null()) return false;
    CHECK_INPUT(it->is_object(), "{}: '{}' must be an object; found {}", where, key, it->dump());
    return true;
  };
  TokenizerParts parts;
  CHECK_INPUT(present("model"), "{}: no 'model'", where);
  read_model(root.at("model"), parts);
  if (present("normalizer")) parts.normalizer = read_normalizer(root.at("normalizer"));
  if (present("pre_tokenizer")) parts.pre_tokenizer = read_pre_tokenizer(root.at("pre_tokenizer"));
  parts.model.byte_level = parts.pre_tokenizer.byte_level;
  if (present("post_processor")) read_post_processor(root.at("post_processor"), parts);
  if (present("decoder"))
    parts.decoder = read_decoder(root.at("decoder"));
  else
    parts.decoder.separator.assign(1, ' ');
  if (rest.contains("added_tokens") && !rest["added_tokens"].is_null())
    for (const Part& token : root.list("added_tokens"))
      parts.added_tokens.push_back(read_added_token(token));
  return parts;
}

}  // namespace cohort
