// The tokenizer: added tokens, normalisation, pieces, byte-pair encoding; and back.
#include "model/text/tokenizer.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/check.h"
#include "core/files.h"
#include "core/text.h"
#include "model/text/added_tokens.h"
#include "model/text/bpe.h"
#include "model/text/byte_level.h"
#include "model/text/tokenizer_file.h"
#include "model/text/tokenizer_parts.h"
#include "model/text/unicode.h"

namespace cohort {
namespace {

constexpr size_t kMaxFileBytes = size_t{64} << 20;
constexpr int kPrintableLow = 0x20, kPrintableHigh = 0x7E;

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

}  // namespace

struct Tokenizer::Impl {
  TokenizerParts parts;
  std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>> id_of;
  std::vector<std::string> tokens;       // id -> as in tokenizer.json; "" for an id without a token
  std::vector<std::string> token_bytes;  // id -> what it decodes to
  std::vector<bool> special;
  std::array<int32_t, 256> byte_ids;
  MergeTable merges;
  AddedTokenFinder raw_added, normalized_added;
  std::string bos, eos;

  void add_vocab(std::vector<std::pair<std::string, int64_t>> vocab, std::string_view where);
  void add_added_tokens(std::string_view where);
  void add_merges(const std::vector<std::pair<std::string, std::string>>& pairs,
                  std::string_view where);
  void find_bytes(std::string_view where);
  void check_parts(std::string_view where) const;
  void read_config(const std::filesystem::path& path);
  void encode_text(std::string_view text, BpeScratch& scratch, std::vector<int32_t>& ids) const;
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
  std::vector<bool> taken(largest + 1, false);
  id_of.reserve(vocab.size() + parts.added_tokens.size());
  for (auto& [token, id] : vocab) {
    CHECK_INPUT(!taken[id], "{}: model.vocab: id {} belongs to '{}' and to '{}'; ids must differ",
                where, id, tokens[id], token);
    CHECK_INPUT(id_of.try_emplace(token, static_cast<int32_t>(id)).second,
                "{}: model.vocab: '{}' stands twice", where, token);
    taken[id] = true;
    tokens[id] = std::move(token);
  }
}

// An added token may repeat a token of the vocabulary under the same id, or bring an id of its own.
void Tokenizer::Impl::add_added_tokens(std::string_view where) {
  for (const AddedToken& token : parts.added_tokens) {
    if (static_cast<size_t>(token.id) >= tokens.size()) tokens.resize(token.id + 1);
    const auto known = id_of.find(token.content);
    CHECK_INPUT(known == id_of.end() || known->second == token.id,
                "{}: added_tokens: '{}' has id {}, but id {} elsewhere in the file", where,
                token.content, token.id, known == id_of.end() ? -1 : known->second);
    CHECK_INPUT(tokens[token.id].empty() || tokens[token.id] == token.content,
                "{}: added_tokens: id {} belongs to '{}' and to '{}'; ids must differ", where,
                token.id, tokens[token.id], token.content);
    tokens[token.id] = token.content;
    id_of.emplace(token.content, token.id);
    if (token.normalized)
      normalized_added.add(token, parts.nfc ? to_nfc(token.content) : token.content);
    else
      raw_added.add(token, token.content);
  }
  special.assign(tokens.size(), false);
  for (const AddedToken& token : parts.added_tokens)
    if (token.special) special[token.id] = true;
}

void Tokenizer::Impl::add_merges(const std::vector<std::pair<std::string, std::string>>& pairs,
                                 std::string_view where) {
  merges = MergeTable(pairs.size());
  std::string merged;
  for (size_t rank = 0; rank < pairs.size(); ++rank) {
    const auto& [left, right] = pairs[rank];
    merged.assign(left).append(right);
    int32_t ids[3];
    const std::string* parts_of_merge[3] = {&left, &right, &merged};
    for (int i = 0; i < 3; ++i) {
      const auto it = id_of.find(*parts_of_merge[i]);
      CHECK_INPUT(it != id_of.end(), "{}: model.merges[{}] ('{}' '{}'): '{}' is not in model.vocab",
                  where, rank, left, right, *parts_of_merge[i]);
      ids[i] = it->second;
    }
    CHECK_INPUT(merges.insert(ids[0], ids[1], {static_cast<int32_t>(rank), ids[2]}),
                "{}: model.merges[{}] ('{}' '{}') stands twice", where, rank, left, right);
  }
}

// Every byte should have a token. Published vocabularies lack a few that their training text never
// had (SmolLM2: some control characters, and the lead bytes of rare scripts); those are dropped, or
// become unk_token where there is one.
void Tokenizer::Impl::find_bytes(std::string_view where) {
  int32_t unk = -1;
  if (!parts.unk_token.empty()) {
    const auto it = id_of.find(parts.unk_token);
    CHECK_INPUT(it != id_of.end(), "{}: model.unk_token '{}' is not in model.vocab", where,
                parts.unk_token);
    unk = it->second;
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto it = id_of.find(spell_byte(static_cast<unsigned char>(byte)));
    byte_ids[byte] = it == id_of.end() ? unk : it->second;
    const bool must_exist = byte == '\n' || (byte >= kPrintableLow && byte <= kPrintableHigh);
    CHECK_INPUT(
        it != id_of.end() || !must_exist,
        "{}: model.vocab has no token for the byte 0x{:02X} ('{}'): not a byte-level vocabulary",
        where, byte, spell_byte(static_cast<unsigned char>(byte)));
  }
}

void Tokenizer::Impl::check_parts(std::string_view where) const {
  for (const auto* added : {&parts.prefix, &parts.suffix})
    for (int32_t id : *added)
      CHECK_INPUT(static_cast<size_t>(id) < tokens.size() && !tokens[id].empty(),
                  "{}: post_processor adds the id {}, which no token has", where, id);
}

void Tokenizer::Impl::read_config(const std::filesystem::path& path) {
  const std::string where = path.string();
  const Json config = parse_json(read_file(path, kMaxFileBytes), where);
  CHECK_INPUT(config.is_object(), "{}: must be an object", where);
  const auto token_named = [&](const char* key) -> std::string {
    const auto it = config.find(key);
    if (it == config.end() || it->is_null()) return "";
    const std::string name = it->is_object() ? get_string(*it, "content", where + ": " + key)
                                             : get_string(config, key, where);
    CHECK_INPUT(name.empty() || id_of.contains(name),
                "{}: {} '{}' is not a token of tokenizer.json", where, key, name);
    return name;
  };
  bos = token_named("bos_token");
  eos = token_named("eos_token");
  const auto added = config.find("added_tokens_decoder");
  if (added == config.end() || added->is_null()) return;
  CHECK_INPUT(added->is_object(), "{}: added_tokens_decoder must be an object", where);
  for (const auto& [id, token] : added->items()) {
    const std::string content =
        get_string(token, "content", where + ": added_tokens_decoder." + id);
    const auto it = id_of.find(content);
    CHECK_INPUT(it != id_of.end() && std::to_string(it->second) == id,
                "{}: added_tokens_decoder gives '{}' the id {}; tokenizer.json gives it {}", where,
                content, id, it == id_of.end() ? "none" : std::to_string(it->second));
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
  impl->add_merges(file.merges, where);
  impl->find_bytes(where);
  impl->add_added_tokens(where);
  impl->check_parts(where);
  for (const std::string& token : impl->tokens) impl->token_bytes.push_back(unspell_bytes(token));
  return Tokenizer(std::move(impl));
}

Tokenizer Tokenizer::load(const std::filesystem::path& model_dir) {
  const std::filesystem::path path = model_dir / "tokenizer.json";
  Tokenizer tokenizer = from_json(read_file(path, kMaxFileBytes), path.string());
  const std::filesystem::path config = model_dir / "tokenizer_config.json";
  if (std::filesystem::exists(config)) tokenizer.impl_->read_config(config);
  return tokenizer;
}

void Tokenizer::Impl::encode_text(std::string_view text, BpeScratch& scratch,
                                  std::vector<int32_t>& ids) const {
  std::vector<std::string_view> pieces;
  pre_tokenize(text, parts.pre_tokenizer, pieces);
  for (std::string_view piece : pieces) {
    if (parts.ignore_merges) {
      const auto it = id_of.find(spell_bytes(piece));
      if (it != id_of.end()) {
        ids.push_back(it->second);
        continue;
      }
    }
    bpe_encode(piece, byte_ids, merges, scratch, ids);
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens,
                                       std::span<const size_t> guards) const {
  std::string valid;
  if (!is_utf8(text)) {
    CHECK_INPUT(guards.empty(), "guards into a text that is not valid UTF-8");
    text = valid = lossy_utf8(text);
  }
  CHECK(std::is_sorted(guards.begin(), guards.end()), "guards must ascend");
  std::vector<int32_t> ids;
  BpeScratch scratch;
  if (add_special_tokens) ids = impl_->parts.prefix;

  std::vector<Stretch> stretches, inner;
  std::vector<size_t> inner_guards;
  impl_->raw_added.split(text, stretches, guards);
  for (const Stretch& stretch : stretches) {
    if (stretch.id >= 0) {
      ids.push_back(stretch.id);
      continue;
    }
    std::string composed;
    std::string_view plain = stretch.text;
    if (impl_->parts.nfc) plain = composed = to_nfc(plain);
    inner.clear();
    inner_guards.clear();
    const size_t start = stretch.text.data() - text.data();
    for (size_t guard : guards)
      if (guard > start && guard < start + stretch.text.size())
        inner_guards.push_back(impl_->parts.nfc ? to_nfc(text.substr(start, guard - start)).size()
                                                : guard - start);
    impl_->normalized_added.split(plain, inner, inner_guards);
    for (const Stretch& piece : inner) {
      if (piece.id >= 0)
        ids.push_back(piece.id);
      else
        impl_->encode_text(piece.text, scratch, ids);
    }
  }
  if (add_special_tokens)
    ids.insert(ids.end(), impl_->parts.suffix.begin(), impl_->parts.suffix.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::string bytes;
  for (int32_t id : ids) {
    if (id < 0 || id >= vocab_size() || (skip_special_tokens && is_special(id))) continue;
    bytes += impl_->token_bytes[id];
  }
  return lossy_utf8(bytes);
}

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(impl_->tokens.size()); }

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  const auto it = impl_->id_of.find(token);
  if (it == impl_->id_of.end()) return std::nullopt;
  return it->second;
}

std::string Tokenizer::token(int32_t id) const {
  return id >= 0 && id < vocab_size() ? impl_->tokens[id] : "";
}
bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_size() && impl_->special[id];
}
std::vector<std::string> Tokenizer::special_token_texts() const {
  std::vector<std::string> texts;
  for (const AddedToken& token : impl_->parts.added_tokens)
    if (token.special) texts.push_back(token.content);
  return texts;
}
std::string Tokenizer::bos_token() const { return impl_->bos; }
std::string Tokenizer::eos_token() const { return impl_->eos; }

}  // namespace cohort
