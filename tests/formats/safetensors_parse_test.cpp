// The strict reader of safetensors images: what it takes, and everything it refuses.
#include <gtest/gtest.h>

#include "model/formats/safetensors.h"
#include "tests/formats/refused.h"
#include "tests/formats/safetensors_image.h"

namespace cohort {
namespace {

using Shape = std::vector<int64_t>;

// The header of a file whose one tensor "w" is described by `body`.
std::string header_of(std::string_view body) { return "{\"w\":{" + std::string(body) + "}}"; }

void expect_image_refused(const std::string& image, std::initializer_list<std::string_view> words) {
  const auto parse = [&] { parse_safetensors(bytes_of(image), "x.safetensors"); };
  expect_refused(parse, {"x.safetensors: "});
  expect_refused(parse, words);
}
void expect_header_refused(const std::string& header, std::initializer_list<std::string_view> words,
                           std::string_view data = kTwoFloats) {
  expect_image_refused(safetensors_image(header, data), words);
}

TEST(SafetensorsParse, FindsNamesShapesAndBytes) {
  const std::string image =
      safetensors_image(R"({"__metadata__":{"format":"pt","other":"text"},)"
                        R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},)"
                        R"("a":{"data_offsets":[0,8],"shape":[1,2],"dtype":"F32"}}  )",
                        kTwoFloats + "xyz");
  const auto tensors = parse_safetensors(bytes_of(image), "x");
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors.at("a").dtype, "F32");
  EXPECT_EQ(tensors.at("a").shape, (Shape{1, 2}));
  EXPECT_EQ(std::memcmp(tensors.at("a").data.data(), kTwoFloats.data(), 8), 0);
  EXPECT_EQ(tensors.at("b").shape, Shape{3});
  EXPECT_EQ(std::memcmp(tensors.at("b").data.data(), "xyz", 3), 0);
}

TEST(SafetensorsParse, TakesNoTensorsScalarsAndEmptyTensors) {
  EXPECT_TRUE(parse_safetensors(bytes_of(safetensors_image("{}")), "x").empty());
  EXPECT_TRUE(
      parse_safetensors(bytes_of(safetensors_image(R"({"__metadata__":{}})")), "x").empty());
  const std::string image = safetensors_image(
      R"({"e":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]},"f":{"dtype":"I64","shape":[0],"data_offsets":[4,4]},)"
      R"("s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
      "1234");
  const auto tensors = parse_safetensors(bytes_of(image), "x");
  EXPECT_EQ(tensors.at("s").shape, Shape{});
  EXPECT_EQ(tensors.at("s").data.size(), 4u);
  EXPECT_TRUE(tensors.at("e").data.empty());
  EXPECT_TRUE(tensors.at("f").data.empty());
}

