// Model folders in and out: dtypes, byte for byte, and what must not be lost on the way.
#include <signal.h>
#include <sys/resource.h>

#include <cmath>

#include "model/transformer.h"
#include "tests/model/tiny_model.h"
#include "tests/trainer/model_folder.h"
#include "tests/trainer/thread_comm.h"
#include "trainer/optimizer.h"

namespace cohort {
namespace {

TEST_F(ModelSetup, AutoHoldsEveryWeightExactly) {
  EXPECT_EQ(exact_dtype(make_model("b", StoredDType::bf16)), DType::bf16);
  EXPECT_EQ(exact_dtype(make_model("h", StoredDType::f16)), DType::f32);
  EXPECT_EQ(exact_dtype(make_model("f", StoredDType::f32)), DType::f32);
  EXPECT_EQ(exact_dtype(make_model("m", StoredDType::bf16, {"model.norm.weight"})), DType::f32);
  const fs::path dir = make_model("w", StoredDType::bf16);
  fs::remove(dir / "model.safetensors");  // what config.json says
  EXPECT_EQ(exact_dtype(dir), DType::bf16);
  set_config(dir, "torch_dtype", "float16");
  EXPECT_EQ(exact_dtype(dir), DType::f32);
  set_config(dir, "torch_dtype", "float8");
  EXPECT_ERROR(exact_dtype(dir), kInput, "'float8' is not supported");
}

TEST_F(ModelSetup, DTypeInMemoryFollowsTheWish) {
  EXPECT_EQ(dtype_in_memory("auto", DType::bf16), DType::bf16);
  EXPECT_EQ(dtype_in_memory("auto", DType::f32), DType::f32);
  EXPECT_EQ(dtype_in_memory("float32", DType::bf16), DType::f32);
  EXPECT_EQ(dtype_in_memory("bfloat16", DType::f32), DType::bf16);
  EXPECT_ERROR(dtype_in_memory("float16", DType::f32), kUsage, "allowed: auto, float32, bfloat16");
}

TEST_F(ModelSetup, WeightsComeBackByteForByte) {
  for (const StoredDType dtype : {StoredDType::f32, StoredDType::bf16, StoredDType::f16}) {
    const fs::path dir = make_model(stored_name(dtype), dtype);
    const LoadedModel model = load_model(dir, "auto", 4, owner.exec());
    save_model(*model.policy, dir, folder / "out");
    expect_same_weights(dir, folder / "out");
    EXPECT_EQ(read_file(dir / "config.json"), read_file(folder / "out/config.json"));
    fs::remove_all(folder / "out");
  }
}

// A run begins before its folder is there; one that goes on reads it.
TEST_F(ModelSetup, AModelFromScratchIsTheSameOfItsFilesAndOfTheirFolder) {
  const ModelInitConfig init{.hidden_size = 32, .intermediate_size = 48, .num_layers = 1, .num_heads = 2, .num_kv_heads = 1, .max_positions = 64};
  for (const bool reward_model : {false, true}) {
    for (const char* dtype : {"float32", "bfloat16"}) {
      const fs::path dir = folder / fmt::format("{}{}", dtype, reward_model);
      const ModelFiles files = initial_model_files(init, dtype, reward_model);
      write_initial_model(files, dir);
      const LoadedModel a = init_model(files, dtype, 4, 7, owner.exec()), b = init_model(dir, dtype, 4, 7, owner.exec());
      EXPECT_EQ(weights_fingerprint(*a.policy), weights_fingerprint(*b.policy)) << dir;
      EXPECT_EQ(a.policy->config.is_classifier(), reward_model);
      EXPECT_EQ(b.policy->config.is_classifier(), reward_model);
      EXPECT_EQ(initial_model_config(init, dtype, reward_model).is_classifier(), reward_model);
      EXPECT_EQ(stop_tokens(a), stop_tokens(b));
      EXPECT_EQ(a.tokenizer.named_tokens(), b.tokenizer.named_tokens());
      EXPECT_FALSE(a.chat_template.has_template());
      const ModelFiles read = read_model_files(dir, b.policy->table);
      EXPECT_EQ(files.files, read.files);
      EXPECT_EQ(files.fingerprint(), read.fingerprint());
      EXPECT_EQ(files.config_dtype, read.config_dtype);
    }
  }
}

TEST_F(ModelSetup, EachTensorKeepsItsOwnDType) {
  const fs::path dir = make_model("mixed", StoredDType::bf16, {"model.norm.weight", "model.layers.1.mlp.up_proj.weight"});
  const LoadedModel model = load_model(dir, "auto", 1, owner.exec());
  save_model(*model.policy, dir, folder / "out");
  expect_same_weights(dir, folder / "out");
}

TEST_F(ModelSetup, ShardsComeBackAsShards) {
  const fs::path dir = make_model("m", StoredDType::bf16);
  const LoadedModel model = load_model(dir, "auto", 1, owner.exec());
  save_model(*model.policy, dir, folder / "out", {.max_shard_bytes = 6000});
  EXPECT_TRUE(fs::exists(folder / "out/model.safetensors.index.json"));
  EXPECT_FALSE(fs::exists(folder / "out/model.safetensors"));
  EXPECT_GT(SafetensorsFolder::open(folder / "out").files().size(), 2u);
  expect_same_weights(dir, folder / "out");
  const LoadedModel again = load_model(folder / "out", "auto", 1, owner.exec());
  EXPECT_EQ(weights_fingerprint(*again.policy), weights_fingerprint(*model.policy));
  save_model(*again.policy, folder / "out", folder / "single");
  EXPECT_TRUE(fs::exists(folder / "single/model.safetensors"));
  expect_same_weights(dir, folder / "single");
}

// float32 and float16 computed in bfloat16: training starts from the files' numbers, and saves them.
TEST_F(ModelSetup, MastersAreTheFilesNumbersNotTheirRoundings) {
  for (const StoredDType dtype : {StoredDType::f32, StoredDType::f16}) {
    const fs::path dir = make_model(stored_name(dtype), dtype);
    const LoadedModel exact = load_model(dir, "float32", 4, owner.exec());
    const LoadedModel rounded = load_model(dir, "bfloat16", 4, owner.exec());
    EXPECT_TRUE(weights_are_rounded(*rounded.policy, read_model_files(dir, rounded.policy->table)));
    EXPECT_FALSE(weights_are_rounded(*exact.policy, read_model_files(dir, exact.policy->table)));
    const ParamTable& table = rounded.policy->table;
    std::vector<float> masters(static_cast<size_t>(table.size), -1.0f);
    const size_t quarter = masters.size() / 4;
    for (size_t k = 0; k < 4; ++k)
      read_masters(table, dir, static_cast<int64_t>(k * quarter), std::span(masters).subspan(k * quarter, quarter));
    FlatWeights exact_flat(*exact.policy), rounded_flat(*rounded.policy);
    EXPECT_EQ(std::memcmp(masters.data(), exact_flat.bytes.data(), exact_flat.bytes.size()), 0);
    for (size_t i = 0; i < masters.size(); ++i)
      ASSERT_EQ(to_bf16(masters[i]).bits, rounded_flat.t().b16()[i].bits) << i;
    save_model(*rounded.policy, dir, folder / "out", {.masters = masters});
    expect_same_weights(dir, folder / "out");
    fs::remove_all(folder / "out");
  }
  const fs::path brain = make_model("b", StoredDType::bf16);
  const LoadedModel same = load_model(brain, "bfloat16", 1, owner.exec());
  EXPECT_FALSE(weights_are_rounded(*same.policy, read_model_files(brain, same.policy->table)));
}

// Ranks hold spans of the masters; what comes together is the file, on any number of them, whatever was not changed.
TEST_F(ModelSetup, AnOptimizerKeepsTheFilesNumbers) {
  const fs::path dir = make_model("m", StoredDType::f32);
  const auto all_masters = [&](int ranks) {
    ThreadWorld world(ranks);
    std::vector<std::vector<float>> masters(static_cast<size_t>(ranks));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < ranks; ++rank)
      threads.emplace_back([&, rank] {
        ThreadComm comm(world, rank);
        ExecOwner mine(1);
        const LoadedModel model = load_model(dir, "bfloat16", 4, mine.exec());
        Optimizer optimizer(*model.policy, OptimSection{}, 4, comm);
        optimizer.set_masters([&](int64_t begin, std::span<float> out) { read_masters(model.policy->table, dir, begin, out); },
                              mine.exec());
        masters[static_cast<size_t>(rank)] = optimizer.gather_masters();
      });
    for (std::thread& thread : threads) thread.join();
    return masters;
  };
  const LoadedModel rounded = load_model(dir, "bfloat16", 4, owner.exec());
  for (const int ranks : {1, 2, 4})
    for (const std::vector<float>& masters : all_masters(ranks)) {
      save_model(*rounded.policy, dir, folder / "out", {.masters = masters});
      expect_same_weights(dir, folder / "out");
      fs::remove_all(folder / "out");
    }
}

// Each rank has other weights than before in its own span only; then all have all of them, however few travel at once.
TEST_F(ModelSetup, RanksShareTheirWeightsPieceByPiece) {
  const fs::path dir = make_model("m", StoredDType::f32);
  for (const char* dtype : {"bfloat16", "float32"}) {
    const LoadedModel expected = load_model(dir, dtype, 4, owner.exec());
    FlatWeights negative(*expected.policy);
    for (int64_t i = 0; i < expected.policy->table.size; ++i) negative.set(i, -negative.get(i));
    negative.put(*expected.policy, owner.exec());
    for (const int ranks : {1, 2, 3, 4}) {
      ThreadWorld world(ranks);
      std::vector<std::string> found(static_cast<size_t>(ranks));
      std::vector<std::thread> threads;
      for (int rank = 0; rank < ranks; ++rank)
        threads.emplace_back([&, rank] {
          ThreadComm comm(world, rank);
          ExecOwner mine(1);
          const LoadedModel model = load_model(dir, dtype, 4, mine.exec());
          Optimizer optimizer(*model.policy, OptimSection{}, 4, comm, /*gpus=*/nullptr, Numerics::strict, /*shared_weights=*/5000);
          optimizer.set_masters(
              [&](int64_t begin, std::span<float> out) {
                read_masters(model.policy->table, dir, begin, out);
                for (float& x : out) x = -x;
              },
              mine.exec());
          found[static_cast<size_t>(rank)] = weights_fingerprint(*model.policy);
        });
      for (std::thread& thread : threads) thread.join();
      for (const std::string& fingerprint : found) EXPECT_EQ(fingerprint, weights_fingerprint(*expected.policy)) << ranks;
    }
  }
}

TEST_F(ModelSetup, AModelForInferenceGivesTheSameBits) {
  const std::vector<int32_t> ids{1, 5, 200, 256, 7};
  const auto hidden = [&](const Policy& policy) {
    KvCache cache(policy, 1);
    PageTable pages;
    EXPECT_TRUE(cache.grow(pages, 8));
    ForwardState state(policy, 8);
    const ForwardRun run{ids, 0, &pages};
    const Tensor rows = forward_cached(policy, cache, state, std::span(&run, 1), owner.exec());
    return std::string(static_cast<const char*>(rows.data), rows.bytes());
  };
  for (const char* dtype : {"float32", "bfloat16"}) {
    const fs::path dir = make_model(dtype, StoredDType::f32), saved = folder / (std::string(dtype) + "-saved");
    save_model(*init_model(dir, dtype, 1, 3, owner.exec()).policy, dir, saved);
    const LoadedModel trained = load_model(saved, dtype, 1, owner.exec());
    const LoadedModel served = load_model(saved, dtype, 1, owner.exec(), PolicyUse::inference);
    EXPECT_EQ(hidden(*trained.policy), hidden(*served.policy));
    save_model(*served.policy, dir, folder / dtype / "again");
    expect_same_weights(saved, folder / dtype / "again");
  }
}

TEST_F(ModelSetup, AModelForInferenceIsCheckedAsAnyOther) {
  const fs::path dir = make_model("m", StoredDType::f32);
  std::string image = read_file(dir / "model.safetensors");
  const float wrong = INFINITY;
  std::memcpy(image.data() + image.size() - 8, &wrong, 4);
  write_file_atomic(dir / "model.safetensors", image);
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec(), PolicyUse::inference), kInput, "element [271, 30] is inf");
  set_config(dir, "num_hidden_layers", 3);
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec(), PolicyUse::inference), kInput, "is missing");
}

