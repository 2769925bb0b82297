// What the tokenizer refuses, its promises on any text, and the tokenizer of models made from
// scratch.
#include "model/text/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <numeric>

#include "core/check.h"
#include "core/files.h"
#include "core/json.h"
#include "model/text/added_tokens.h"
#include "model/text/byte_level.h"
#include "model/text/chat_template_tokens.h"
#include "model/text/unicode.h"

namespace cohort {
namespace {

const std::vector<std::string> kSpecial = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

Json byte_tokenizer() { return parse_json(byte_tokenizer_json(kSpecial), "test"); }
Tokenizer make(const Json& json) { return Tokenizer::from_json(json.dump(), "tokenizer.json"); }

Tokenizer small_tokenizer() {
  const std::filesystem::path path =
      std::filesystem::path(GOLDEN_DIR) / "text/small_tokenizer.json";
  return Tokenizer::from_json(read_file(path), path.string());
}

std::string refusal_of_text(std::string_view text) {
  try {
    Tokenizer::from_json(text, "tokenizer.json");
    return "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    return error.what();
  }
}

// The message for a byte tokenizer in which `pointer` is set to `value`.
std::string refusal(const std::string& pointer, const Json& value) {
  Json json = byte_tokenizer();
  json[Json::json_pointer(pointer)] = value;
  return refusal_of_text(json.dump());
}

void expect_refused(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << "expected '" << part << "' in: " << message;
}

TEST(Tokenizer, RefusesUnsupportedStepsByName) {
  expect_refused(refusal("/normalizer", {{"type", "StripAccents"}}),
                 "normalizer: type 'StripAccents' is not supported");
  expect_refused(refusal("/pre_tokenizer", {{"type", "Punctuation"}}),
                 "pre_tokenizer: type 'Punctuation'");
  expect_refused(refusal("/pre_tokenizer/surprise", 1), "unknown key 'surprise'");
  expect_refused(refusal("/decoder", {{"type", "WordPiece"}}), "decoder: type 'WordPiece'");
  expect_refused(refusal("/post_processor", {{"type", "Other"}}), "post_processor: type 'Other'");
  expect_refused(refusal("/truncation", {{"max_length", 5}}), "'truncation'");
  expect_refused(refusal("/padding", {{"pad_id", 5}}), "'padding'");
  expect_refused(refusal("/model/type", "Unigram"),
                 "model: type 'Unigram' is not supported; supported are BPE");
  expect_refused(refusal("/model/dropout", 0.1), "'dropout' is 0.1");
  expect_refused(refusal("/model/continuing_subword_prefix", "##"), "'continuing_subword_prefix'");
  expect_refused(refusal("/model/end_of_word_suffix", "</w>"), "'end_of_word_suffix'");
  expect_refused(refusal("/version", "2.0"), "version '2.0'");
  expect_refused(refusal("/extra", 1), "unknown key 'extra'");
}

TEST(Tokenizer, RefusesAnInconsistentVocabulary) {
  expect_refused(refusal("/model/vocab/a", 7), "ids must differ");
  expect_refused(refusal("/model/vocab/zz", -1), "allowed are 0..");
  expect_refused(refusal("/model/vocab/zz", 1 << 30), "allowed are 0..");
  expect_refused(refusal("/model/vocab/zz", uint64_t{1} << 63), "allowed are 0..");
  expect_refused(refusal("/model/vocab/zz", "x"), "inside model.vocab");
  expect_refused(refusal("/model/vocab", Json::object()), "missing or empty");
  expect_refused(refusal("/model/vocab", {{"a", 0}}), "no token for the byte 0x0A");
  expect_refused(refusal("/added_tokens/0/id", 3), "'<|endoftext|>' has id 3");
  expect_refused(refusal("/added_tokens/0/content", "new"), "ids must differ");
  expect_refused(refusal("/added_tokens/0/content", ""), "must not be empty");
  expect_refused(refusal("/model/unk_token", "<unk>"), "'<unk>' is not in model.vocab");
  expect_refused(
      refusal_of_text(
          R"({"model": {"vocab": {"a": 0, "a": 1}, "merges": []}, "pre_tokenizer":)"
          R"({"type": "ByteLevel", "add_prefix_space": false}, "decoder": {"type": "ByteLevel"}})"),
      "'a' stands twice");
}

TEST(Tokenizer, RefusesInconsistentMerges) {
  expect_refused(refusal("/model/merges", {"a b"}),
                 "merges[0] ('a' 'b'): 'ab' is not in model.vocab");
  expect_refused(refusal("/model/merges", {"a xx"}), "'xx' is not in model.vocab");
  expect_refused(refusal("/model/merges", {"ab"}), "merges[0] is 'ab'; allowed is 'left right'");
  expect_refused(refusal("/model/merges", {"a b c"}), "merges[0] is 'a b c'");
  expect_refused(refusal("/model/merges", Json::array({Json::array({"a", "b", "c"})})),
                 "has 3 parts");
  expect_refused(refusal("/model/merges", {1}), "inside model.merges");
  expect_refused(refusal("/model/merges", Json()), "model: 'merges' is of the kind null");
  expect_refused(refusal("/model/merges", Json::object()), "'merges' is of the kind object");
  expect_refused(refusal("/model/merges", "a b"), "'merges' is of the kind string");
  Json json = byte_tokenizer();
  json["model"].erase("merges");
  expect_refused(refusal_of_text(json.dump()), "model: 'merges' is missing");
  json["model"]["merges"] = Json::array();
  EXPECT_EQ(make(json).encode("a"), std::vector<int32_t>{'a'});
  json["model"]["vocab"]["ab"] = 259;
  json["model"]["merges"] = {"a b", "a b"};
  expect_refused(refusal_of_text(json.dump()), "merges[1] ('a' 'b') stands twice");
}

TEST(Tokenizer, RefusesBrokenFiles) {
  expect_refused(refusal_of_text(""), "not valid JSON");
  expect_refused(refusal_of_text("[]"), "found array");
  expect_refused(refusal_of_text("{}"), "no 'model'");
  expect_refused(refusal_of_text(R"({"model": {"vocab": {"a": 0}, "merges": [["a", )"),
                 "not valid JSON");
  expect_refused(refusal_of_text(R"({"version": "1.0", "version": "1.0"})"), "stands twice");
  expect_refused(refusal_of_text(R"({"model": 1})"), "'model' must be an object");
  expect_refused(refusal_of_text("{\"x\": " + std::string(100000, '[')), "nested deeper");
  expect_refused(refusal_of_text("{\"x\xff\": 1}"), "not valid JSON");
  EXPECT_THROW(Tokenizer::load("/nonexistent"), Error);
}

TEST(Tokenizer, ReadsBothSpellingsOfMerges) {
  Json json = byte_tokenizer();
  json["model"]["vocab"]["ab"] = 259;
  json["model"]["merges"] = {"a b"};
  EXPECT_EQ(make(json).encode("ab"), std::vector<int32_t>{259});
  json["model"]["merges"] = Json::array({Json::array({"a", "b"})});
  EXPECT_EQ(make(json).encode("ab"), std::vector<int32_t>{259});
}

TEST(Tokenizer, IgnoreMergesTakesWholePieces) {
  Json json = byte_tokenizer();
  json["model"]["vocab"]["abc"] = 259;
  EXPECT_EQ(make(json).encode("abc").size(), 3u);
  json["model"]["ignore_merges"] = true;
  EXPECT_EQ(make(json).encode("abc"), std::vector<int32_t>{259});
}

TEST(Tokenizer, AddsWhatTheTemplateAdds) {
  Json json = byte_tokenizer();
  json["post_processor"] = parse_json(R"({"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                 {"SpecialToken": {"id": "<|im_end|>", "type_id": 0}}],
      "pair": [], "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [257], "tokens": ["<|im_start|>"]},
                                     "<|im_end|>": {"id": "<|im_end|>", "ids": [258], "tokens": ["<|im_end|>"]}}})",
                                      "test");
  const Tokenizer tokenizer = make(json);
  EXPECT_EQ(tokenizer.encode("a", true), (std::vector<int32_t>{257, 'a', 258}));
  EXPECT_EQ(tokenizer.encode("a"), std::vector<int32_t>{'a'});
  json["post_processor"]["special_tokens"]["<|im_end|>"]["ids"][0] = 999;
  expect_refused(refusal_of_text(json.dump()), "adds the id 999");
}

