// A folder of safetensors files: one, or shards behind an index that may lie.
#include <gtest/gtest.h>

#include "model/formats/safetensors.h"
#include "tests/formats/refused.h"
#include "tests/formats/safetensors_image.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class SafetensorsFolderTest : public FolderTest {
 protected:
  void put_index(std::string_view weight_map) {
    put("m/model.safetensors.index.json",
        fmt::format(R"({{"metadata":{{"total_size":16}},"weight_map":{}}})", weight_map));
  }
  // Two shards with one tensor each, and an index that says so.
  void put_good_shards() {
    put("m/model-1.safetensors", one_tensor_image("a"));
    put("m/model-2.safetensors", one_tensor_image("b"));
    put_index(R"({"a":"model-1.safetensors","b":"model-2.safetensors"})");
  }
  void expect_folder_refused(std::initializer_list<std::string_view> words) {
    expect_refused([&] { SafetensorsFolder::open(folder / "m"); }, words);
  }
};

TEST_F(SafetensorsFolderTest, OpensOneFile) {
  put("m/model.safetensors", one_tensor_image("a"));
  const SafetensorsFolder model = SafetensorsFolder::open(folder / "m");
  ASSERT_EQ(model.tensors().size(), 1u);
  EXPECT_EQ(std::memcmp(model.tensors().at("a").data.data(), kTwoFloats.data(), 8), 0);
}

TEST_F(SafetensorsFolderTest, OpensShards) {
  put_good_shards();
  SafetensorsFolder opened = SafetensorsFolder::open(folder / "m");
  const SafetensorsFolder model = std::move(opened);  // the maps move along
  ASSERT_EQ(model.tensors().size(), 2u);
  EXPECT_EQ(std::memcmp(model.tensors().at("b").data.data(), kTwoFloats.data(), 8), 0);
}

TEST_F(SafetensorsFolderTest, WarnsOfAWrongTotalSize) {
  put_good_shards();
  EXPECT_TRUE(SafetensorsFolder::open(folder / "m").warnings().empty());
  const std::string map = R"({"a":"model-1.safetensors","b":"model-2.safetensors"})";
  for (const char* wrong : {"17", "-16", "\"16\"", "[16]", "16.5"}) {
    put("m/model.safetensors.index.json",
        fmt::format(R"({{"metadata":{{"total_size":{}}},"weight_map":{}}})", wrong, map));
    const std::vector<std::string> warnings = SafetensorsFolder::open(folder / "m").warnings();
    ASSERT_EQ(warnings.size(), 1u) << wrong;
    EXPECT_NE(warnings[0].find(fmt::format("index.json: metadata.total_size is {}", wrong)), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find("take 16 bytes"), std::string::npos) << warnings[0];
  }
  for (const char* silent : {"{}", "[]", "null", R"({"total_size":null})"}) {
    put("m/model.safetensors.index.json", fmt::format(R"({{"metadata":{},"weight_map":{}}})", silent, map));
    EXPECT_TRUE(SafetensorsFolder::open(folder / "m").warnings().empty()) << silent;
  }
}

TEST_F(SafetensorsFolderTest, RefusesFoldersWithoutSafetensors) {
  expect_folder_refused({"m: is no folder"});
  put("m/config.json", "{}");
  expect_folder_refused({"neither model.safetensors nor model.safetensors.index.json"});
  expect_refused([&] { SafetensorsFolder::open_file(folder / "none.safetensors"); },
                 {"none.safetensors"});
}

TEST_F(SafetensorsFolderTest, RefusesPicklesAndSaysWhatToDo) {
  for (const char* name :
       {"pytorch_model.bin", "model.pt", "model.pth", "last.ckpt", "model.pkl"}) {
    const fs::path file = put(std::string("m/") + name, "PK");
    expect_folder_refused({name, "convert to safetensors", "save_pretrained"});
    fs::remove(file);
  }
}

TEST_F(SafetensorsFolderTest, RefusesOneFileBesideAnIndex) {
  put_good_shards();
  put("m/model.safetensors", one_tensor_image("a"));
  expect_folder_refused({"both model.safetensors and model.safetensors.index.json"});
}

TEST_F(SafetensorsFolderTest, AnIndexOfTheOneFileIsNoSecondModel) {
  put("m/model.safetensors", one_tensor_image("a"));
  put("m/model.safetensors.index.json", R"({"weight_map": {"a": "model.safetensors"}})");
  EXPECT_EQ(SafetensorsFolder::open(folder / "m").tensors().size(), 1u);
}

TEST_F(SafetensorsFolderTest, RefusesBrokenFilesByName) {
  put_good_shards();
  put("m/model-2.safetensors", "short");
  expect_folder_refused({"model-2.safetensors", "truncated?"});
}

TEST_F(SafetensorsFolderTest, RefusesIndicesThatAreNone) {
  for (const char* text : {"", "{", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{"a":1}})",
                           R"({"weight_map":{}})", R"({"weight_map":{"a":"x","a":"x"}})"}) {
    put("m/model.safetensors.index.json", text);
    expect_folder_refused({"model.safetensors.index.json: "});
  }
}

