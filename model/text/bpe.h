// The byte-pair encoding model of tokenizer.json: from a piece of text to token ids.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "model/text/bpe_merge.h"
#include "model/text/token_map.h"

namespace cohort {

struct BpeOptions {
  bool byte_level = false;     // pieces are bytes, spelled in GPT-2's alphabet in the vocabulary
  bool byte_fallback = false;  // a character without a token becomes its bytes' <0xNN>
  bool fuse_unk = false;       // a run of unknown characters becomes one unk_token
  bool ignore_merges = false;  // a piece that is a token as a whole is not merged step by step
  std::string unk_token;       // "" when there is none: unknown characters are dropped
};

class BpeModel {
 public:
  using MergeList = std::vector<std::pair<std::string, std::string>>;

  BpeModel() = default;
  // ids: the vocabulary without added tokens. Errors (exit code 3): a part of a merge that is no
  // token, a merge that stands twice, an unk_token that is no token, a byte-level vocabulary
  // without the printable bytes.
  BpeModel(const TokenMap& ids, const MergeList& merges, const BpeOptions& options,
           std::string_view where);

  // What an encoding keeps from piece to piece. Pieces must live, and `ids` must only grow, as long
  // as it is used.
  class Encoder {
   public:
    // expected: bytes of text to come; a long text is worth a memory of words.
    Encoder(const BpeModel& model, size_t expected);
    // Appends the ids of `piece` (not empty).
    void encode(std::string_view piece, std::vector<int32_t>& ids);

   private:
    // A word seen before and where its ids stand in the output.
    struct Word {
      const char* text = nullptr;
      uint32_t size = 0, count = 0;
      size_t start = 0;
    };
    void encode_word(std::string_view word, std::vector<int32_t>& ids);

    const BpeModel& model_;
    MergeScratch scratch_;
    std::vector<int32_t> symbols_;
    std::vector<Word> words_;
  };

 private:
  void add_merges(const TokenMap& ids, const MergeList& merges, std::string_view where);
  void find_characters(const TokenMap& ids);
  void find_byte_tokens(const TokenMap& ids, std::string_view where);
  void find_cuts(const MergeList& merges);
  int32_t id_of_character(char32_t c) const;
  void add_symbol(std::string_view character, int32_t id, int32_t& unknown,
                  std::vector<int32_t>& symbols) const;
  void append_symbols(std::string_view piece, std::vector<int32_t>& symbols) const;
  size_t word_end(std::string_view piece, size_t at) const;

  BpeOptions options_;
  MergeTable merges_;
  int32_t unk_ = -1;
  std::array<int32_t, 256> byte_ids_{};          // byte level: of the character that spells a byte
  std::array<std::string, 256> byte_spellings_;  // byte level
  std::array<int32_t, 256> fallback_ids_{};      // of <0xNN>; -1 where there is none
  std::vector<int32_t> page_of_;                 // code point / 256 -> page in characters_, or -1
  std::vector<std::array<int32_t, 256>> characters_;
  TokenMap whole_pieces_;  // ignore_merges: pieces that are tokens
  // Whether a piece may be cut before each U+2581 that does not follow one of joins_.
  bool cuts_ = false;
  std::unordered_set<char32_t> joins_;
};

}  // namespace cohort