TEST(SafetensorsParse, KnowsEveryDTypeOfTheFormatAndItsSize) {
  const std::pair<const char*, int> bytes_of_eight[] = {
      {"BOOL", 8}, {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
      {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
      {"I16", 16}, {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"F8_E5M2FNUZ", 8},
      {"I32", 32}, {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
      {"I64", 64}, {"U64", 64}};
  for (const auto& [dtype, bytes] : bytes_of_eight) {
    const std::string image = safetensors_image(
        fmt::format(R"({{"w":{{"dtype":"{}","shape":[8],"data_offsets":[0,{}]}}}})", dtype, bytes),
        std::string(bytes, 'x'));
    EXPECT_EQ(parse_safetensors(bytes_of(image), dtype).at("w").dtype, dtype);
  }
}

TEST(SafetensorsParse, RefusesShortFilesAndWrongHeaderLengths) {
  expect_image_refused("", {"0 bytes", "truncated?"});
  expect_image_refused("1234567", {"7 bytes", "truncated?"});
  expect_image_refused(safetensors_image("{}", "", 0), {"header length is 0"});
  expect_image_refused(safetensors_image("{}", "", 100'000'001),
                       {"100000001", "allowed are 2 to 100000000"});
  expect_image_refused(safetensors_image("{}", "", UINT64_MAX), {"18446744073709551615"});
  expect_image_refused(safetensors_image("{}", "", 3),
                       {"header takes 3 bytes, but 2 follow", "truncated?"});
  expect_image_refused("version https://git-lfs.github.com/spec/v1\noid", {"Git LFS pointer"});
}

TEST(SafetensorsParse, RefusesEveryPrefixOfAGoodFile) {
  const std::string image = one_tensor_image("weight");
  ASSERT_NO_THROW(parse_safetensors(bytes_of(image), "x"));
  for (size_t size = 0; size < image.size(); ++size) {
    const std::string prefix = image.substr(0, size);
    expect_refused([&] { parse_safetensors(bytes_of(prefix), "x"); }, {});
  }
}

TEST(SafetensorsParse, RefusesHeadersThatAreNoJsonObject) {
  expect_header_refused("[]", {"must begin with '{'", "'['"});
  expect_header_refused(" {}", {"must begin with '{'"});
  expect_header_refused("\xEF\xBB\xBF{}", {"must begin with '{'"});
  expect_header_refused("{\"a\xFF\":{}}", {"not valid UTF-8"});
  expect_header_refused("{\"w\"", {"not valid JSON"});
  expect_header_refused("{} {}", {"not valid JSON"});
  expect_header_refused("{}x", {"not valid JSON"});
  expect_header_refused("{\"w\":" + std::string(100000, '{'), {"not valid JSON"});
  expect_header_refused("{\"w\":" + std::string(100000, '['), {"tensor 'w': is a list"});
}

TEST(SafetensorsParse, RefusesMetadataThatIsNotTexts) {
  expect_header_refused(R"({"__metadata__":{"format":1}})", {"__metadata__ holds a number"});
  expect_header_refused(R"({"__metadata__":{"format":null}})", {"__metadata__ holds null"});
  expect_header_refused(R"({"__metadata__":{"format":{}}})", {"__metadata__ holds an object"});
  expect_header_refused(R"({"__metadata__":[]})", {"__metadata__ is a list"});
  expect_header_refused(R"({"__metadata__":"pt"})", {"__metadata__ is a text"});
  expect_header_refused(R"({"__metadata__":{"a":"1","a":"1"}})",
                        {"__metadata__", "'a' stands twice"});
  expect_header_refused(R"({"__metadata__":{},"__metadata__":{}})", {"__metadata__ stands twice"});
}

TEST(SafetensorsParse, RefusesWrongNames) {
  expect_header_refused(R"({"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", {"empty name"});
  expect_header_refused(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                        R"("w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                        {"tensor 'w': stands twice"});
}

TEST(SafetensorsParse, RefusesTensorsThatAreNotDescribedAsTheyMust) {
  expect_header_refused(R"({"w":7})", {"tensor 'w': is a number", "must be an object"});
  expect_header_refused(R"({"w":null})", {"tensor 'w': is null"});
  expect_header_refused(header_of(""), {"must have dtype, shape and data_offsets"});
  expect_header_refused(header_of(R"("dtype":"F32","shape":[2])"),
                        {"must have dtype, shape and data_offsets"});
  expect_header_refused(
      header_of(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"strides":[1])"),
      {"unknown key 'strides'"});
  expect_header_refused(header_of(R"("dtype":"F32","dtype":"F32")"), {"dtype stands twice"});
  expect_header_refused(header_of(R"("shape":[2],"shape":[2])"), {"shape stands twice"});
}

TEST(SafetensorsParse, RefusesWrongDTypes) {
  expect_header_refused(header_of(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])"),
                        {"unknown dtype 'F33'", "BF16"});
  expect_header_refused(header_of(R"("dtype":"","shape":[2],"data_offsets":[0,8])"),
                        {"unknown dtype ''"});
  expect_header_refused(header_of(R"("dtype":7)"), {"dtype is a number", "must be a text"});
  expect_header_refused(header_of(R"("dtype":["F32"])"), {"dtype is a list"});
}

TEST(SafetensorsParse, RefusesNumbersThatAreNoSizes) {
  for (const char* field : {"shape", "data_offsets"}) {
    const auto with = [&](const char* number) {
      return header_of(fmt::format(R"("{}":[{}])", field, number));
    };
    expect_header_refused(with("-1"), {field, "-1", "0 to 2^53"});
    expect_header_refused(with("2.0"), {field, "2.0", "0 to 2^53"});
    expect_header_refused(with("1e3"), {field, "1e3"});
    expect_header_refused(with("9007199254740993"), {field, "9007199254740993", "2^53"});
    expect_header_refused(with("18446744073709551616"), {field, "18446744073709551616"});
    expect_header_refused(with("\"2\""), {field, "a text"});
    expect_header_refused(with("true"), {field, "true"});
    expect_header_refused(with("null"), {field, "null"});
    expect_header_refused(with("[2]"), {field, "a list"});
    expect_header_refused(with("{}"), {field, "an object"});
    expect_header_refused(header_of(fmt::format(R"("{}":2)", field)),
                          {field, "a number", "a list of whole numbers"});
  }
  expect_header_refused(header_of(R"("data_offsets":[0])"), {"1 numbers", "begin and end"});
  expect_header_refused(header_of(R"("data_offsets":[0,4,8])"), {"more than two numbers"});
  std::string ones = "1";
  for (int i = 0; i < 32; ++i) ones += ",1";
  expect_header_refused(header_of("\"shape\":[" + ones + "]"), {"more than 32 dimensions"});
}

TEST(SafetensorsParse, RefusesProductsThatOverflow) {
  expect_header_refused(
      header_of(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])"),
      {"tensor 'w'", "product", "overflows"});
  // 2^61 elements of 64 bits: only the bits overflow, to 0.
  expect_header_refused(
      header_of(R"("dtype":"F64","shape":[2147483648,1073741824],"data_offsets":[0,0])"),
      {"overflows"}, "");
  expect_header_refused(
      header_of(R"("dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0])"),
      {"overflows"}, "");
  expect_header_refused(
      header_of(R"("dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0])"),
      {"overflows"}, "");
}

