// Pairs of answers as rows and as tokens, and a language model as the beginning of a reward model.
#include "trainer/rm_data.h"

#include <gtest/gtest.h>

#include "model/score_head.h"
#include "model/transformer.h"
#include "tests/trainer/model_folder.h"
#include "trainer/score_text.h"

namespace cohort {
namespace {

class PairData : public ModelSetup {
 protected:
  std::vector<PairRow> rows(const std::string& text) {
    write_file_atomic(folder / "pairs.jsonl", text);
    return load_pair_rows(folder / "pairs.jsonl");
  }
  Config config_with(int64_t max_length) {
    Config config;
    config.rm.emplace().max_length = max_length;
    return config;
  }
};

TEST_F(PairData, RowsAreTextsOrConversations) {
  const std::string user = R"([{"role": "user", "content": "Hi"}])", yes = R"([{"role": "assistant", "content": "yes"}])";
  const std::vector<PairRow> read = rows(
      R"({"prompt": "1+1=", "chosen": "2", "rejected": "3", "margin": 0.5})" "\n"
      R"({"chosen": "whole text", "rejected": "another", "id": 7})" "\n"
      R"({"prompt": )" + user + R"(, "chosen": )" + yes + R"(, "rejected": "no"})" "\n"
      R"({"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "yes"}], "rejected": )" + yes + "}\n");
  ASSERT_EQ(read.size(), 4u);
  EXPECT_EQ(read[0].prompt, "1+1=");
  EXPECT_EQ(read[0].chosen, "2");
  EXPECT_EQ(read[0].margin, 0.5);
  EXPECT_EQ(read[1].id, "7");
  EXPECT_EQ(read[1].prompt, "");
  EXPECT_EQ(read[2].chosen_messages.size(), 2u);
  EXPECT_EQ(read[2].rejected_messages[1]["content"], "no");
  EXPECT_EQ(read[3].chosen_messages.size(), 2u);
  EXPECT_EQ(read[3].rejected_messages.size(), 1u);
}

TEST_F(PairData, RefusesRowsThatAreNoPairs) {
  const auto refused = [&](const std::string& row, const char* why) { EXPECT_ERROR(rows(row + "\n"), kInput, why); };
  refused(R"({"prompt": "a", "chosen": "b"})", ":1: the row has no 'rejected'");
  refused(R"({"prompt": "a", "chosen": "b", "rejected": ""})", "'rejected' is empty");
  refused(R"({"prompt": "a", "chosen": 3, "rejected": "c"})", "'chosen' is a text or a list of messages, found number");
  refused(R"({"prompt": "a", "chosen": "b", "rejected": [{"role": "assistant", "content": "c"}]})", "'rejected' is a list of messages, but 'prompt' is a text");
  refused(R"({"chosen": "b", "rejected": [{"role": "assistant", "content": "c"}]})", "without a 'prompt' that both answer");
  refused(R"({"prompt": [], "chosen": "b", "rejected": "c"})", "'prompt' is an empty list of messages");
  refused(R"({"chosen": [{"role": "user", "content": "c"}], "rejected": [{"role": "assistant", "content": "c"}]})",
          "'chosen' ends with a message of the assistant, found 'user'");
  refused(R"({"prompt": "a", "chosen": "b", "rejected": "c", "margin": "big"})", "'margin' is a number");
  refused("[]", "a row is an object with 'chosen' and 'rejected'");
}

// The same tokens as when the model scores; what is behind the token that is scored is left away.
TEST_F(PairData, TokensAreThoseThatAreScored) {
  const fs::path dir = fs::path(GOLDEN_DIR) / "reward_model/qwen2";  // its EOS token is its padding
  const RewardModelStart start = load_as_reward_model(dir, "float32", 1, 1, owner.exec());
  EXPECT_EQ(start.config_json, "") << "it is a reward model already";
  const std::vector<PairRow> read = rows(
      R"({"prompt": "1 + 1 =", "chosen": " 2", "rejected": " 3"})" "\n"
      R"({"prompt": [{"role": "user", "content": "Hi"}], "chosen": "yes", "rejected": "no, thank you"})" "\n");
  const PairSet set = encode_pairs("set", read, start.model, config_with(64), owner.exec());
  ASSERT_EQ(set.pairs.size(), 2u);
  const ScoreEncoder encoder(start.model, {});
  std::vector<int32_t> text = encoder.text("1 + 1 =", " 3");
  EXPECT_EQ(text.back(), 2) << "EOS";
  text.pop_back();
  EXPECT_EQ(set.pairs[0].rejected, text);
  const std::vector<int32_t> chat = encoder.conversation(read[1].chosen_messages);
  EXPECT_EQ(set.pairs[1].chosen, std::vector<int32_t>(chat.begin(), chat.end())) << "a new line is behind the last <|im_end|>";
  EXPECT_NE(set.fingerprint, encode_pairs("set", {read[0]}, start.model, config_with(64), owner.exec()).fingerprint);

  EXPECT_ERROR(encode_pairs("set", read, start.model, config_with(8), owner.exec()), kInput, "set: row \"line 2\": a conversation has");
  Config filtering = config_with(8);
  filtering.rm->filter_overlong = true;
  EXPECT_EQ(encode_pairs("set", read, start.model, filtering, owner.exec()).filtered, 1);
  filtering.rm->max_length = 2;
  EXPECT_ERROR(encode_pairs("set", read, start.model, filtering, owner.exec()), kInput, "all 2 rows are longer than rm.max_length 2");
  EXPECT_ERROR(encode_pairs("set", read, start.model, config_with(4096), owner.exec()), kUsage, "the model has 160 positions");
}

