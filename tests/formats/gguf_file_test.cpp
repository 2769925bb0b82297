// The strict reader of GGUF containers: what it takes, and everything it refuses.
#include "model/formats/gguf_file.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/rng.h"
#include "tests/formats/gguf_builder.h"
#include "tests/formats/refused.h"

namespace cohort {
namespace {

void expect_image_refused(const std::string& image, std::initializer_list<std::string_view> words) {
  expect_refused([&] { parse_gguf(bytes_of(image), "x.gguf"); }, {"x.gguf: "});
  expect_refused([&] { parse_gguf(bytes_of(image), "x.gguf"); }, words);
}
void expect_builder_refused(const GgufBuilder& gguf,
                            std::initializer_list<std::string_view> words) {
  expect_image_refused(gguf.image(), words);
}

// Two tensors of 4 float32 numbers.
GgufBuilder two_tensors() {
  GgufBuilder gguf;
  gguf.tensors = {{"a", {4}, kTF32, std::string(16, 'a'), {}},
                  {"b", {2, 2}, kTF32, std::string(16, 'b'), {}}};
  return gguf;
}

// The file that says nothing but `key` = `value`.
GgufBuilder one_key(const std::string& value) { return GgufBuilder().set("k", value); }

TEST(GgufFile, FindsKeysAndTensorsInVersions2And3) {
  for (uint32_t version : {2, 3}) {
    GgufBuilder gguf = two_tensors().set("text", text_value("caf\xC3\xA9")).set("n", u32_value(7));
    gguf.version = version;
    const std::string image = gguf.image();
    const GgufFile file = parse_gguf(bytes_of(image), "x");
    EXPECT_EQ(file.version, version);
    EXPECT_EQ(file.get_string("text"), "caf\xC3\xA9");
    EXPECT_EQ(file.get_int("n", 0, 9), 7);
    ASSERT_EQ(file.tensors.size(), 2u);
    EXPECT_EQ(file.tensors.at("a").shape, std::vector<int64_t>{4});
    EXPECT_EQ(std::memcmp(file.tensors.at("b").data.data(), "bbbbbbbbbbbbbbbb", 16), 0);
  }
}

TEST(GgufFile, ShapesAreRowsFirst) {
  GgufBuilder gguf;
  gguf.tensors = {{"a", {32, 3, 2}, kTQ8_0, std::string(34 * 6, 'a'), {}}};
  const std::string image = gguf.image();
  const GgufFile file = parse_gguf(bytes_of(image), "x");
  EXPECT_EQ(file.tensors.at("a").shape, (std::vector<int64_t>{2, 3, 32}));
  EXPECT_EQ(file.tensors.at("a").data.size(), 34u * 6);
}

TEST(GgufFile, FollowsTheAlignmentOfTheFile) {
  for (uint64_t alignment : {8, 64, 4096}) {
    GgufBuilder gguf =
        two_tensors().set("general.alignment", u32_value(static_cast<uint32_t>(alignment)));
    gguf.alignment = alignment;
    const std::string image = gguf.image();
    const GgufFile file = parse_gguf(bytes_of(image), "x");
    EXPECT_EQ(std::memcmp(file.tensors.at("b").data.data(), "bbbbbbbbbbbbbbbb", 16), 0);
    EXPECT_EQ((file.tensors.at("b").data.data() - bytes_of(image).data()) % alignment, 0u);
  }
  for (uint32_t alignment : {0u, 1u, 4u, 24u, 131072u, UINT32_MAX})
    expect_builder_refused(two_tensors().set("general.alignment", u32_value(alignment)),
                           {"general.alignment", std::to_string(alignment)});
  expect_builder_refused(two_tensors().set("general.alignment", text_value("32")),
                         {"general.alignment", "whole number"});
}

TEST(GgufFile, TakesFilesWithoutTensorsAndPaddingAtTheEnd) {
  EXPECT_TRUE(parse_gguf(bytes_of(GgufBuilder().image()), "x").tensors.empty());
  GgufBuilder gguf = two_tensors();
  gguf.tail = std::string(16, '\0');  // up to the alignment, as writers pad
  EXPECT_EQ(parse_gguf(bytes_of(gguf.image()), "x").tensors.size(), 2u);
  gguf.tail += '\0';
  expect_builder_refused(gguf, {"17 bytes after the last tensor"});
}

TEST(GgufFile, RefusesEveryPrefixOfAGoodFile) {
  const std::string image = tiny_llama().image();
  ASSERT_NO_THROW(parse_gguf(bytes_of(image), "x"));
  for (size_t size = 0; size < image.size(); size += size < 2000 ? 1 : 37) {
    const std::string prefix = image.substr(0, size);
    expect_refused([&] { parse_gguf(bytes_of(prefix), "x"); }, {});
  }
}

TEST(GgufFile, RefusesEveryPrefixOfKeysWithoutTensors) {
  for (const std::string& value :
       {u32_value(7), text_value("abc"), texts_value({"a", "b"}), i32s_value({1, 2})}) {
    const std::string image = one_key(value).image();
    const size_t end = 4 + 4 + 8 + 8 + 8 + 1 + value.size();
    ASSERT_NO_THROW(parse_gguf(bytes_of(image).first(end), "x"));
    for (size_t size = 0; size < end; ++size)
      expect_refused([&] { parse_gguf(bytes_of(image).first(size), "x"); }, {"truncated?"});
  }
}

// Whatever the bytes, there is an answer or an Error; the sanitizers watch the rest.
TEST(GgufFile, SurvivesRandomDamage) {
  const std::string image = tiny_llama().image();
  constexpr uint64_t kSeed = 31415;
  Random random(kSeed, Stream::kTest);
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = image;
    for (uint32_t i = 0; i <= random.below(4); ++i)
      damaged[random.below(1500)] = static_cast<char>(random.below(4) == 0 ? 0xFF : random.next());
    try {
      parse_gguf(bytes_of(damaged), "x");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kInput);
      ++refused;
    }
  }
  EXPECT_GT(refused, 100) << "seed " << kSeed;
}

