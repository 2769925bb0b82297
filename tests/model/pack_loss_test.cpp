// The gradient of packs: run as one they give the bits of each alone, and so they do with checkpointing and with rows that
// were run before, while sampling.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <set>

#include "model/ops/row_parts.h"
#include "model/transformer.h"
#include "tests/core/expect_error.h"
#include "tests/model/random_model.h"

namespace cohort {
namespace {

float weight_of(int64_t target, float logprob) { return static_cast<float>(target % 5 - 2) * 0.1f * logprob; }

TrainLimits limits_of(const TokenPack& pack, const TapedRows& taped) {
  const auto T = static_cast<int64_t>(pack.tokens.size());
  return {.tokens = T,
          .targets = static_cast<int64_t>(pack.targets.size()),
          .forward_tokens = taped.tape == nullptr ? T : std::ranges::count(taped.slots, -1),
          .tape = taped.tape != nullptr};
}

std::vector<float> gradient_of(const Policy& policy, const TokenPack& pack, std::span<const PackPart> parts,
                               bool checkpointing, const Exec& ex, const TapedRows& taped = {}) {
  TrainState state(policy, limits_of(pack, taped), checkpointing);
  std::vector<float> gradient(static_cast<size_t>(policy.table.size), NAN);
  std::vector<int64_t> starts = {0};
  for (const PackPart& part : parts) starts.push_back(starts.back() + part.targets);
  size_t part = 0;
  pack_loss(
      policy, state, pack, 0.9f,
      [&](int64_t target, float logprob, float) {
        while (part + 2 < starts.size() && target >= starts[part + 1]) ++part;
        return weight_of(target - starts[part], logprob);
      },
      {gradient.data(), DType::f32, {policy.table.size}}, ex, parts, taped);
  std::vector<bool> is_parameter(gradient.size());
  for (const ParamEntry& entry : policy.table.entries)
    std::fill_n(is_parameter.begin() + entry.offset, entry.size(), true);
  for (size_t i = 0; i < gradient.size(); ++i) {  // gaps stay as they were
    if (is_parameter[i]) continue;
    EXPECT_TRUE(std::isnan(gradient[i])) << i;
    gradient[i] = 0;
  }
  return gradient;
}

class PackLoss : public testing::Test {
 protected:
  // body(policy, dtype) for every kind of model.
  void for_models(const std::function<void(const Policy&)>& body) {
    for (const bool plain : {true, false})
      for (const bool tied : {true, false})
        for (const DType dtype : {DType::f32, DType::bf16}) {
          SCOPED_TRACE(testing::Message() << "seed " << seed_ << (plain ? ", plain" : ", all parts")
                                          << (tied ? ", tied, " : ", ") << dtype_name(dtype));
          body(*make_random_policy(config_of(plain, tied), dtype, ex_));
        }
  }