// Their gradients cancel, whatever the model.
TEST_F(PairData, EqualPairsAreCountedAndRefusedWhereAllAre) {
  const RewardModelStart start = load_as_reward_model(fs::path(GOLDEN_DIR) / "reward_model/qwen2", "float32", 1, 1, owner.exec());
  const std::string equal = R"({"prompt": "a", "chosen": "b", "rejected": "b"})" "\n";
  const std::vector<PairRow> some = rows(equal + R"({"prompt": "a", "chosen": "b", "rejected": "c"})" "\n" + equal);
  EXPECT_EQ(encode_pairs("set", some, start.model, config_with(64), owner.exec()).equal, 2);
  EXPECT_EQ(encode_pairs("set", {some[1]}, start.model, config_with(64), owner.exec()).equal, 0);
  EXPECT_ERROR(encode_pairs("set", rows(equal + equal), start.model, config_with(64), owner.exec()), kInput,
               "set: 'chosen' and 'rejected' are the same in each of its 2 pairs");
}

TEST_F(PairData, ATasksSolutionStandsAgainstAnother) {
  Dataset task{.name = "task"};
  for (const char* solution : {"a", "a", "b"}) task.problems.push_back({.id = solution, .prompt = "p", .solution = solution});
  const std::vector<PairRow> made = pair_rows(task);
  ASSERT_EQ(made.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(made[i].rejected, i < 2 ? "b" : "a") << i;
  task.problems.pop_back();
  EXPECT_ERROR(pair_rows(task), kUsage, "all problems of task have one solution");
}

// The weights of the language model, a new score, and a folder that is read back as a reward model.
TEST_F(PairData, ALanguageModelBecomesARewardModel) {
  for (const StoredDType stored : {StoredDType::bf16, StoredDType::f32}) {
    const fs::path dir = make_model(stored_name(stored), stored);
    const RewardModelStart start = load_as_reward_model(dir, "bfloat16", 4, 11, owner.exec()), again = load_as_reward_model(dir, "bfloat16", 2, 11, owner.exec());
    const Policy& policy = *start.model.policy;
    EXPECT_EQ(policy.config.architecture, "LlamaForSequenceClassification");
    EXPECT_EQ(policy.config.pad_token_id, 256) << "the tokenizer's EOS, as it has no token for padding";
    std::vector<float> head(32), same(32);
    read_score_head(policy.table, 11, policy.table.head, head);
    read_score_head(again.model.policy->table, 11, again.model.policy->table.head, same);
    EXPECT_EQ(head, same);
    double squares = 0;
    for (const float value : head) squares += static_cast<double>(value * value);
    EXPECT_NEAR(std::sqrt(squares / 32), 0.02, 0.007);
    std::vector<bf16> in_memory(32);
    copy_weights(policy, policy.table.head, {in_memory.data(), DType::bf16, {32}});
    for (size_t i = 0; i < head.size(); ++i) EXPECT_EQ(in_memory[i].bits, to_bf16(head[i]).bits) << i;

    const ModelFiles files = read_model_files(dir, policy.table, start.config_json);
    save_model(policy, files, folder / "saved");
    const LoadedModel saved = load_model(folder / "saved", "bfloat16", 4, owner.exec());
    EXPECT_TRUE(saved.policy->config.is_classifier());
    EXPECT_EQ(saved.policy->config.pad_token_id, 256);
    EXPECT_EQ(weights_fingerprint(*saved.policy), weights_fingerprint(policy));
    EXPECT_FALSE(SafetensorsFolder::open(folder / "saved").tensors().contains("lm_head.weight"));
    EXPECT_EQ(weights_are_rounded(policy, files), stored == StoredDType::f32);
  }
}

}  // namespace
}  // namespace cohort