TEST(GgufFile, RefusesOtherMagicVersionsAndByteOrders) {
  GgufBuilder gguf;
  gguf.magic = "GGUX";
  expect_builder_refused(gguf, {"begins with 'GGUX'"});
  expect_image_refused("", {"magic number", "truncated?"});
  gguf = GgufBuilder();
  for (uint32_t version : {0u, 1u, 4u}) {
    gguf.version = version;
    expect_builder_refused(gguf,
                           {fmt::format("GGUF version {} is not supported", version), "2 and 3"});
  }
  gguf.version = 0x03000000;
  expect_builder_refused(gguf, {"big-endian"});
}

TEST(GgufFile, RefusesCountsThatCannotBe) {
  for (uint64_t count : {uint64_t{1000}, uint64_t{1} << 40, uint64_t{1} << 61, UINT64_MAX}) {
    GgufBuilder gguf = two_tensors();
    gguf.tensor_count = count;
    expect_builder_refused(gguf, {"the number of tensors is", std::to_string(count)});
    gguf = two_tensors();
    gguf.key_count = count;
    expect_builder_refused(gguf, {"the number of keys is", std::to_string(count)});
  }
  std::string zeros(40 << 20, '\0');  // room for more than 2^20 entries
  GgufBuilder gguf;
  gguf.key_count = (1 << 20) + 1;
  gguf.tail = zeros;
  expect_builder_refused(gguf, {"1048577 keys; allowed are 1048576"});
}

TEST(GgufFile, RefusesWrongKeys) {
  GgufBuilder gguf;
  gguf.keys = {{"k", u32_value(1)}, {"k", u32_value(1)}};
  expect_builder_refused(gguf, {"key 'k' stands twice"});
  gguf.keys = {{"", u32_value(1)}};
  expect_builder_refused(gguf, {"empty key"});
  gguf.keys = {{std::string(65536, 'k'), u32_value(1)}};
  expect_builder_refused(gguf, {"a key", "65536 bytes long; allowed are 65535"});
}

