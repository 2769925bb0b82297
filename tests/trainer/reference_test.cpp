// A reference that follows the policy: what it becomes, and its way through a checkpoint.
#include "trainer/reference.h"

#include <fstream>

#include "tests/core/expect_error.h"
#include "tests/model/tiny_model.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "cohort-reference-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

std::unique_ptr<Policy> policy_of(DType dtype, uint64_t seed, const Exec& ex) {
  auto policy = tiny_policy(dtype, 5, ex);
  init_weights(*policy, seed, ex);
  return policy;
}

std::vector<float> numbers(const Policy& policy) {
  const FlatWeights flat(policy);
  std::vector<float> all;
  for (int64_t i = 0; i < policy.table.size; ++i) {
    const std::byte* at = flat.bytes.data() + static_cast<size_t>(i) * dtype_size(policy.dtype);
    all.push_back(policy.dtype == DType::bf16 ? to_float(*reinterpret_cast<const bf16*>(at)) : *reinterpret_cast<const float*>(at));
  }
  return all;
}

TEST(Reference, BecomesTheMixtureRoundedOnce) {
  ExecOwner owner(2);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto policy = policy_of(dtype, 1, owner.exec());
    for (const float alpha : {1.0f, 0.6f, 0.25f}) {
      const auto reference = policy_of(dtype, 2, owner.exec());
      const std::vector<float> p = numbers(*policy), r = numbers(*reference);
      mix_reference(*reference, *policy, alpha, owner.exec());
      const std::vector<float> mixed = numbers(*reference);
      bool moved = false;
      for (size_t i = 0; i < p.size(); ++i) {
        const float exact = alpha == 1 ? p[i] : alpha * p[i] + (1 - alpha) * r[i];
        ASSERT_EQ(mixed[i], dtype == DType::bf16 ? to_float(to_bf16(exact)) : exact) << alpha << " " << i;
        moved |= mixed[i] != r[i];
      }
      EXPECT_TRUE(moved);
    }
  }
}

TEST(Reference, GoesThroughAFileBitForBit) {
  ExecOwner owner(2);
  const Folder folder;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto reference = policy_of(dtype, 3, owner.exec()), other = policy_of(dtype, 4, owner.exec());
    const Json record = write_reference(*reference, folder.path);
    read_reference(*other, folder.path, record, owner.exec());
    EXPECT_EQ(FlatWeights(*other).bytes, FlatWeights(*reference).bytes);
  }
}

TEST(Reference, ABrokenFileIsRefusedByName) {
  ExecOwner owner(1);
  const Folder folder;
  const auto reference = policy_of(DType::f32, 3, owner.exec());
  const fs::path file = folder.path / "reference.bin";
  EXPECT_ERROR(read_reference(*reference, folder.path, Json(), owner.exec()), kInput, file.string());
  const Json record = write_reference(*reference, folder.path);
  EXPECT_ERROR(read_reference(*reference, folder.path, Json(), owner.exec()), kInput, "does not match the hash in manifest.json");
  {
    std::fstream edit(file, std::ios::binary | std::ios::in | std::ios::out);
    edit.seekp(100);
    edit.put('x');
  }
  EXPECT_ERROR(read_reference(*reference, folder.path, record, owner.exec()), kInput, "the file is corrupted; resume from another checkpoint");
  fs::resize_file(file, 1000);
  EXPECT_ERROR(read_reference(*reference, folder.path, record, owner.exec()), kInput, "1000 bytes, expected");
  EXPECT_ERROR(write_reference(*reference, folder.path / "absent"), kInput, "cannot be written: No such file or directory; earlier checkpoints are untouched");
}

TEST(Reference, OfAnotherShapeIsRefused) {
  ExecOwner owner(1);
  const auto policy = policy_of(DType::f32, 3, owner.exec()), other = policy_of(DType::bf16, 3, owner.exec());
  EXPECT_ERROR(mix_reference(*other, *policy, 0.5f, owner.exec()), kInternal, "mixed with a policy of");
  EXPECT_ERROR(mix_reference(*policy, *policy, 0, owner.exec()), kInternal, "alpha 0");
}

}  // namespace
}  // namespace cohort