TEST_F(ModelSetup, ATiedHeadIsWrittenOnce) {
  const fs::path dir = make_model("m", StoredDType::bf16);
  const SafetensorsFolder before = SafetensorsFolder::open(dir);
  std::vector<NamedTensor> tensors;
  for (const auto& [name, tensor] : before.tensors()) tensors.push_back({name, tensor});
  tensors.push_back({"lm_head.weight", before.tensors().at("model.embed_tokens.weight")});
  fs::create_directories(folder / "copied");
  for (const std::string& name : files(dir)) fs::copy(dir / name, folder / "copied" / name);
  write_safetensors(folder / "copied/model.safetensors", tensors);
  const LoadedModel model = load_model(folder / "copied", "auto", 1, owner.exec());
  save_model(*model.policy, folder / "copied", folder / "out");
  expect_same_weights(dir, folder / "out");  // without the second head

  set_config(folder / "copied", "tie_word_embeddings", false);  // its own head, though equal
  const LoadedModel untied = load_model(folder / "copied", "auto", 1, owner.exec());
  save_model(*untied.policy, folder / "copied", folder / "untied");
  expect_same_weights(folder / "copied", folder / "untied");
}

TEST_F(ModelSetup, AnotherDTypeIsNamedInTheConfigAndNothingElseChanges) {
  const fs::path dir = make_model("m", StoredDType::bf16);
  const LoadedModel model = load_model(dir, "auto", 1, owner.exec());
  save_model(*model.policy, dir, folder / "out", {.dtype = StoredDType::f32});
  std::string expected = read_file(dir / "config.json");
  const size_t at = expected.find("bfloat16");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(read_file(folder / "out/config.json"), expected.replace(at, 8, "float32"));
  const LoadedModel wide = load_model(folder / "out", "auto", 1, owner.exec());
  EXPECT_EQ(wide.policy->dtype, DType::f32);
  save_model(*wide.policy, folder / "out", folder / "back", {.dtype = StoredDType::bf16});
  expect_same_weights(dir, folder / "back");
  EXPECT_EQ(read_file(folder / "back/config.json"), read_file(dir / "config.json"));
  // Random bfloat16 bits reach far beyond float16.
  EXPECT_ERROR(save_model(*model.policy, dir, folder / "half", {.dtype = StoredDType::f16}), kNonFinite, "float16 cannot hold");
}

