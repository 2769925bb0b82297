// The strict reader of tokenizer.json's steps.
#include "model/text/tokenizer_parts.h"

#include <algorithm>
#include <initializer_list>

#include "core/check.h"

namespace cohort {
namespace {

// One object of the file, with its path for messages ("tokenizer.json:
// pre_tokenizer.pretokenizers[0]").
struct Part {
  const Json& json;
  std::string path;

  std::string type() const { return get_string(json, "type", path); }
  bool flag(std::string_view key, bool fallback) const {
    return get_bool_or(json, key, path, fallback);
  }
  Part at(std::string_view key) const {
    return {json.at(std::string(key)), fmt::format("{}.{}", path, key)};
  }

  void allow(std::initializer_list<std::string_view> keys) const {
    for (const auto& [key, value] : json.items())
      CHECK_INPUT(std::find(keys.begin(), keys.end(), key) != keys.end(),
                  "{}: unknown key '{}'; allowed are {}", path, key, fmt::join(keys, ", "));
  }
  // Null, absent, or equal to `harmless`; everything else asks for something cohort does not do.
  void refuse_unless(std::string_view key, const Json& harmless) const {
    const auto it = json.find(std::string(key));
    CHECK_INPUT(it == json.end() || it->is_null() || *it == harmless,
                "{}: '{}' is {}, which is not supported; supported is null or {}", path, key,
                it->dump(), harmless.dump());
  }
  std::vector<Part> list(std::string_view key) const {
    const auto it = json.find(std::string(key));
    CHECK_INPUT(it != json.end() && it->is_array(), "{}: '{}' must be a list", path, key);
    std::vector<Part> parts;
    for (size_t i = 0; i < it->size(); ++i) {
      CHECK_INPUT((*it)[i].is_object(), "{}.{}[{}] must be an object", path, key, i);
      parts.push_back({(*it)[i], fmt::format("{}.{}[{}]", path, key, i)});
    }
    return parts;
  }
};

[[noreturn]] void refuse_type(const Part& part, std::string_view allowed) {
  fail(ExitCode::kInput, "{}: type '{}' is not supported; supported are {}", part.path, part.type(),
       allowed);
}

bool read_normalizer(const Part& part) {
  if (part.type() == "NFC") {
    part.allow({"type"});
    return true;
  }
  if (part.type() == "Sequence") {
    part.allow({"type", "normalizers"});
    bool nfc = false;
    for (const Part& step : part.list("normalizers")) nfc |= read_normalizer(step);
    return nfc;
  }
  refuse_type(part, "NFC, a Sequence of it, or null");
}

PreTokenizer::Pattern read_byte_level(const Part& part) {
  if (part.type() != "ByteLevel")
    refuse_type(part, "ByteLevel, or Sequence of Digits and ByteLevel");
  part.allow({"type", "add_prefix_space", "trim_offsets", "use_regex"});
  CHECK_INPUT(!part.flag("add_prefix_space", true),
              "{}: add_prefix_space is true, which is not supported; supported is false",
              part.path);
  return part.flag("use_regex", true) ? PreTokenizer::Pattern::kGpt2 : PreTokenizer::Pattern::kNone;
}

PreTokenizer read_pre_tokenizer(const Part& part) {
  PreTokenizer how;
  if (part.type() != "Sequence") {
    how.pattern = read_byte_level(part);
    return how;
  }
  part.allow({"type", "pretokenizers"});
  const std::vector<Part> steps = part.list("pretokenizers");
  CHECK_INPUT(
      steps.size() == 1 || steps.size() == 2,
      "{}: {} steps are not supported; supported are ByteLevel, or Digits and then ByteLevel",
      part.path, steps.size());
  if (steps.size() == 2) {
    if (steps[0].type() != "Digits") refuse_type(steps[0], "Digits (before ByteLevel)");
    steps[0].allow({"type", "individual_digits"});
    how.digits = steps[0].flag("individual_digits", false) ? PreTokenizer::Digits::kIndividual
                                                           : PreTokenizer::Digits::kRuns;
  }
  how.pattern = read_byte_level(steps.back());
  return how;
}

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

void read_post_processor(const Part& part, TokenizerParts& parts) {
  if (part.type() == "ByteLevel")
    return part.allow({"type", "add_prefix_space", "trim_offsets", "use_regex"});
  if (part.type() == "TemplateProcessing") return read_template(part, parts);
  if (part.type() != "Sequence")
    refuse_type(part, "ByteLevel, TemplateProcessing, a Sequence of them, or null");
  part.allow({"type", "processors"});
  int templates = 0;
  for (const Part& step : part.list("processors")) {
    if (step.type() == "Sequence") refuse_type(step, "ByteLevel and TemplateProcessing");
    templates += step.type() == "TemplateProcessing";
    read_post_processor(step, parts);
  }
  CHECK_INPUT(templates <= 1, "{}: {} TemplateProcessing steps; supported is one", part.path,
              templates);
}

void read_decoder(const Part& part) {
  if (part.type() != "ByteLevel") refuse_type(part, "ByteLevel");
  part.allow({"type", "add_prefix_space", "trim_offsets", "use_regex"});
}

AddedToken read_added_token(const Part& part) {
  part.allow({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedToken token;
  token.id = static_cast<int32_t>(get_int(part.json, "id", part.path, 0, kMaxTokenId));
  token.content = get_string(part.json, "content", part.path);
  CHECK_INPUT(!token.content.empty(), "{}: an added token must not be empty", part.path);
  CHECK_INPUT(!part.flag("single_word", false),
              "{} ('{}'): single_word is true, which is not supported", part.path, token.content);
  token.lstrip = part.flag("lstrip", false);
  token.rstrip = part.flag("rstrip", false);
  token.special = part.flag("special", false);
  token.normalized = part.flag("normalized", !token.special);
  return token;
}

void read_model(const Part& model, TokenizerParts& parts) {
  if (model.json.contains("type") && model.type() != "BPE") refuse_type(model, "BPE");
  model.allow({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
               "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  model.refuse_unless("dropout", 0.0);
  model.refuse_unless("continuing_subword_prefix", "");
  model.refuse_unless("end_of_word_suffix", "");
  model.refuse_unless("fuse_unk", false);
  model.refuse_unless("byte_fallback", false);
  parts.unk_token = get_string_or(model.json, "unk_token", model.path, "");
  parts.ignore_merges = model.flag("ignore_merges", false);
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
  if (present("normalizer")) parts.nfc = read_normalizer(root.at("normalizer"));
  CHECK_INPUT(present("pre_tokenizer"),
              "{}: pre_tokenizer is null; supported is ByteLevel, alone or after Digits", where);
  parts.pre_tokenizer = read_pre_tokenizer(root.at("pre_tokenizer"));
  if (present("post_processor")) read_post_processor(root.at("post_processor"), parts);
  CHECK_INPUT(present("decoder"), "{}: decoder is null; supported is ByteLevel", where);
  read_decoder(root.at("decoder"));
  if (rest.contains("added_tokens") && !rest["added_tokens"].is_null())
    for (const Part& token : root.list("added_tokens"))
      parts.added_tokens.push_back(read_added_token(token));
  return parts;
}

}  // namespace cohort