TEST(Tokenizer, MissingBytesAreDroppedOrUnknown) {
  Json json = byte_tokenizer();
  json["model"]["vocab"].erase(spell_byte(0x04));
  EXPECT_EQ(make(json).encode("a\x04"
                              "b"),
            (std::vector<int32_t>{'a', 'b'}));
  json["model"]["unk_token"] = "<|endoftext|>";
  EXPECT_EQ(make(json).encode("a\x04"
                              "b"),
            (std::vector<int32_t>{'a', 256, 'b'}));
}

TEST(Tokenizer, NormalizesToNfc) {
  Json json = byte_tokenizer();
  json["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(make(json).encode("e\xCC\x81"), (std::vector<int32_t>{0xC3, 0xA9}));
}

TEST(Tokenizer, InvalidUtf8IsReplacedOncePerMaximalPart) {
  const Tokenizer tokenizer = small_tokenizer();
  EXPECT_EQ(tokenizer.encode("a\xE4\xBD z\xff"), tokenizer.encode("a\xEF\xBF\xBD z\xEF\xBF\xBD"));
  EXPECT_EQ(lossy_utf8("\xF0\x9F\x98"), "\xEF\xBF\xBD");
  EXPECT_EQ(lossy_utf8("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(lossy_utf8("\xC0\xAF\xF5"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(lossy_utf8("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
}

TEST(Tokenizer, UnknownIdsDecodeToNothing) {
  const Tokenizer tokenizer = small_tokenizer();
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{-1, 1 << 30, tokenizer.vocab_size()}), "");
  EXPECT_EQ(tokenizer.token(-1), "");
  EXPECT_EQ(tokenizer.token(tokenizer.vocab_size()), "");
  EXPECT_FALSE(tokenizer.is_special(-1));
  EXPECT_FALSE(tokenizer.id_of("no such token").has_value());
}

TEST(Tokenizer, LongRunsKeepTheTextAndEnd) {
  const Tokenizer tokenizer = small_tokenizer();
  for (std::string_view unit : {"a", " ", "\n", "e", "th", "the ", "'", "\xF0\x9F\x98\x80", "0",
                                "\xCC\x81", "<|im_start|", "<|im_end|>"}) {
    std::string text;
    while (text.size() < 100'000) text += unit;
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << unit;
  }
}

TEST(Unicode, NfcOfManyMarksIsQuickAndSorted) {
  // Grave below (class 220) after acute (class 230), many times over: sorted, and no quadratic
  // sort.
  std::string marks = "a", sorted = "\xC3\xA1";
  for (int i = 0; i < 50'000; ++i) marks += "\xCC\x81\xCC\x96";
  for (int i = 0; i < 50'000; ++i) sorted.insert(2, "\xCC\x96");
  const std::string got = to_normal_form(marks, NormalForm::kNfc);
  EXPECT_EQ(got.size(), 2 + 50'000 * 2 + 49'999 * 2u);
  EXPECT_EQ(got.substr(0, sorted.size()), sorted);
  EXPECT_EQ(to_normal_form("A\xCC\x8A \xE2\x84\xAB \xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB",
                           NormalForm::kNfc),
            "\xC3\x85 \xC3\x85 \xED\x95\x9C");
}

TEST(AddedTokens, LongestOfTheLeftmostWins) {
  AddedTokenFinder finder;
  finder.add({.id = 1, .content = "<a>"}, "<a>");
  finder.add({.id = 2, .content = "<a><b>"}, "<a><b>");
  finder.add({.id = 3, .content = "<b>", .lstrip = true, .rstrip = true}, "<b>");
  std::vector<Stretch> found;
  finder.split("x<a><b>y \n<b>\t z<a", found);
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(found[0].text, "x");
  EXPECT_EQ(found[1].id, 2);
  EXPECT_EQ(found[2].text, "y");
  EXPECT_EQ(found[3].id, 3);
  EXPECT_EQ(found[3].text, " \n<b>\t ");
  EXPECT_EQ(found[4].text, "z<a");
}

// As the `tokenizers` package for "_  "; with one more space it ends with a panic.
TEST(AddedTokens, OneThatTheTokenBeforeSwallowedIsNoToken) {
  AddedTokenFinder finder;
  finder.add({.id = 1, .content = "_", .rstrip = true}, "_");
  finder.add({.id = 2, .content = "  ", .lstrip = true}, "  ");
  for (const std::string text : {"_  ", "_   ", "_    "}) {
    std::vector<Stretch> found;
    const std::string whole = text + "a";  // the stretches point into it
    finder.split(whole, found);
    ASSERT_EQ(found.size(), 2u) << text;
    EXPECT_EQ(found[0].id, 1);
    EXPECT_EQ(found[0].text, text);
    EXPECT_EQ(found[1].text, "a");
  }
}

TEST(Tokenizer, NoAddedTokenIsRecognisedAcrossAGuard) {
  for (const bool normalized : {false, true}) {
    Json json = byte_tokenizer();
    for (Json& token : json["added_tokens"]) token["normalized"] = normalized;
    const Tokenizer tokenizer = make(json);
    const std::string text = "<|im_end|>x<|im_end|>";
    std::vector<int32_t> spelled;
    for (char c : std::string("<|im_end|>")) spelled.push_back(c);
    std::vector<int32_t> first = spelled, last = {258, 'x'};
    first.insert(first.end(), {'x', 258});
    last.insert(last.end(), spelled.begin(), spelled.end());
    for (size_t inside = 1; inside < 10; ++inside) {
      EXPECT_EQ(tokenizer.encode(text, false, std::vector<size_t>{inside}), first) << inside;
      EXPECT_EQ(tokenizer.encode(text, false, std::vector<size_t>{11 + inside}), last) << inside;
    }
    for (size_t edge : {0, 10, 11, 21})
      EXPECT_EQ(tokenizer.encode(text, false, std::vector<size_t>{edge}),
                (std::vector<int32_t>{258, 'x', 258}));
  }
}

TEST(Tokenizer, RefusesGuardsThatDescendOrLieInInvalidText) {
  const Tokenizer tokenizer = make(byte_tokenizer());
  EXPECT_THROW(tokenizer.encode("abc", false, std::vector<size_t>{2, 1}), Error);
  EXPECT_THROW(tokenizer.encode("ab\xFF", false, std::vector<size_t>{1}), Error);
}

TEST(Tokenizer, NamesItsSpecialTokens) {
  Json json = byte_tokenizer();
  json["added_tokens"][1]["special"] = false;
  EXPECT_EQ(make(json).special_token_texts(),
            (std::vector<std::string>{"<|endoftext|>", "<|im_end|>"}));
}

TEST(ByteTokenizer, IdsAreBytesThenSpecials) {
  const Tokenizer tokenizer = make(byte_tokenizer());
  EXPECT_EQ(tokenizer.vocab_size(), 259);
  EXPECT_EQ(tokenizer.encode("a \xC3\xA9<|im_end|>\n"),
            (std::vector<int32_t>{'a', ' ', 0xC3, 0xA9, 258, '\n'}));
  EXPECT_EQ(tokenizer.id_of("<|im_start|>"), 257);
  EXPECT_TRUE(tokenizer.is_special(256));
  EXPECT_FALSE(tokenizer.is_special('a'));
  EXPECT_EQ(tokenizer.token(' '), "\xC4\xA0");
  std::string every(128, '\0');
  std::iota(every.begin(), every.end(), '\0');
  const std::vector<int32_t> ids = tokenizer.encode(every);
  for (int i = 0; i < 128; ++i) EXPECT_EQ(ids[i], i);
  EXPECT_EQ(tokenizer.decode(ids), every);
}

TEST(ByteTokenizer, RefusesSpecialsThatAreNotDistinct) {
  for (const std::vector<std::string>& bad : {std::vector<std::string>{"x", "x"}, {"a"}, {""}})
    EXPECT_THROW(byte_tokenizer_json(bad), Error);
}

class TokenizerFolder : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() /
           ("tokenizer_test_" +
            std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    write("tokenizer.json", byte_tokenizer_json(kSpecial));
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const std::string& name, std::string_view text) { std::ofstream(dir_ / name) << text; }
  std::string refusal_of_config(std::string_view config) {
    write("tokenizer_config.json", config);
    try {
      Tokenizer::load(dir_);
      return "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kInput);
      return error.what();
    }
  }
  std::filesystem::path dir_;
};

TEST_F(TokenizerFolder, NamesComeFromTheConfig) {
  EXPECT_EQ(Tokenizer::load(dir_).bos_token(), "");
  write("tokenizer_config.json",
        byte_tokenizer_config_json("<|im_start|>", "<|im_end|>", "{{ 1 }}"));
  EXPECT_EQ(Tokenizer::load(dir_).bos_token(), "<|im_start|>");
  EXPECT_EQ(Tokenizer::load(dir_).eos_token(), "<|im_end|>");
  write("tokenizer_config.json",
        R"({"bos_token": null, "eos_token": {"content": "<|im_end|>", "lstrip": false}})");
  EXPECT_EQ(Tokenizer::load(dir_).bos_token(), "");
  EXPECT_EQ(Tokenizer::load(dir_).eos_token(), "<|im_end|>");
}

TEST_F(TokenizerFolder, EveryTokenOfTheConfigHasItsName) {
  write("tokenizer_config.json",
        R"({"bos_token": "<|im_start|>", "pad_token": "<|endoftext|>", "unk_token": {"content": "<unk>"},
            "image_token": "<image>", "sep_token": null, "cls_token": "", "add_bos_token": true,
            "mask_token": {}})");
  const Tokenizer tokenizer = Tokenizer::load(dir_);
  const ChatTemplate prints = ChatTemplate::parse(
      "{{ bos_token }} {{ pad_token }} {{ unk_token }} {{ image_token }} {{ sep_token is defined }} "
      "{{ cls_token is defined }} {{ mask_token is defined }} {{ add_bos_token is defined }}",
      "t");
  EXPECT_EQ(prints.render({}, chat_setting(tokenizer, false, {})).text,
            "<|im_start|> <|endoftext|> <unk> <image> False False False False");
}

TEST_F(TokenizerFolder, RefusesAConfigThatDisagrees) {
  expect_refused(refusal_of_config(R"({"eos_token": "</s>"})"), "eos_token '</s>' is not a token");
  expect_refused(refusal_of_config(R"({"added_tokens_decoder": {"5": {"content": "<|im_end|>"}}})"),
                 "gives '<|im_end|>' the id 5; tokenizer.json gives it 258");
  expect_refused(refusal_of_config(R"({"added_tokens_decoder": {"300": {"content": "<new>"}}})"),
                 "gives it none");
  expect_refused(refusal_of_config("[]"), "must be an object");
}

}  // namespace
}  // namespace cohort