TEST_F(SafetensorsFolderTest, RefusesShardNamesThatLeaveTheFolder) {
  put("outside.safetensors", one_tensor_image("a"));
  put("m/sub/inside.safetensors", one_tensor_image("a"));
  const std::string absolute = (folder / "outside.safetensors").string();
  for (const std::string& name :
       {std::string("../outside.safetensors"), absolute, std::string("sub/inside.safetensors"),
        std::string("./x.safetensors"), std::string("..safetensors"),
        std::string("sub\\\\inside.safetensors"), std::string("x\\u0000y.safetensors")}) {
    put_index(fmt::format(R"({{"a":"{}"}})", name));
    expect_folder_refused({"weight_map names the shard", "plain names of files in the folder"});
  }
}

TEST_F(SafetensorsFolderTest, RefusesShardsThatAreNoSafetensors) {
  put("m/pytorch_model.bin", "PK");
  for (const char* name : {"pytorch_model.bin", "", "..", "/"}) {
    put_index(fmt::format(R"({{"a":"{}"}})", name));
    expect_folder_refused({"ends in .safetensors"});
  }
}

TEST_F(SafetensorsFolderTest, RefusesLinksOutOfTheFolder) {
  put("outside.safetensors", one_tensor_image("a"));
  put_index(R"({"a":"link.safetensors"})");
  fs::create_symlink(folder / "outside.safetensors", folder / "m/link.safetensors");
  expect_folder_refused({"'link.safetensors' is a link to", "outside the folder"});
}

TEST_F(SafetensorsFolderTest, FollowsLinksInsideTheFolderAndInTheHubCache) {
  put("m/real.safetensors", one_tensor_image("a"));
  put_index(R"({"a":"link.safetensors"})");
  fs::create_symlink("real.safetensors", folder / "m/link.safetensors");
  EXPECT_EQ(SafetensorsFolder::open(folder / "m").tensors().size(), 1u);

  put("hub/blobs/0123abcd", one_tensor_image("a"));
  const fs::path snapshot = folder / "hub/snapshots/main";
  put("hub/snapshots/main/model.safetensors.index.json",
      R"({"weight_map":{"a":"one.safetensors"}})");
  fs::create_symlink("../../blobs/0123abcd", snapshot / "one.safetensors");
  EXPECT_EQ(SafetensorsFolder::open(snapshot).tensors().size(), 1u);
  fs::create_directories(snapshot / "sub");
  fs::copy(snapshot / "model.safetensors.index.json", snapshot / "sub");
  fs::create_symlink("../../../blobs/0123abcd", snapshot / "sub/one.safetensors");
  EXPECT_EQ(SafetensorsFolder::open(snapshot / "sub").tensors().size(), 1u);
  fs::create_symlink("hub/snapshots/main", folder / "link");
  EXPECT_EQ(SafetensorsFolder::open(folder / "link").tensors().size(), 1u);
}

TEST_F(SafetensorsFolderTest, RefusesLinksToTheBlobsOfAnotherModel) {
  put("other/blobs/0123abcd", one_tensor_image("a"));
  put("hub/snapshots/main/model.safetensors.index.json", R"({"weight_map":{"a":"one.safetensors"}})");
  fs::create_symlink("../../../other/blobs/0123abcd", folder / "hub/snapshots/main/one.safetensors");
  expect_refused([&] { SafetensorsFolder::open(folder / "hub/snapshots/main"); }, {"is a link to", "outside the folder"});
}

TEST_F(SafetensorsFolderTest, KnowsTheFileOfATensor) {
  put_good_shards();
  const SafetensorsFolder opened = SafetensorsFolder::open(folder / "m");
  EXPECT_EQ(opened.file_of(opened.tensors().at("a")).filename(), "model-1.safetensors");
  EXPECT_EQ(opened.file_of(opened.tensors().at("b")).filename(), "model-2.safetensors");
}

TEST_F(SafetensorsFolderTest, RefusesMissingShardsByName) {
  put_good_shards();
  fs::remove(folder / "m/model-2.safetensors");
  expect_folder_refused(
      {"model.safetensors.index.json", "'model-2.safetensors', which is missing"});
}

TEST_F(SafetensorsFolderTest, RefusesIndicesThatDisagreeWithTheShards) {
  put_good_shards();
  put_index(R"({"a":"model-1.safetensors","b":"model-2.safetensors","c":"model-2.safetensors"})");
  expect_folder_refused({"tensor 'c' is not in its shard 'model-2.safetensors'"});

  put("m/model-2.safetensors", one_tensor_image("b"));
  put_index(R"({"a":"model-1.safetensors"})");
  EXPECT_EQ(SafetensorsFolder::open(folder / "m").tensors().size(),
            1u);  // model-2 is not named at all

  put("m/model-1.safetensors",
      safetensors_image(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                        R"("stray":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                        "12"));
  expect_folder_refused({"model-1.safetensors", "'stray'", "another shard, or to none"});

  put("m/model-1.safetensors", one_tensor_image("b"));  // "b" in both shards
  put_index(R"({"b":"model-2.safetensors","x":"model-1.safetensors"})");
  expect_folder_refused({"tensor 'x' is not in its shard"});
  put("m/model-1.safetensors",
      safetensors_image(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                        R"("x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                        "12"));
  expect_folder_refused({"model-1.safetensors", "'b'", "another shard"});
}

}  // namespace
}  // namespace cohort