// Gemma 3's tokenizer has one token more than its text models have rows.
TEST_F(ModelSetup, OnlySpecialTokensMayLieBeyondTheVocabulary) {
  const fs::path dir = make_model("m", StoredDType::f32);
  Json tokenizer = parse_json(read_file(dir / "tokenizer.json"), "tokenizer.json");
  Json token = tokenizer["added_tokens"][0];
  token["id"] = 272, token["content"] = "<image>", token["special"] = true;
  tokenizer["added_tokens"].push_back(token);
  write_file_atomic(dir / "tokenizer.json", dump_json(tokenizer));
  const LoadedModel model = load_model(dir, "auto", 1, owner.exec());
  check_text_ids(model.tokenizer.encode("plain"), model.tokenizer, 272, "the text");
  EXPECT_ERROR(check_text_ids(model.tokenizer.encode("an <image>"), model.tokenizer, 272, "the text"), kInput,
               "the special token '<image>' (id 272), which the model, of 272 tokens, does not know");
  tokenizer["added_tokens"].back()["special"] = false;
  write_file_atomic(dir / "tokenizer.json", dump_json(tokenizer));
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec()), kInput, "gives '<image>' the id 272");
  EXPECT_ERROR(check_model_folder(dir), kInput, "gives '<image>' the id 272");
}