TEST(SafetensorsParse, RefusesTensorsThatDoNotFitTheirBytes) {
  expect_header_refused(header_of(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"),
                        {"end before they begin"});
  expect_header_refused(header_of(R"("dtype":"F32","shape":[2],"data_offsets":[0,12])"),
                        {"beyond the 8 bytes"});
  expect_header_refused(header_of(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"),
                        {"takes 4 bytes", "span 8"});
  expect_header_refused(header_of(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"),
                        {"takes 12 bytes"});
  expect_header_refused(header_of(R"("dtype":"F4","shape":[3],"data_offsets":[0,1])"),
                        {"no whole bytes"}, "x");
}

TEST(SafetensorsParse, RefusesHolesOverlapsAndTrailingBytes) {
  const auto two = [](const char* a, const char* b) {
    return fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":[{}]}},)"
                       R"("b":{{"dtype":"U8","shape":[4],"data_offsets":[{}]}}}})",
                       a, b);
  };
  EXPECT_EQ(
      parse_safetensors(bytes_of(safetensors_image(two("4,8", "0,4"), kTwoFloats)), "x").size(),
      2u);
  expect_header_refused(two("0,4", "5,9"), {"tensor 'b'", "1 bytes before it belong to no tensor"},
                        "123456789");
  expect_header_refused(two("1,5", "5,9"), {"tensor 'a'", "1 bytes before it"}, "123456789");
  expect_header_refused(two("0,4", "3,7"), {"tensor 'b'", "overlap tensor 'a'"});
  expect_header_refused(two("0,4", "0,4"), {"overlap"});
  expect_header_refused(two("0,4", "4,8"), {"1 bytes after the last tensor"}, "123456789");
  expect_header_refused("{}", {"8 bytes after the last tensor"});
}

// The attack of the reference reader's own collection: many names for the same bytes.
TEST(SafetensorsParse, RefusesAHundredThousandTensorsOverOneSpan) {
  std::string header = "{";
  for (int i = 0; i < 100000; ++i)
    header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                          i > 0 ? "," : "", i);
  expect_header_refused(header + "}", {"overlap"});
}

TEST(SafetensorsParse, NamesInMessagesAreShortAndPrintable) {
  const std::string long_name(1000, 'n');
  try {
    parse_safetensors(bytes_of(safetensors_image("{\"\\u001b[31m\\u009b" + long_name + "\":7}")),
                      "x");
    FAIL();
  } catch (const Error& error) {
    EXPECT_LT(std::string_view(error.what()).size(), 300u);
    for (const char* c = error.what(); *c != 0; ++c)
      EXPECT_TRUE(*c >= ' ' && *c < 0x7F) << error.what();
  }
}

}  // namespace
}  // namespace cohort