TEST(GgufFile, RefusesValuesThatCannotBe) {
  expect_builder_refused(one_key(raw(uint32_t{13})), {"key 'k' has the value type 13"});
  expect_builder_refused(one_key(list_head(13, 0)), {"key 'k' has the value type 13"});
  expect_builder_refused(one_key(list_head(kList, 1) + list_head(kU8, 0)),
                         {"key 'k' is a list of lists"});
  expect_builder_refused(one_key(bool_value(2)), {"key 'k' holds 2; a bool is 0 or 1"});
  expect_builder_refused(one_key(list_head(kBool, 2) + "\x01\x07"), {"key 'k' holds 7"});
  for (uint64_t length : {uint64_t{1000}, uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 7}) {
    expect_builder_refused(one_key(raw(uint32_t{kText}) + raw(length) + "abc"),
                           {"the value of 'k'", "truncated?"});
    for (uint32_t type : {kU8, kU32, kF64, kText})
      expect_builder_refused(one_key(list_head(type, length) + "abc"),
                             {"the value of 'k'", "truncated?"});
  }
  // Twice 8 bytes of length fit the count check, but the texts themselves do not.
  expect_builder_refused(one_key(list_head(kText, 2) + raw_text("abc") + raw(uint64_t{1} << 63)),
                         {"the value of 'k'"});
}

TEST(GgufFile, RefusesWrongTensorNames) {
  GgufBuilder gguf = two_tensors();
  gguf.tensors[1].name = "a";
  expect_builder_refused(gguf, {"tensor 'a': stands twice"});
  gguf.tensors[1].name = std::string(65, 'n');
  expect_builder_refused(gguf, {"65 bytes long; allowed are 64"});
  gguf.tensors[1].name = "";
  expect_builder_refused(gguf, {"empty or not valid UTF-8"});
  gguf.tensors[1].name = "\xFF";
  expect_builder_refused(gguf, {"empty or not valid UTF-8"});
}

TEST(GgufFile, RefusesDimensionsThatCannotBe) {
  const auto expect_dims_refused = [](std::vector<uint64_t> dims, uint32_t type,
                                      std::string_view word) {
    GgufBuilder gguf = two_tensors();
    gguf.tensors[1].dims = std::move(dims);
    gguf.tensors[1].type = type;
    expect_builder_refused(gguf, {"tensor 'b'", word});
  };
  expect_dims_refused({}, kTF32, "0 dimensions; allowed are 1 to 4");
  expect_dims_refused({1, 1, 1, 1, 4}, kTF32, "5 dimensions");
  expect_dims_refused({4, 0}, kTF32, "a dimension 0");
  expect_dims_refused({0}, kTQ8_0, "a dimension 0");
  expect_dims_refused({uint64_t{1} << 32, uint64_t{1} << 32}, kTF32, "overflows");
  expect_dims_refused({(uint64_t{1} << 42) + 1, uint64_t{1} << 22}, kTF32, "overflows");
  expect_dims_refused({UINT64_MAX}, kTF32, "overflows");
  expect_dims_refused({uint64_t{1} << 62}, kTF32, "size in bytes overflows");
  expect_dims_refused({uint64_t{1} << 40}, kTF32, "reach beyond");
  expect_dims_refused({33}, kTQ8_0, "rows of 33 values; Q8_0 needs multiples of 32");
  expect_dims_refused({128, 2}, kTQ6_K, "Q6_K needs multiples of 256");
  GgufBuilder gguf = two_tensors();
  gguf.tensors[1].dims = std::vector<uint64_t>(1 << 16, 1);
  expect_builder_refused(gguf, {"65536 dimensions"});
}

TEST(GgufFile, RefusesOtherTensorTypesByName) {
  const std::pair<uint32_t, const char*> others[] = {
      {12, "is Q4_K (type 12)"}, {13, "is Q5_K"},
      {10, "is Q2_K"},           {6, "is Q5_0"},
      {20, "is IQ4_NL"},         {28, "is F64"},
      {4, "ggml does not have"}, {99, "ggml does not have"}};
  for (const auto& [type, word] : others) {
    GgufBuilder gguf = two_tensors();
    gguf.tensors[1].type = type;
    expect_builder_refused(
        gguf, {"tensor 'b'", word, "supported are F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q6_K"});
  }
}

