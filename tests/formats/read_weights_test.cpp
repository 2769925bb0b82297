// The weights of a folder: each used once, none missing, in the shape that the model asks for.
#include "model/formats/read_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/rng.h"
#include "model/tensor.h"
#include "tests/formats/plain_formats.h"
#include "tests/formats/refused.h"

namespace cohort {
namespace {

class ReadWeights : public FolderTest {
 protected:
  void write(const std::vector<NamedTensor>& tensors) {
    write_safetensors(folder / "model.safetensors", tensors);
    opened.emplace(SafetensorsFolder::open(folder));
  }
  NamedTensor floats(const std::string& name, std::vector<int64_t> shape, const std::vector<float>& values) {
    return {name, {"F32", std::move(shape), std::as_bytes(std::span(values))}};
  }
  void expect_check_refused(std::initializer_list<std::string_view> words, const TiedWeights& tied = {}) {
    expect_refused([&] { check_weights(*opened, targets, tied, "m"); }, words);
  }
  std::optional<SafetensorsFolder> opened;
  std::vector<WeightTarget> targets{{"a", {2, 2}}, {"b", {3}}};
  const std::vector<float> four{1, 2, 3, 4}, three{5, 6, 7};
};

TEST_F(ReadWeights, TakesWhatIsThere) {
  write({floats("b", {3}, three), floats("a", {2, 2}, four)});
  std::vector<float> a(4), b(3);
  targets[0].out = a.data();
  targets[1].out = b.data();
  ThreadPool pool(2);
  check_weights(*opened, targets, {}, "m");
  read_weights(*opened, targets, StoredDType::f32, "m", pool);
  EXPECT_EQ(a, four);
  EXPECT_EQ(b, three);
}

TEST_F(ReadWeights, NamesWhatIsMissing) {
  write({floats("a", {2, 2}, four)});
  expect_check_refused({"m: 'b' is missing"});
  for (const char* name : {"c", "d", "e", "f"}) targets.push_back({name, {1}});
  expect_check_refused({"m: 'b', 'c', 'd' and 2 more is missing"});
}

TEST_F(ReadWeights, NamesWhatTheModelDoesNotHave) {
  write({floats("a", {2, 2}, four), floats("b", {3}, three), floats("stray", {3}, three)});
  expect_check_refused({"the model that config.json describes has no 'stray'"});
  targets.push_back({"c", {1}});
  expect_check_refused({"'c' is missing", "has no 'stray'", "another kind of model?"});
}

TEST_F(ReadWeights, TablesOfRotaryFrequenciesAreNoWeights) {
  write({floats("a", {2, 2}, four), floats("b", {3}, three), floats("model.layers.0.self_attn.rotary_emb.inv_freq", {3}, three)});
  EXPECT_NO_THROW(check_weights(*opened, targets, {}, "m"));
}

TEST_F(ReadWeights, RefusesOtherShapes) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{4}, {4, 1}, {2, 2, 1}}) {
    write({floats("a", shape, four), floats("b", {3}, three)});
    expect_check_refused({"m: tensor 'a' has shape", "config.json asks for (2, 2)"});
  }
}

TEST_F(ReadWeights, RefusesDTypesThatWeightsDoNotHave) {
  const std::string bytes(12, 'x');
  write({floats("a", {2, 2}, four), {"b", {"I32", {3}, bytes_of(bytes)}}});
  expect_check_refused({"m: tensor 'b': dtype 'I32' is not supported for weights"});
}

TEST_F(ReadWeights, ATiedHeadMustBeTheEmbedding) {
  const TiedWeights tied{"head", "a"};
  write({floats("a", {2, 2}, four), floats("b", {3}, three)});
  EXPECT_NO_THROW(check_weights(*opened, targets, tied, "m"));  // it need not be there
  write({floats("a", {2, 2}, four), floats("b", {3}, three), floats("head", {2, 2}, four)});
  EXPECT_NO_THROW(check_weights(*opened, targets, tied, "m"));
  expect_check_refused({"has no 'head'"});  // untied
  const std::vector<float> other{1, 2, 3, 5};
  write({floats("a", {2, 2}, four), floats("b", {3}, three), floats("head", {2, 2}, other)});
  expect_check_refused({"head differs from a", "tie_word_embeddings: true"}, tied);
  write({floats("a", {2, 2}, four), floats("b", {3}, three), floats("head", {4}, four)});
  expect_check_refused({"head differs from a"}, tied);
}

TEST_F(ReadWeights, TheFirstNumberThatIsNotFiniteIsNamedWhateverTheThreads) {
  std::vector<float> large(1 << 20, 0.5f);
  large[900000] = INFINITY;
  large[600000] = NAN;
  const std::vector<float> late{INFINITY};
  write({floats("z", {1024, 1024}, large), floats("y", {1}, late)});
  std::vector<float> out(large.size()), last(1);
  const std::vector<WeightTarget> both{{"z", {1024, 1024}, out.data()}, {"y", {1}, last.data()}};
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    expect_refused([&] { read_weights(*opened, both, StoredDType::f32, "m", pool); },
                   {fmt::format("/model.safetensors: tensor 'z': element [{}, {}] is nan", 600000 / 1024, 600000 % 1024)});
  }
}

// Pieces, threads and dropped pages change no bit: as convert_stored, which does it in one go.
TEST_F(ReadWeights, ReadsAsOneThreadDoesInOnePiece) {
  Random random(3141, Stream::kTest);
  std::vector<float> values(700001);
  for (float& value : values) value = random.normal() * 0.02f;
  std::vector<uint16_t> halves(values.size());
  for (uint16_t& half : halves) half = static_cast<uint16_t>(random.next() & 0xBBFF);  // no exponent 31
  const int64_t count = static_cast<int64_t>(values.size());
  write({floats("f32", {count}, values),
         {"f16", {"F16", {count}, std::as_bytes(std::span(halves))}},
         {"bf16", {"BF16", {count}, std::as_bytes(std::span(halves))}}});
  ThreadPool pool(3);
  for (const bool to_bf16 : {false, true}) {
    for (const auto& [name, tensor] : opened->tensors()) {
      std::vector<std::byte> expected(values.size() * 4), got(expected.size());
      convert_stored(tensor, name, to_bf16, expected.data());
      const std::vector<WeightTarget> one{{name, tensor.shape, got.data()}};
      for (int time = 0; time < 2; ++time)  // again, after the pages were dropped
        read_weights(*opened, one, to_bf16 ? StoredDType::bf16 : StoredDType::f32, "m", pool);
      EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size()), 0) << name;
    }
  }
}

}  // namespace
}  // namespace cohort