  // COHORT_TEST_SEED repeats what failed.
  const uint32_t seed_ = getenv("COHORT_TEST_SEED") != nullptr ? static_cast<uint32_t>(std::stoul(getenv("COHORT_TEST_SEED"))) : std::random_device{}();
  std::mt19937 random_{seed_};
  ExecOwner owner_{2};
  const Exec ex_ = owner_.exec();
};

TEST_F(PackLoss, PacksRunAsOneGiveTheBitsOfEachAlone) {
  for_models([&](const Policy& policy) {
    for (int round = 0; round < 4; ++round) {
      const size_t count = 2 + random_() % 4;
      TokenPack joined;
      std::vector<PackPart> parts;
      std::vector<std::vector<float>> open;
      for (size_t p = 0; p < count; ++p) {
        const TokenPack pack = random_pack(random_);
        append_pack(joined, pack);
        open.push_back(gradient_of(policy, pack, {}, false, ex_));
        const int merges = static_cast<int>(p + 1 == count ? open.size() - 1 : random_() % open.size());
        parts.push_back({static_cast<int64_t>(pack.tokens.size()), static_cast<int64_t>(pack.targets.size()), merges});
        for (int merge = 0; merge < merges; ++merge) {
          const std::vector<float> top = open.back();
          open.pop_back();
          for (size_t i = 0; i < top.size(); ++i) open.back()[i] += top[i];
        }
      }
      for (const bool checkpointing : {false, true})
        EXPECT_EQ(gradient_of(policy, joined, parts, checkpointing, ex_), open[0]) << count << " packs";
    }
  });
}

// A completion of one token has no row, so that prompts stand side by side: no tile of rows reaches from one into the next.
TEST_F(PackLoss, PromptsWithoutRowsBehindThemRunAsOneWithTheBitsOfEachAlone) {
  for_models([&](const Policy& policy) {
    TokenPack joined;
    std::vector<PackPart> parts;
    std::vector<float> sum;
    for (const int64_t prompt : {7, 41, 5, 18}) {
      TokenPack pack;
      pack.runs.push_back({0, prompt, 0, 0});
      for (int64_t i = 0; i < prompt; ++i) {
        pack.tokens.push_back(static_cast<int32_t>(random_() % 80)), pack.positions.push_back(static_cast<int32_t>(i));
        pack.rows.push_back(static_cast<int32_t>(i)), pack.targets.push_back(static_cast<int32_t>(random_() % 80));
      }
      append_pack(joined, pack);
      const std::vector<float> alone = gradient_of(policy, pack, {}, false, ex_);
      parts.push_back({prompt, prompt, parts.empty() ? 0 : 1});
      for (size_t i = 0; i < alone.size() && !sum.empty(); ++i) sum[i] += alone[i];
      if (sum.empty()) sum = alone;
    }
    EXPECT_EQ(gradient_of(policy, joined, parts, false, ex_), sum);
  });
}

TEST_F(PackLoss, CheckpointingChangesNoBit) {
  for_models([&](const Policy& policy) {
    for (int round = 0; round < 4; ++round) {
      const TokenPack pack = random_pack(random_);
      EXPECT_EQ(gradient_of(policy, pack, {}, true, ex_), gradient_of(policy, pack, {}, false, ex_));
    }
  });
}

// Runs a pack's tokens as sampling does, in pieces of random size, and leaves each prompt with its completions on the tape
// or not. Returns the rows' slots.
std::vector<int32_t> sample_rows(const Policy& policy, const TokenPack& pack, ActivationTape& tape, std::mt19937& random,
                                 const Exec& ex) {
  KvCache cache(policy, 16, 16);
  ForwardState state(policy, 8);
  std::vector<int32_t> slots(pack.tokens.size(), -1);
  PageTable prompt;
  bool keep = false;
  for (const PackRun& run : pack.runs) {
    PageTable pages;
    if (run.prefix_count > 0) {
      EXPECT_TRUE(cache.fork(pages, prompt, run.prefix_count));
    } else {
      keep = random() % 3 > 0;
    }
    EXPECT_TRUE(cache.grow(pages, run.prefix_count + run.count));
    for (int64_t done = 0; done < run.count;) {
      const int64_t count = std::min<int64_t>(run.count - done, 1 + random() % 5);
      const auto at = static_cast<size_t>(run.begin + done);
      const ForwardRun piece{std::span(pack.tokens).subspan(at, static_cast<size_t>(count)), run.prefix_count + done, &pages};
      tape.take(random() % 2);  // nobody's
      const int64_t first = keep ? tape.take(count).value() : -1;
      forward_cached(policy, cache, state, {&piece, 1}, ex, keep ? TapeSlots{&tape, first} : TapeSlots{});
      for (int64_t i = 0; keep && i < count; ++i) slots[at + static_cast<size_t>(i)] = static_cast<int32_t>(first + i);
      done += count;
    }
    if (run.prefix_count == 0) cache.release(prompt), std::swap(prompt, pages);
    cache.release(pages);
  }
  return slots;
}

TEST_F(PackLoss, RowsFromSamplingChangeNoBit) {
  int64_t rows = 0, taped = 0;
  for_models([&](const Policy& policy) {
    for (int round = 0; round < 6; ++round) {
      TokenPack joined;
      std::vector<PackPart> parts;
      for (size_t p = 0; p < 3; ++p) {
        const TokenPack pack = random_pack(random_);
        append_pack(joined, pack);
        parts.push_back({static_cast<int64_t>(pack.tokens.size()), static_cast<int64_t>(pack.targets.size()), p == 2 ? 2 : 0});
      }
      const std::vector<float> gradient = gradient_of(policy, joined, parts, false, ex_);
      ActivationTape tape(policy.config, policy.dtype, 600);
      tape.begin(policy.version);
      const std::vector<int32_t> slots = sample_rows(policy, joined, tape, random_, ex_);
      EXPECT_EQ(gradient_of(policy, joined, parts, false, ex_, {&tape, slots}), gradient);
      EXPECT_EQ(gradient_of(policy, joined, parts, true, ex_, {&tape, slots}), gradient);
      ActivationTape inputs(policy.config, policy.dtype, 600, TapeRows::inputs);
      inputs.begin(policy.version);
      const std::vector<int32_t> input_slots = sample_rows(policy, joined, inputs, random_, ex_);
      EXPECT_EQ(gradient_of(policy, joined, parts, true, ex_, {&inputs, input_slots}), gradient);
      rows += static_cast<int64_t>(slots.size());
      taped += std::ranges::count_if(slots, [](int32_t slot) { return slot >= 0; });
    }
  });
  EXPECT_GT(taped, rows / 3);
  EXPECT_LT(taped, rows);
}

TEST_F(PackLoss, AStateForATapeServesWithoutOne) {
  const auto policy = make_random_policy(config_of(false, true), DType::bf16, ex_);
  const TokenPack pack = random_pack(random_);
  const auto n = static_cast<int64_t>(pack.targets.size()), T = static_cast<int64_t>(pack.tokens.size());
  const auto logprobs = [&](TrainState&& state) {
    std::vector<float> found(pack.targets.size());
    pack_logprobs(*policy, state, pack, 0.9f, found, {}, ex_);
    return found;
  };
  EXPECT_EQ(logprobs(TrainState(*policy, {T, n, 0, true})), logprobs(TrainState(*policy, T, n)));
  EXPECT_LT(TrainState(*policy, {T, n, 0, true}).bytes(), TrainState(*policy, T, n).bytes());
}

TEST_F(PackLoss, RefusesSlotsThatAreNotThePack) {
  const auto policy = make_random_policy(tiny_config(), DType::f32, ex_);
  TokenPack pack;
  append_text(pack, std::vector<int32_t>{5, 6, 7, 8});
  ActivationTape tape(policy->config, policy->dtype, 8);
  const auto run = [&](std::vector<int32_t> slots, const TrainLimits& limits) {
    TrainState state(*policy, limits);
    std::vector<float> gradient(static_cast<size_t>(policy->table.size));
    pack_loss(*policy, state, pack, 1.0f, [](int64_t, float, float) { return 0.0f; },
              {gradient.data(), DType::f32, {policy->table.size}}, ex_, {}, {&tape, slots});
  };
  EXPECT_ERROR(run({0, 1, 2, 3}, {4, 4, 0, true}), kInternal, "the tape holds rows of policy version -1");
  tape.begin(policy->version);
  EXPECT_ERROR(run({0, 1, 2}, {4, 4, 0, true}), kInternal, "slots of 3 rows, the pack has 4");
  EXPECT_ERROR(run({0, 1, 2, 3}, {4, 4, 4, false}), kInternal, "the state is not for a tape");
  EXPECT_ERROR(run({0, 1, -1, 3}, {4, 4, 4, true}), kInternal, "on the tape in part");
  EXPECT_ERROR(run({-1, -1, -1, -1}, {4, 4, 3, true}), kInternal, "4 rows to run forward in a state for 3");
  EXPECT_ERROR(run({0, 1, 2, 8}, {4, 4, 0, true}), kInternal, "row 8 of matrices of 8");
  const auto inputs_alone = [&] {
    ActivationTape inputs(policy->config, DType::f32, 4, TapeRows::inputs);
    inputs.begin(policy->version);
    TrainState state(*policy, {4, 4, 0, true});
    std::vector<float> gradient(static_cast<size_t>(policy->table.size));
    const std::vector<int32_t> slots = {0, 1, 2, 3};
    pack_loss(*policy, state, pack, 1.0f, [](int64_t, float, float) { return 0.0f; },
              {gradient.data(), DType::f32, {policy->table.size}}, ex_, {}, {&inputs, slots});
  };
  EXPECT_ERROR(inputs_alone(), kInternal, "a tape of layers' inputs alone, without checkpointing");
  TrainState state(*policy, {4, 4, 2, true});
  std::vector<float> gradient(static_cast<size_t>(policy->table.size));
  EXPECT_ERROR(pack_loss(*policy, state, pack, 1.0f, [](int64_t, float, float) { return 0.0f; },
                         {gradient.data(), DType::f32, {policy->table.size}}, ex_),
               kInternal, "4 rows to run forward in a state for 2");
}

TEST_F(PackLoss, InputsInTheGradientOfOtherLayersChangeNoBit) {
  ModelConfig config = tiny_config();
  config.num_layers = 6;
  for (const bool tied : {true, false}) {
    config.tie_word_embeddings = tied;
    const std::unique_ptr<Policy> policy = make_random_policy(config, DType::bf16, ex_);
    std::set<int64_t> counts;
    for (const int64_t rows : {20, 120, 250, 400, 650}) {
      TokenPack pack;
      std::vector<PackPart> parts;
      while (std::ssize(pack.tokens) < rows) {
        const TokenPack more = random_pack(random_);
        append_pack(pack, more);
        parts.push_back({std::ssize(more.tokens), std::ssize(more.targets), parts.empty() ? 0 : 1});
      }
      counts.insert(std::min<int64_t>(5, InputsInGradient(policy->table, std::ssize(pack.tokens), config.hidden_size).each));
      EXPECT_EQ(gradient_of(*policy, pack, parts, true, ex_), gradient_of(*policy, pack, parts, false, ex_)) << rows << " rows";
    }
    EXPECT_TRUE(counts.contains(0) && counts.contains(1) && counts.contains(5)) << "of one layer's gradient";
  }
}

TEST_F(PackLoss, CheckpointingKeepsLittleOfALayer) {
  ModelConfig config = tiny_config();
  int64_t rows = 256;
  const auto bytes = [&](int64_t layers, bool checkpointing) {
    config.num_layers = layers;
    return TrainState(*make_policy(config, DType::bf16, 1), rows, 64, checkpointing).bytes();
  };
  const size_t input = 256 * 48 * 4;  // the residual stream
  EXPECT_EQ(bytes(9, true), bytes(8, true)) << "inputs lie in the gradient";
  EXPECT_GT(bytes(9, false) - bytes(8, false), 5 * input);
  rows = 1024;  // of which no gradient holds an input
  ASSERT_EQ(InputsInGradient(make_param_table(config, 1), rows, config.hidden_size).each, 0);
  EXPECT_EQ(bytes(9, true) - bytes(8, true), 4 * input);
}

// Completions of `lengths` tokens and a stop behind a prompt: all behind one (shared), each behind a copy of its own
// (copies), or behind the first of as many copies (merged).
struct SharedPrompt {
  TokenPack shared, copies, merged;