TEST(GgufFile, RefusesTensorsThatOverlapLeaveGapsOrPassTheEnd) {
  for (uint64_t offset : {uint64_t{0}, uint64_t{8}, uint64_t{16}, uint64_t{31}, uint64_t{33},
                          uint64_t{64}, uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 31}) {
    GgufBuilder gguf = two_tensors();
    gguf.tensors[1].offset = offset;
    expect_builder_refused(gguf, {"its data begin at", "no gap, no overlap"});
  }
  GgufBuilder gguf = two_tensors();
  gguf.tensors[0].offset = 32;
  expect_builder_refused(gguf, {"tensor 'a'", "begin at 32; expected 0"});
  gguf = two_tensors();
  gguf.tensors[1].data.pop_back();
  expect_builder_refused(
      gguf, {"tensor 'b'", "16 bytes at 32 reach beyond the 47 bytes of data: truncated?"});
  gguf = two_tensors();  // swapped in the data, which is as good
  gguf.tensors[0].offset = 32;
  gguf.tensors[1].offset = 0;
  EXPECT_EQ(
      std::memcmp(parse_gguf(bytes_of(gguf.image()), "x").tensors.at("b").data.data(), "aaaa", 4),
      0);
}

TEST(GgufFile, IntegersOfEveryTypeAreReadAndBounded) {
  const std::pair<std::string, int64_t> values[] = {
      {value_of(kU8, uint8_t{200}), 200},
      {value_of(kI8, int8_t{-3}), -3},
      {value_of(kU16, uint16_t{60000}), 60000},
      {value_of(kI16, int16_t{-300}), -300},
      {value_of(kU32, 4000000000u), 4000000000},
      {value_of(kI32, -7), -7},
      {value_of(kU64, uint64_t{1} << 40), int64_t{1} << 40},
      {value_of(kI64, int64_t{-1} << 40), int64_t{-1} << 40}};
  for (const auto& [value, expected] : values) {
    const std::string image = one_key(value).image();
    const GgufFile file = parse_gguf(bytes_of(image), "x");
    EXPECT_EQ(file.get_int("k", INT64_MIN, INT64_MAX), expected);
    expect_refused([&] { file.get_int("k", expected + 1, INT64_MAX); },
                   {"key 'k' is", std::to_string(expected)});
    expect_refused([&] { file.get_int("k", INT64_MIN, expected - 1); },
                   {"key 'k' is", std::to_string(expected)});
  }
  const std::string image = one_key(value_of(kU64, UINT64_MAX)).image();
  expect_refused([&] { parse_gguf(bytes_of(image), "x").get_int("k", 0, 100); },
                 {"allowed are 0 to 100"});
}

TEST(GgufFile, GettersRefuseOtherTypesAndMissingKeys) {
  const std::string image = GgufBuilder()
                                .set("int", u32_value(1))
                                .set("float", f32_value(0.1f))
                                .set("text", text_value("t"))
                                .set("bool", bool_value(1))
                                .set("bad text", text_value("\xC3"))
                                .set("bad texts", texts_value({"a", "\xC3"}))
                                .set("ints", i32s_value({4, 5}))
                                .set("nan", f32_value(NAN))
                                .set("inf", f32_value(INFINITY))
                                .set("zero", f32_value(0))
                                .set("wide", value_of(kF64, 0.1))
                                .image();
  const GgufFile file = parse_gguf(bytes_of(image), "x");
  EXPECT_EQ(file.get_positive("float"), 0.1);  // not 0.100000001490116
  EXPECT_EQ(file.get_positive("wide"), 0.1);
  EXPECT_TRUE(file.get_bool_or("bool", false));
  EXPECT_TRUE(file.get_bool_or("none", true));
  EXPECT_EQ(file.get_int_or("none", 0, 9, 5), 5);
  EXPECT_EQ(file.get_ints("ints", 2), (std::vector<int64_t>{4, 5}));
  for (const char* key : {"float", "text", "bool", "ints", "none"})
    expect_refused([&] { file.get_int(key, 0, 9); }, {key, "whole number"});
  for (const char* key : {"int", "text", "nan", "inf", "zero", "none"})
    expect_refused([&] { file.get_positive(key); }, {key});
  expect_refused([&] { file.get_bool_or("int", false); }, {"'int' must be a bool"});
  for (const char* key : {"int", "ints", "bad text", "bad texts", "none"})
    expect_refused([&] { file.get_string(key); }, {key});
  for (const char* key : {"text", "ints", "bad texts", "none"})
    expect_refused([&] { file.get_strings(key); }, {key});
  for (const char* key : {"int", "text", "none"})
    expect_refused([&] { file.get_ints(key, 2); }, {key});
  expect_refused([&] { file.get_ints("ints", 3); }, {"'ints' has 2 numbers; expected 3"});
}

}  // namespace
}  // namespace cohort
