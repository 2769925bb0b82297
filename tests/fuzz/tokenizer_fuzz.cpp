// Any bytes are either refused with exit code 3 or give a tokenizer; what it encodes and decodes
// stays within its promises. Input: a tokenizer.json, then, behind a zero byte, a text.
#include <cstdlib>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "core/text.h"
#include "model/text/tokenizer.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

namespace {

// A tokenizer in SentencePiece's style with every step that a byte-level one does not have.
constexpr std::string_view kSentencePiece =
    R"json({"version": "1.0", "truncation": null, "padding": null,
 "added_tokens": [{"id": 0, "content": "<unk>", "single_word": true, "lstrip": true, "rstrip": true,
  "normalized": true, "special": true}],
 "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Strip"}, {"type": "Prepend",
  "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, {"type": "Lowercase"},
  {"type": "Replace", "pattern": {"Regex": "(?i:x)+|\\p{N}{2,3}+"}, "content": "y"}]},
 "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Metaspace", "replacement": "▁",
  "prepend_scheme": "first", "split": true}, {"type": "Split", "pattern": {"Regex": "[^\\s\\p{L}]+|\\s+(?!\\S)"},
  "behavior": "MergedWithNext", "invert": true}]},
 "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<unk>", "type_id": 0}},
  {"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {"<unk>": {"id": "<unk>", "ids": [0],
  "tokens": ["<unk>"]}}},
 "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
  {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
 "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "ignore_merges": true,
  "vocab": {"<unk>": 0, "▁": 1, "a": 2, "b": 3, "ab": 4, "<0x41>": 5, "<0xC3>": 6}, "merges": [["a", "b"]]}})json";

void check_round(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<size_t> guards;
  if (is_utf8(text)) guards = {text.size() / 3, text.size() / 2};
  std::vector<int32_t> ids = tokenizer.encode(text, true);
  const std::vector<int32_t> guarded = tokenizer.encode(text, false, guards);
  ids.insert(ids.end(), guarded.begin(), guarded.end());
  for (int32_t id = 0; id < 300; id += 7) ids.push_back(id);
  for (int32_t id : ids)
    if (id < 0) std::abort();
  for (const bool skip : {false, true}) {
    TextStream stream(tokenizer, skip);
    std::string parts;
    for (int32_t id : ids) {
      const std::string part = stream.add(id);
      if (!is_utf8(part)) std::abort();
      parts += part;
    }
    parts += stream.finish();
    if (parts != tokenizer.decode(ids, skip) || !is_utf8(parts)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const std::string bytes = byte_tokenizer_json(std::vector<std::string>{"<s>", "</s>"});
  write_seeds({bytes, bytes + std::string("\0 it's 12 \xC3\xA9\n", 13),
               std::string(kSentencePiece) + std::string("\0 A\xC3\xA9  xX123", 13)});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const std::string_view json = input.substr(0, zero);
  std::string text = zero == input.npos ? "" : std::string(input.substr(zero + 1));
  try {
    const Tokenizer tokenizer = Tokenizer::from_json(json, "fuzz");
    check_round(tokenizer, text);
    check_round(tokenizer, "ab <unk> aab  12 It's\n \xE2\x96\x81x\xC3\xA9" + text + " </s>");
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInput) std::abort();
  }
  return 0;
}
