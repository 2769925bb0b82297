// Characters to symbols, the memory of words, and what is looked up once per vocabulary.
#include "model/text/bpe.h"

#include <xxhash.h>

#include <algorithm>

#include "core/check.h"
#include "core/text.h"
#include "model/text/byte_level.h"

namespace cohort {
namespace {

constexpr int kPrintableLow = 0x20, kPrintableHigh = 0x7E;
constexpr char32_t kMetaspace = 0x2581;
constexpr std::string_view kMetaspaceUtf8 = "\xE2\x96\x81";
constexpr size_t kWords = 1 << 14;          // slots of the memory of words
constexpr size_t kLongestWord = 64;         // in bytes; longer ones rarely come again
constexpr size_t kWorthRemembering = 2048;  // bytes of text for which the memory pays

char32_t last_code_point(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (text[at] & 0xC0) == 0x80) --at;
  return next_code_point(text, at);
}

}  // namespace

BpeModel::BpeModel(const TokenMap& ids, const MergeList& merges, const BpeOptions& options,
                   std::string_view where)
    : options_(options) {
  if (!options_.unk_token.empty()) {
    unk_ = ids.find(options_.unk_token);
    CHECK_INPUT(unk_ >= 0, "{}: model.unk_token '{}' is not in model.vocab", where,
                options_.unk_token);
  }
  add_merges(ids, merges, where);
  for (int byte = 0; byte < 256; ++byte)
    fallback_ids_[byte] = options_.byte_fallback ? ids.find(fmt::format("<0x{:02X}>", byte)) : -1;
  find_characters(ids);
  if (options_.byte_level)
    find_byte_tokens(ids, where);
  else
    find_cuts(merges);
  if (options_.ignore_merges)
    ids.for_each([&](std::string_view token, int32_t id) {
      if (!options_.byte_level) {
        whole_pieces_.insert(token, id);
      } else if (const std::string bytes = unspell_bytes(token); spell_bytes(bytes) == token) {
        whole_pieces_.insert(bytes, id);
      }
    });
}

void BpeModel::add_merges(const TokenMap& ids, const MergeList& merges, std::string_view where) {
  merges_ = MergeTable(merges.size());
  std::string merged;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    merged.assign(left).append(right);
    const std::string_view parts[3] = {left, right, merged};
    int32_t part_ids[3];
    for (int i = 0; i < 3; ++i) {
      part_ids[i] = ids.find(parts[i]);
      CHECK_INPUT(part_ids[i] >= 0, "{}: model.merges[{}] ('{}' '{}'): '{}' is not in model.vocab",
                  where, rank, left, right, parts[i]);
    }
    CHECK_INPUT(merges_.insert(part_ids[0], part_ids[1], {static_cast<int32_t>(rank), part_ids[2]}),
                "{}: model.merges[{}] ('{}' '{}') stands twice", where, rank, left, right);
  }
}

void BpeModel::find_characters(const TokenMap& ids) {
  constexpr size_t kPages = 0x110000 / 256;
  page_of_.assign(kPages, -1);
  ids.for_each([&](std::string_view token, int32_t id) {
    size_t at = 0;
    if (token.empty() || token.size() > 4) return;
    const char32_t c = next_code_point(token, at);
    if (at != token.size()) return;
    int32_t& page = page_of_[c / 256];
    if (page < 0) {
      page = static_cast<int32_t>(characters_.size());
      characters_.emplace_back().fill(-1);
    }
    characters_[page][c % 256] = id;
  });
}

int32_t BpeModel::id_of_character(char32_t c) const {
  const int32_t page = page_of_[c / 256];
  return page < 0 ? -1 : characters_[page][c % 256];
}

// Every byte should have a token. Published vocabularies lack a few that their training text never
// had (SmolLM2: some control characters, and the lead bytes of rare scripts).
void BpeModel::find_byte_tokens(const TokenMap& ids, std::string_view where) {
  for (int byte = 0; byte < 256; ++byte) {
    byte_spellings_[byte] = spell_byte(static_cast<unsigned char>(byte));
    byte_ids_[byte] = ids.find(byte_spellings_[byte]);
    const bool must_exist = byte == '\n' || (byte >= kPrintableLow && byte <= kPrintableHigh);
    CHECK_INPUT(
        byte_ids_[byte] >= 0 || !must_exist,
        "{}: model.vocab has no token for the byte 0x{:02X} ('{}'): not a byte-level vocabulary",
        where, byte, byte_spellings_[byte]);
  }
}

