// The tokenizer: added tokens, normalisation, pieces, byte-pair encoding; and back.
#include "model/text/tokenizer.h"

#include <algorithm>
#include <deque>

#include "core/check.h"
#include "core/files.h"
#include "core/text.h"
#include "model/text/added_tokens.h"
#include "model/text/bpe.h"
#include "model/text/byte_level.h"
#include "model/text/decoder.h"
#include "model/text/token_map.h"
#include "model/text/tokenizer_file.h"
#include "model/text/tokenizer_parts.h"

namespace cohort {
namespace {

constexpr size_t kMaxFileBytes = size_t{64} << 20;

struct Token {
  std::string text;     // as in tokenizer.json
  std::string decoded;  // what the decoder gets; for the byte-level decoder alone, its bytes
  bool exists = false, special = false;
  bool skipped = false;  // by skip_special_tokens
};

}  // namespace

struct Tokenizer::Impl {
  TokenizerParts parts;
  TokenMap id_of;
  std::vector<Token> tokens;  // by id
  BpeModel model;
  bool decodes_bytes = false;  // the decoder is ByteLevel and nothing else
  AddedTokenFinder raw_added, normalized_added;
  std::string bos, eos;
  std::vector<std::pair<std::string, std::string>> named;  // more such tokens

  void add_vocab(std::vector<std::pair<std::string, int64_t>> vocab, std::string_view where);
  void add_added_tokens(std::string_view where);
  void spell_decoded();
  void check_parts(std::string_view where) const;
  void read_config(std::string_view json, const std::string& where);
  // The token that decoding gets for `id`, or null when it gets none.
  const Token* decoded_token(int32_t id, bool skip_special_tokens) const;
};

void Tokenizer::Impl::add_vocab(std::vector<std::pair<std::string, int64_t>> vocab,
                                std::string_view where) {
  CHECK_INPUT(!vocab.empty(), "{}: model.vocab is missing or empty", where);
  int64_t largest = 0;
  for (const auto& [token, id] : vocab) {
    CHECK_INPUT(id >= 0 && id <= kMaxTokenId, "{}: model.vocab: '{}' has id {}; allowed are 0..{}",
                where, token, id, kMaxTokenId);
    largest = std::max(largest, id);
  }
  tokens.resize(largest + 1);
  id_of = TokenMap(vocab.size() + parts.added_tokens.size());
  for (auto& [text, id] : vocab) {
    Token& token = tokens[id];
    CHECK_INPUT(!token.exists,
                "{}: model.vocab: id {} belongs to '{}' and to '{}'; ids must differ", where, id,
                token.text, text);
    CHECK_INPUT(id_of.insert(text, static_cast<int32_t>(id)), "{}: model.vocab: '{}' stands twice",
                where, text);
    token.exists = true;
    token.text = std::move(text);
  }
}

// An added token may repeat a token of the vocabulary under the same id, or bring an id of its own.
void Tokenizer::Impl::add_added_tokens(std::string_view where) {
  for (const AddedToken& added : parts.added_tokens) {
    if (static_cast<size_t>(added.id) >= tokens.size()) tokens.resize(added.id + 1);
    const int32_t known = id_of.find(added.content);
    CHECK_INPUT(known < 0 || known == added.id,
                "{}: added_tokens: '{}' has id {}, but id {} elsewhere in the file", where,
                added.content, added.id, known);
    Token& token = tokens[added.id];
    CHECK_INPUT(!token.exists || token.text == added.content,
                "{}: added_tokens: id {} belongs to '{}' and to '{}'; ids must differ", where,
                added.id, token.text, added.content);
    token.text = token.decoded = added.content;
    token.exists = true;
    token.special = added.special;
    id_of.insert(added.content, added.id);
    if (added.normalized) {
      // The package searches for, and decodes to, the normalised spelling.
      token.decoded = normalize(added.content, parts.normalizer, {}).text;
      normalized_added.add(added, token.decoded);
    } else {
      raw_added.add(added, added.content);
    }
  }
}

void Tokenizer::Impl::spell_decoded() {
  const auto& steps = parts.decoder.steps;
  decodes_bytes = steps.size() == 1 && steps[0].kind == DecoderStep::Kind::kByteLevel;
  for (Token& token : tokens) {
    if (token.decoded.empty()) {
      token.decoded = token.text;
      token.skipped = token.special;
    } else {
      const int32_t id = id_of.find(token.decoded);
      token.skipped = id >= 0 && tokens[id].special;
    }
    if (decodes_bytes) token.decoded = unspell_bytes(token.decoded);
  }
}

void Tokenizer::Impl::check_parts(std::string_view where) const {
  for (const auto* added : {&parts.prefix, &parts.suffix})
    for (int32_t id : *added)
      CHECK_INPUT(static_cast<size_t>(id) < tokens.size() && tokens[id].exists,
                  "{}: post_processor adds the id {}, which no token has", where, id);
}

void Tokenizer::Impl::read_config(std::string_view json, const std::string& where) {
  const Json config = parse_json(json, where);
  CHECK_INPUT(config.is_object(), "{}: must be an object", where);
  const auto token_named = [&](const char* key) -> std::string {
    const auto it = config.find(key);
    if (it == config.end() || it->is_null()) return "";
    const std::string name = it->is_object() ? get_string(*it, "content", where + ": " + key)
                                             : get_string(config, key, where);
    CHECK_INPUT(name.empty() || id_of.find(name) >= 0,
                "{}: {} '{}' is not a token of tokenizer.json", where, key, name);
    return name;
  };
  bos = token_named("bos_token");
  eos = token_named("eos_token");
  for (const auto& [key, value] : config.items()) {
    if (!key.ends_with("_token") || key == "bos_token" || key == "eos_token") continue;
    const bool object = value.is_object() && value.contains("content");
    const Json& text = object ? value["content"] : value;
    if (text.is_string() && !text.get_ref<const std::string&>().empty())  // not add_bos_token
      named.emplace_back(key, text.get<std::string>());
  }
  const auto added = config.find("added_tokens_decoder");
  if (added == config.end() || added->is_null()) return;
  CHECK_INPUT(added->is_object(), "{}: added_tokens_decoder must be an object", where);
  for (const auto& [id, token] : added->items()) {
    const std::string content =
        get_string(token, "content", where + ": added_tokens_decoder." + id);
    const int32_t known = id_of.find(content);
    CHECK_INPUT(known >= 0 && std::to_string(known) == id,
                "{}: added_tokens_decoder gives '{}' the id {}; tokenizer.json gives it {}", where,
                content, id, known < 0 ? "none" : std::to_string(known));
  }
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json, std::string_view where) {
  TokenizerFile file = read_tokenizer_file(tokenizer_json, where);
  auto impl = std::make_unique<Impl>();
  impl->parts = read_tokenizer_parts(file.rest, where);
  impl->add_vocab(std::move(file.vocab), where);
  impl->model = BpeModel(impl->id_of, file.merges, impl->parts.model, where);
  impl->add_added_tokens(where);
  impl->check_parts(where);
  impl->spell_decoded();
  return Tokenizer(std::move(impl));
}

Tokenizer Tokenizer::load(const std::filesystem::path& model_dir) {
  const std::filesystem::path path = model_dir / "tokenizer.json";
  CHECK_INPUT(std::filesystem::exists(path),
              "{}: the model folder has no tokenizer.json; one with tokenizer.model or vocab.json alone gets it by transformers: "
              "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)",
              path.string());
  Tokenizer tokenizer = from_json(read_file(path, kMaxFileBytes), path.string());
  const std::filesystem::path config = model_dir / "tokenizer_config.json";
  if (std::filesystem::exists(config)) tokenizer.impl_->read_config(read_file(config, kMaxFileBytes), config.string());
  return tokenizer;
}

Tokenizer Tokenizer::from_files(std::string_view tokenizer_json, std::string_view tokenizer_config_json, std::string_view where) {
  Tokenizer tokenizer = from_json(tokenizer_json, where);
  tokenizer.impl_->read_config(tokenizer_config_json, std::string(where));
  return tokenizer;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens,
                                       std::span<const size_t> offsets) const {
  std::string valid;
  if (!is_utf8(text)) {
    CHECK_INPUT(offsets.empty(), "guards into a text that is not valid UTF-8");
    text = valid = lossy_utf8(text);
  }
  CHECK(std::is_sorted(offsets.begin(), offsets.end()), "guards must ascend");
  std::vector<Guard> guards;
  for (const size_t offset : offsets) guards.push_back({offset, offset});

  std::vector<int32_t> ids;
  if (add_special_tokens) ids = impl_->parts.prefix;
  std::vector<Stretch> stretches, inner;
  impl_->raw_added.split(text, stretches, guards);
  std::deque<std::string> arena;  // what steps spell anew; the encoder remembers words in it
  BpeModel::Encoder encoder(impl_->model, text.size());
  std::vector<std::string_view> pieces;
  std::vector<Guard> inner_guards;
  size_t guard = 0;
  for (const Stretch& stretch : stretches) {
    if (stretch.id >= 0) {
      ids.push_back(stretch.id);
      continue;
    }
    const auto start = static_cast<size_t>(stretch.text.data() - text.data());
    bool first = start == 0;
    std::string_view plain = stretch.text;
    inner_guards.clear();
    while (guard < guards.size() && guards[guard].begin <= start) ++guard;
    for (; guard < guards.size() && guards[guard].begin < start + plain.size(); ++guard)
      inner_guards.push_back({guards[guard].begin - start, guards[guard].end - start});
    if (!impl_->parts.normalizer.empty()) {
      NormalizedText normal = normalize(plain, impl_->parts.normalizer, inner_guards);
      plain = arena.emplace_back(std::move(normal.text));
      inner_guards = std::move(normal.guards);
      first = first && normal.keeps_first;
    }
    inner.clear();
    impl_->normalized_added.split(plain, inner, inner_guards);
    for (const Stretch& piece : inner) {
      if (piece.id >= 0) {
        ids.push_back(piece.id);
        continue;
      }
      pieces.clear();
      pre_tokenize(piece.text, first && piece.text.data() == plain.data(),
                   impl_->parts.pre_tokenizer, arena, pieces);
      for (std::string_view word : pieces) encoder.encode(word, ids);
    }
  }
  if (add_special_tokens)
    ids.insert(ids.end(), impl_->parts.suffix.begin(), impl_->parts.suffix.end());
  return ids;
}

const Token* Tokenizer::Impl::decoded_token(int32_t id, bool skip_special_tokens) const {
  if (id < 0 || static_cast<size_t>(id) >= tokens.size()) return nullptr;
  const Token& token = tokens[id];
  return token.exists && !(skip_special_tokens && token.skipped) ? &token : nullptr;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  if (!impl_->decodes_bytes) {
    std::vector<std::string> tokens;
    for (int32_t id : ids)
      if (const Token* token = impl_->decoded_token(id, skip_special_tokens))
        tokens.push_back(token->decoded);
    return decode_tokens(std::move(tokens), impl_->parts.decoder);
  }
  std::string bytes;
  for (int32_t id : ids)
    if (const Token* token = impl_->decoded_token(id, skip_special_tokens)) bytes += token->decoded;
  return lossy_utf8(bytes);
}

TextStream::TextStream(const Tokenizer& tokenizer, bool skip_special_tokens)
    : tokenizer_(&tokenizer),
      skip_special_tokens_(skip_special_tokens),
      stream_(std::make_unique<TokenStream>(tokenizer.impl_->parts.decoder)) {}
TextStream::~TextStream() = default;
TextStream::TextStream(TextStream&&) noexcept = default;

std::string TextStream::add(int32_t id) {
  const Token* token = tokenizer_->impl_->decoded_token(id, skip_special_tokens_);
  skipped_ = token == nullptr;
  if (!token) return "";
  return tokenizer_->impl_->decodes_bytes ? stream_->add_bytes(token->decoded) : stream_->add(token->decoded);
}

std::string TextStream::finish() { return stream_->finish(); }
std::string TextStream::pending() const { return stream_->pending(); }
bool TextStream::holds() const { return stream_->holds(); }
TextStream::Split TextStream::split() const {
  if (skipped_) return {.skipped = true};
  return {.before = stream_->split().before, .own = stream_->split().own};
}

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(impl_->tokens.size()); }

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  const int32_t id = impl_->id_of.find(token);
  if (id < 0) return std::nullopt;
  return id;
}

std::string Tokenizer::token(int32_t id) const {
  return id >= 0 && id < vocab_size() ? impl_->tokens[id].text : "";
}
bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_size() && impl_->tokens[id].special;
}
std::vector<std::string> Tokenizer::special_token_texts() const {
  std::vector<std::string> texts;
  for (const AddedToken& token : impl_->parts.added_tokens)
    if (token.special) texts.push_back(token.content);
  return texts;
}
std::vector<std::string> Tokenizer::marker_texts() const {
  std::vector<std::string> texts;
  for (const AddedToken& token : impl_->parts.added_tokens)
    if (!token.special && (token.content.starts_with("<|") ||
                           token.content.starts_with("<\xEF\xBD\x9C")))
      texts.push_back(token.content);
  return texts;
}
std::vector<std::pair<std::string, std::string>> Tokenizer::named_tokens() const {
  return impl_->named;
}
std::string Tokenizer::bos_token() const { return impl_->bos; }
std::string Tokenizer::eos_token() const { return impl_->eos; }

}  // namespace cohort
