// tokenizer.json as read: the two long lists (vocabulary, merges) in flat vectors, everything else
// as a small document.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"

namespace cohort {

struct TokenizerFile {
  Json rest;  // the file without model.vocab and model.merges, which are null here
  std::vector<std::pair<std::string, int64_t>> vocab;
  std::vector<std::pair<std::string, std::string>> merges;
};

// One pass over the text: a document tree of 10^5 entries costs ten times as much. As strict as
// parse_json: duplicate keys (model.vocab's are checked by the tokenizer), deep nesting and wrong
// types are refused with exit code 3.
TokenizerFile read_tokenizer_file(std::string_view tokenizer_json, std::string_view where);

}  // namespace cohort