  SharedPrompt(std::mt19937& random, int64_t P, std::initializer_list<int64_t> lengths) {
    std::vector<int32_t> prompt(static_cast<size_t>(P));
    for (int32_t& token : prompt) token = static_cast<int32_t>(random() % 80);
    append_run(shared, prompt);
    for (size_t i = 0; i < lengths.size(); ++i) append_run(copies, prompt), append_run(merged, prompt);
    int64_t copy = 0;
    for (const int64_t length : lengths) {
      std::vector<int32_t> completion(static_cast<size_t>(length + 1));
      for (int32_t& token : completion) token = static_cast<int32_t>(random() % 80);
      append(shared, completion, 0, P), append(copies, completion, copy, P), append(merged, completion, 0, P);
      copy += P;
    }
  }
  static void append(TokenPack& pack, const std::vector<int32_t>& completion, int64_t prompt, int64_t P) {
    const auto at = static_cast<int64_t>(pack.tokens.size()), rows = static_cast<int64_t>(completion.size()) - 1;
    pack.runs.push_back({at, rows, prompt, P});
    for (int64_t i = 0; i <= rows; ++i) {
      pack.rows.push_back(static_cast<int32_t>(i == 0 ? prompt + P - 1 : at + i - 1));
      pack.targets.push_back(completion[static_cast<size_t>(i)]);
      if (i == rows) continue;
      pack.tokens.push_back(completion[static_cast<size_t>(i)]);
      pack.positions.push_back(static_cast<int32_t>(P + i));
    }
  }
};

TEST_F(PackLoss, ASharedPromptChangesNoLogProbAndTheGradientByRoundingsOnly) {
  for_models([&](const Policy& policy) {
    const SharedPrompt packs(random_, 9, {5, 11, 1, 8});
    const auto numbers = [&](const TokenPack& pack) {
      TrainState state(policy, 128, 64);
      std::vector<float> logprobs(pack.targets.size()), entropies(pack.targets.size());
      pack_logprobs(policy, state, pack, 0.9f, logprobs, entropies, ex_);
      return std::pair(logprobs, entropies);
    };
    EXPECT_EQ(numbers(packs.shared), numbers(packs.copies));
    const std::vector<float> a = gradient_of(policy, packs.shared, {}, false, ex_),
                             b = gradient_of(policy, packs.copies, {}, false, ex_);
    double difference = 0, size = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
      size += std::pow(static_cast<double>(a[i]), 2);
    }
    // Where the parts nearly cancel, bfloat16's roundings (0.004 each) are up to 0.013 of what is left: one seed in hundreds.
    EXPECT_LT(std::sqrt(difference / size), policy.dtype == DType::f32 ? 2e-6 : 3e-2);
  });
}

// What the sharing computes: the copies' gradient, but that a prompt row's parts (keys, values, the head's) are added
// up in the first copy before the layers below see them. Copies of 32 rows leave the other rows' places in pairs and
// tiles alone.
TEST_F(PackLoss, ASharedPromptGivesTheBitsOfCopiesThatAreAddedUpInTheFirst) {
  for_models([&](const Policy& policy) {
    const SharedPrompt packs(random_, 32, {5, 11, 1, 8});
    EXPECT_EQ(gradient_of(policy, packs.shared, {}, false, ex_), gradient_of(policy, packs.merged, {}, false, ex_));
  });
}

TEST_F(PackLoss, RefusesPartsThatAreNotThePack) {
  const auto policy = make_random_policy(tiny_config(), DType::f32, ex_);
  const TokenPack pack = random_pack(random_);
  const auto T = static_cast<int64_t>(pack.tokens.size()), n = static_cast<int64_t>(pack.targets.size());
  EXPECT_ERROR(gradient_of(*policy, pack, std::vector<PackPart>{{T, n - 1, 0}}, false, ex_), kInternal,
               "head_loss: parts of");
  EXPECT_ERROR(gradient_of(*policy, pack, std::vector<PackPart>{{T - 1, n, 0}}, false, ex_), kInternal, "parts of");
}

}  // namespace
}  // namespace cohort