// A vocabulary in SentencePiece's style has no pre-tokenizer: a whole text is one piece. But where
// no merge has a right part that begins with U+2581 behind a certain character, no token reaches
// across that place, and the words on both sides can be encoded by themselves. That holds as long
// as no character is dropped, which would make neighbours of others.
void BpeModel::find_cuts(const MergeList& merges) {
  const bool all_bytes =
      options_.byte_fallback &&
      std::all_of(fallback_ids_.begin(), fallback_ids_.end(), [](int32_t id) { return id >= 0; });
  cuts_ = id_of_character(kMetaspace) >= 0 && (unk_ >= 0 || all_bytes);
  if (!cuts_) return;
  joins_.insert(kMetaspace);
  for (const auto& [left, right] : merges)
    if (std::string_view(right).starts_with(kMetaspaceUtf8)) joins_.insert(last_code_point(left));
  // What a character without a token becomes ends with characters of its own.
  if (unk_ >= 0) cuts_ = !joins_.contains(last_code_point(options_.unk_token));
  if (options_.byte_fallback) cuts_ = cuts_ && !joins_.contains(U'>');
}

// Adds what `character` becomes. unknown: the id of unknown characters that wait, or -1.
void BpeModel::add_symbol(std::string_view character, int32_t id, int32_t& unknown,
                          std::vector<int32_t>& symbols) const {
  if (id >= 0) {
    if (unknown >= 0) symbols.push_back(unknown);
    unknown = -1;
    symbols.push_back(id);
    return;
  }
  if (options_.byte_fallback) {
    const bool all = std::all_of(character.begin(), character.end(), [&](char c) {
      return fallback_ids_[static_cast<unsigned char>(c)] >= 0;
    });
    if (all) {  // an unknown character still waits: so does the package
      for (char c : character) symbols.push_back(fallback_ids_[static_cast<unsigned char>(c)]);
      return;
    }
  }
  if (unk_ < 0) return;
  if (unknown >= 0 && !options_.fuse_unk) symbols.push_back(unknown);
  unknown = unk_;
}

void BpeModel::append_symbols(std::string_view piece, std::vector<int32_t>& symbols) const {
  int32_t unknown = -1;
  if (options_.byte_level) {
    for (char c : piece) {
      const auto byte = static_cast<unsigned char>(c);
      add_symbol(byte_spellings_[byte], byte_ids_[byte], unknown, symbols);
    }
  } else {
    for (size_t at = 0; at < piece.size();) {
      const size_t start = at;
      const char32_t c = next_code_point(piece, at);
      add_symbol(piece.substr(start, at - start), id_of_character(c), unknown, symbols);
    }
  }
  if (unknown >= 0) symbols.push_back(unknown);
}

// Where the word that starts at `at` may end without changing the encoding.
size_t BpeModel::word_end(std::string_view piece, size_t at) const {
  if (!cuts_) return piece.size();
  for (size_t next = at + 1; (next = piece.find(kMetaspaceUtf8, next)) != piece.npos; ++next)
    if (!joins_.contains(last_code_point(piece.substr(at, next - at)))) return next;
  return piece.size();
}

BpeModel::Encoder::Encoder(const BpeModel& model, size_t expected) : model_(model) {
  if (expected >= kWorthRemembering) words_.resize(kWords);
}

void BpeModel::Encoder::encode(std::string_view piece, std::vector<int32_t>& ids) {
  if (model_.options_.ignore_merges) {
    const int32_t id = model_.whole_pieces_.find(piece);
    if (id >= 0) {
      ids.push_back(id);
      return;
    }
  }
  for (size_t at = 0; at < piece.size();) {
    const size_t end = model_.word_end(piece, at);
    encode_word(piece.substr(at, end - at), ids);
    at = end;
  }
}

void BpeModel::Encoder::encode_word(std::string_view word, std::vector<int32_t>& ids) {
  Word* known = nullptr;
  if (!words_.empty() && word.size() <= kLongestWord) {
    known = &words_[XXH3_64bits(word.data(), word.size()) % kWords];
    if (known->text && std::string_view(known->text, known->size) == word) {
      const size_t end = ids.size();
      ids.resize(end + known->count);
      std::copy_n(ids.begin() + static_cast<ptrdiff_t>(known->start), known->count,
                  ids.begin() + static_cast<ptrdiff_t>(end));
      return;
    }
  }
  symbols_.clear();
  model_.append_symbols(word, symbols_);
  const size_t start = ids.size();
  merge_symbols(symbols_, model_.merges_, scratch_, ids);
  if (known)
    *known = {word.data(), static_cast<uint32_t>(word.size()),
              static_cast<uint32_t>(ids.size() - start), start};
}

}  // namespace cohort
