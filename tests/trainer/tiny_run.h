// A policy, an optimizer and scored groups for tests of the update and of checkpoints.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>

#include "comm/comm.h"
#include "core/rng.h"
#include "tests/model/tiny_model.h"
#include "trainer/advantage.h"
#include "trainer/update.h"

namespace cohort {

struct TinyRun {
  explicit TinyRun(DType dtype = DType::bf16, int threads = 1, std::shared_ptr<Gpu> gpu = nullptr)
      : owner(threads, {}, std::move(gpu)), comm(make_self_comm()), policy(tiny_policy(dtype, 5, owner.exec())) {
    config.trainer.logical_ranks = 4;
    config.trainer.max_steps = 10;
    config.optim.learning_rate = 1e-2f;
    config.rollout.num_generations = 4;
    config.rollout.max_completion_length = 10;
    config.model.path = "tiny";
    config.data.train = "tiny";
    config.reward = {{"last_number", 1.0, Json::object()}};
    Random random(31, Stream::kTest);
    for (int g = 0; g < 3; ++g) {
      prompts.emplace_back();
      for (int i = 0; i < 4 + g; ++i) prompts.back().push_back(static_cast<int32_t>(3 + random.below(77)));
      names.push_back("p" + std::to_string(g));
    }
  }

  void make_optimizer() {
    optimizer = std::make_unique<Optimizer>(*policy, config.optim, static_cast<int>(config.trainer.logical_ranks), *comm);
  }

  // num_generations completions a prompt, sampled by the policy, with the given rewards.
  std::vector<Group> sample(uint32_t step, const std::vector<std::vector<double>>& rewards) {
    GeneratorConfig g = generator;
    g.sampling.temperature = config.rollout.temperature;
    g.max_completion_length = config.rollout.max_completion_length;
    g.stop_token_ids = {1};
    size_t longest = 0;
    for (const std::vector<int32_t>& prompt : prompts) longest = std::max(longest, prompt.size());
    Generator sampler(*policy, g, static_cast<int64_t>(longest));
    if (tape) tape->begin(policy->version);
    if (tape && tape->kept() == TapeRows::inputs) {
      if (!optimizer) make_optimizer();
      tape->lie_in_gradient(optimizer->gradients().next_buffer(), policy->table);
    }
    std::vector<Group> groups;
    for (size_t p = 0; p < rewards.size(); ++p) {
      Group group;
      group.prompt = prompts[p];
      std::vector<GenerateRequest> requests;
      for (size_t i = 0; i < rewards[p].size(); ++i)
        requests.push_back({prompts[p], static_cast<int64_t>(p), static_cast<uint32_t>(p * 16 + i)});
      group.rollouts = sampler.generate(requests, step, owner.exec(), {}, {}, tape ? &*tape : nullptr);
      const StepAdvantages advantages = step_advantages({.group_size = rewards[p].size(), .totals = {rewards[p].begin(), rewards[p].end()}}, {});
      group.advantages = advantages.of;
      group.has_signal = !advantages.constant[0];
      groups.push_back(std::move(group));
    }
    return groups;
  }

  Metrics update(const std::vector<Group>& groups, int64_t step, const Policy* reference = nullptr) {
    if (!optimizer) make_optimizer();
    if (!updater || !keeps_updater) updater = std::make_unique<Updater>(*policy, reference, *optimizer, config, *comm);
    Metrics metrics;
    updater->update(groups, names, step, metrics, owner.exec(), tape ? &*tape : nullptr);
    return metrics;
  }

  std::vector<std::byte> weights() const { return FlatWeights(*policy).bytes; }

  ExecOwner owner;
  std::unique_ptr<Comm> comm;
  std::unique_ptr<Policy> policy;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Updater> updater;  // of the last update
  bool keeps_updater = false;        // it serves the next one, as in a run: config and reference stay what they are
  Config config;
  GeneratorConfig generator;           // what the config does not say
  std::optional<ActivationTape> tape;  // for sample and update
  std::vector<std::vector<int32_t>> prompts;
  std::vector<std::string> names;
};

}  // namespace cohort