TEST_F(ModelSetup, RefusesWeightsThatAreNotFinite) {
  const fs::path dir = make_model("m", StoredDType::f32);
  std::string image = read_file(dir / "model.safetensors");
  const float nan = NAN;
  std::memcpy(image.data() + image.size() - 8, &nan, 4);  // the last tensor is the embedding
  write_file_atomic(dir / "model.safetensors", image);
  for (const char* dtype : {"auto", "bfloat16"})
    EXPECT_ERROR(load_model(dir, dtype, 1, owner.exec()), kInput, "'model.embed_tokens.weight': element [271, 30] is nan");
}

TEST_F(ModelSetup, RefusesFilesThatAreNotTheModelOfTheConfig) {
  const fs::path dir = make_model("m", StoredDType::f32);
  set_config(dir, "intermediate_size", 64);
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec()), kInput, "has shape (48, 32), config.json asks for (64, 32)");
  set_config(dir, "intermediate_size", 48);
  set_config(dir, "num_hidden_layers", 3);
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec()), kInput, "'model.layers.2.input_layernorm.weight'");
  set_config(dir, "num_hidden_layers", 1);
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec()), kInput, "config.json describes has no 'model.layers.1.");
  set_config(dir, "num_hidden_layers", 2);
  set_config(dir, "vocab_size", 288);  // rows of the embedding
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec()), kInput, "'model.embed_tokens.weight' has shape (272, 32)");
  set_config(dir, "vocab_size", 256);
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec()), kInput, "256");
  set_config(dir, "vocab_size", 272);
  set_config(dir, "tie_word_embeddings", false);
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec()), kInput, "'lm_head.weight' is missing");
}

TEST_F(ModelSetup, RefusesAdaptersByName) {
  const fs::path dir = make_model("m", StoredDType::f32);
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"}) {
    std::ofstream(dir / name) << "{}";
    const std::string words = fmt::format("m: holds {} beside a whole model; move the adapter to a folder of its own", name);
    EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec()), kInput, words);
    EXPECT_ERROR(check_model_folder(dir), kInput, words);
    fs::remove(dir / name);
  }
  std::ofstream(dir / "adapter_config.json") << "{}";
  fs::remove(dir / "config.json");
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec()), kInput, "m: holds an adapter alone, and a whole model is needed; cohort import");
}

TEST_F(ModelSetup, RefusesFoldersThatAreNoModel) {
  EXPECT_ERROR(load_model(folder / "none", "auto", 1, owner.exec()), kInput, "none");
  const fs::path dir = make_model("m", StoredDType::f32);
  fs::rename(dir / "model.safetensors", dir / "pytorch_model.bin");
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec()), kInput, "convert to safetensors");
  fs::remove(dir / "config.json");
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec()), kInput, "config.json");
}

// A limit on the size of files stands in for a full disk.
TEST_F(ModelSetup, AFullDiskIsAResource) {
  const fs::path dir = make_model("m", StoredDType::f32);
  const LoadedModel model = load_model(dir, "auto", 1, owner.exec());
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{60000, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_ERROR(save_model(*model.policy, dir, folder / "out"), kResources, "cannot be written");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, handler);
}

}  // namespace
}  // namespace cohort
