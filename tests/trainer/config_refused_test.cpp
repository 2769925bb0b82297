// What a config file must not say: types, ranges, words, names, contradictions; each with the line and the remedy.
#include <gtest/gtest.h>

#include <set>

#include "tests/trainer/config_cases.h"
#include "trainer/config_names.h"
#include "trainer/config_schema.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

TEST(Config, TypesAreStrict) {
  expect_refused({
      {"trainer: {max_steps: \"12\"}",
       "trainer.max_steps: found the text \"12\"; allowed: an integer from 0 to 1000000000"},
      {"trainer: {max_steps: 12.0}",
       "trainer.max_steps: found the number 12.0; allowed: an integer"},
      {"trainer: {max_steps: 1e3}", "trainer.max_steps: found the number 1e3"},
      {"trainer: {max_steps: 010}",
       "trainer.max_steps: found 010, which readers of YAML take for different things"},
      {"trainer: {max_steps: 1_000}", "trainer.max_steps: found 1_000, which"},
      {"trainer: {max_steps: 0x10}", "trainer.max_steps: found 0x10, which"},
      {"trainer: {max_steps: +5}", "trainer.max_steps: found +5, which"},
      {"trainer: {max_steps: ten}", "trainer.max_steps: found 'ten'"},
      {"trainer: {max_steps: true}", "trainer.max_steps: found true"},
      {"trainer: {max_steps: [1]}", "trainer.max_steps: found a list"},
      {"trainer: {max_steps: {a: 1}}", "trainer.max_steps: found a map"},
      {"trainer: {max_steps: }", "trainer.max_steps: found nothing (null)"},
      {"trainer: {max_steps: ~}", "trainer.max_steps: found nothing (null)"},
      {"trainer: {max_steps: 99999999999999999999}",
       "trainer.max_steps: found the integer 99999999999999999999"},
      {"trainer: {eval_before: yes}", "trainer.eval_before: found yes, which readers of YAML"},
      {"trainer: {eval_before: True}", "trainer.eval_before: found True, which"},
      {"trainer: {eval_before: 1}",
       "trainer.eval_before: found the integer 1; allowed: true or false"},
      {"trainer: {eval_before: \"true\"}", "trainer.eval_before: found the text \"true\""},
      {"optim: {learning_rate: .nan}", "optim.learning_rate: found .nan, which"},
      {"optim: {learning_rate: .inf}", "optim.learning_rate: found .inf, which"},
      {"optim: {learning_rate: 1e99}",
       "optim.learning_rate: found the number 1e99; allowed: a number above 0"},
      {"optim: {learning_rate: 1e-99}", "optim.learning_rate: found the number 1e-99"},
      {"optim: {learning_rate: \"1e-6\"}", "optim.learning_rate: found the text \"1e-6\""},
      {"optim: {learning_rate: 1e-}", "optim.learning_rate: found '1e-'"},
      {"optim: {learning_rate: nan}", "optim.learning_rate: found 'nan'"},
      {"run: {seed: -1}", "run.seed: found the integer -1; allowed: an integer from 0 to 2^64 - 1"},
      {"run: {seed: 18446744073709551616}", "run.seed: found the integer 18446744073709551616"},
      {"run: {seed: 1.5}", "run.seed: found the number 1.5"},
      {"run: {name: 12}",
       "run.name: found the integer 12; for the text write \"12\"; allowed: text"},
      {"run: {name: no}", "run.name: found no, which readers of YAML take for different things"},
      {"run: {name: null}", "run.name: found nothing (null)"},
      {"run: {name: [a]}", "run.name: found a list"},
      {"run: {dir: \"a\\nb\"}", "run.dir: found the text \"a b\"; it has control characters"},
      {"run: {dir: \"a\\0b\"}", "it has control characters"},
      {"run: [1]", "run must be a map of keys and values, found a list"},
      {"run:", "run must be a map of keys and values, found nothing (null)"},
      {"run: 3", "run must be a map of keys and values, found the integer 3"},
  });
  EXPECT_EQ(with("run: {name: '12', dir: \"yes\"}").run.name, "12");
}

TEST(Config, ValuesAreInRange) {
  expect_refused({
      {"rollout: {num_generations: 0}",
       "rollout.num_generations: found the integer 0; allowed: an integer from 1 to 4096"},
      {"rollout: {temperature: 0}",
       "rollout.temperature: found the integer 0; allowed: a number above 0"},
      {"rollout: {temperature: -1.0}", "rollout.temperature"},
      {"rollout: {top_p: 0.0}",
       "rollout.top_p: found the number 0.0; allowed: a number above 0 and at most 1"},
      {"rollout: {top_p: 1.1}", "rollout.top_p"},
      {"rollout: {min_p: -0.1}",
       "rollout.min_p: found the number -0.1; allowed: a number from 0 to 1"},
      {"rollout: {max_completion_length: 0}", "rollout.max_completion_length"},
      {"rollout: {max_num_seqs: 0}", "rollout.max_num_seqs"},
      {"rollout: {kv_cache_gb: -1}", "rollout.kv_cache_gb: found the integer -1; allowed: a number from 0 to 1000000"},
      {"rollout: {stop_token_ids: [3, -1]}",
       "rollout.stop_token_ids: found the integer -1; allowed: a list like [2, 107], of at most 64 integers from 0 to"},
      {"rollout: {stop_token_ids: 3}", "rollout.stop_token_ids: found the integer 3; allowed: a list"},
      {"rollout: {stop_token_ids: [2.5]}", "rollout.stop_token_ids: found the number 2.5; allowed: a list"},
      {"rollout: {stop: done}", "rollout.stop: found 'done'; allowed: a list like [\"</answer>\"], of at most 64 texts of 1 to 256 bytes"},
      {"rollout: {stop: [\"\"]}", "rollout.stop: found the text \"\"; allowed"},
      {"rollout: {stop: [12]}", "rollout.stop: found the integer 12; for the text write \"12\"; allowed"},
      {"rollout: {stop: [[a]]}", "rollout.stop: found a list; allowed"},
      {"algorithm: {epsilon: 0.0}", "algorithm.epsilon"},
      {"algorithm: {epsilon_high: -0.5}",
       "algorithm.epsilon_high: found the number -0.5; allowed: a number above 0, or -1"},
      {"algorithm: {beta: -0.1}", "algorithm.beta"},
      {"algorithm: {num_iterations: 0}", "algorithm.num_iterations"},
      {"algorithm: {steps_per_generation: 0}", "algorithm.steps_per_generation"},
      {"algorithm: {top_entropy_quantile: 0.0}", "algorithm.top_entropy_quantile: found the number 0.0; allowed: a number above 0 and at most 1"},
      {"algorithm: {ref_model_mixup_alpha: 1.5}", "algorithm.ref_model_mixup_alpha: found the number 1.5; allowed: a number above 0 and at most 1"},
      {"algorithm: {entropy_coef: -0.1}", "algorithm.entropy_coef"},
      {"algorithm: {sapo_temperature_pos: 0}", "algorithm.sapo_temperature_pos"},
      {"algorithm: {delta: -1.0}", "algorithm.delta: found the number -1.0"},
      {"optim: {learning_rate: 0}", "optim.learning_rate"},
      {"optim: {adam_beta1: 1.0}",
       "optim.adam_beta1: found the number 1.0; allowed: a number at least 0 and below 1"},
      {"optim: {warmup_ratio: 1.5}", "optim.warmup_ratio"},
      {"trainer: {prompts_per_step: 0}", "trainer.prompts_per_step"},
      {"trainer: {logical_ranks: 0}", "trainer.logical_ranks"},
      {"trainer: {logical_ranks: 8192}", "trainer.logical_ranks"},
      {"trainer: {max_steps: -1}", "trainer.max_steps"},
      {"run: {threads: 1025}",
       "run.threads: found the integer 1025; allowed: an integer from 0 to 1024"},
      {"run: {threads: -1}", "run.threads"},
      {"comm: {timeout_s: 0}", "comm.timeout_s"},
      {"log: {completions_steps: -1}", "log.completions_steps"},
  });
}

TEST(Config, WordsAreOneOfThoseAllowed) {
  expect_refused({
      {"algorithm: {loss_type: dpao}",
       "algorithm.loss_type: found 'dpao'; allowed: one of grpo, bnpo, dapo, dr_grpo, cispo, sapo, gspo, reinforce"},
      {"algorithm: {loss_type: DAPO}", "algorithm.loss_type: found 'DAPO'"},
      {"algorithm: {scale_rewards: step}",
       "algorithm.scale_rewards: found 'step'; allowed: one of auto, group, batch, none"},
      {"algorithm: {scale_rewards: true}", "algorithm.scale_rewards: found true"},
      {"optim: {lr_scheduler_type: step}", "allowed: one of constant, linear, cosine"},
      {"run: {device: gpu}", "run.device: found 'gpu'; allowed: one of cpu, cuda"},
      {"run: {numerics: loose}", "run.numerics: found 'loose'; allowed: one of strict, fast"},
  });
  EXPECT_ERROR(with_model("{path: m, dtype: fp16}"), kUsage,
               "f.yaml:1: model.dtype: found 'fp16'; allowed: one of auto");
  EXPECT_ERROR(with_data("{task: {name: additon}}"), kUsage,
               "f.yaml:2: data.task.name: found 'additon'; allowed: one of addition");
}

TEST(Config, UnknownKeysAreAnsweredWithTheNearest) {
  expect_refused({
      {"rollout: {num_generation: 4}",
       "unknown key 'rollout.num_generation'; did you mean 'num_generations'?"},
      {"rollot: {num_generations: 4}", "unknown section 'rollot'; did you mean 'rollout'?"},
      {"trainer: {warm_strat: {}}", "unknown key 'trainer.warm_strat'; did you mean 'warm_start'?"},
      {"trainer: {warm_start: {step: 1}}",
       "unknown key 'trainer.warm_start.step'; did you mean 'steps'?"},
      {"rollout: {zebra: 1}",
       "unknown key 'rollout.zebra'; allowed: num_generations, max_completion_length"},
      {"zebra: {a: 1}", "unknown section 'zebra'; allowed: run, model, data, reward, rollout"},
      {"optim: {num_generation: 1}",
       "unknown key 'optim.num_generation'; did you mean 'num_generations' of section rollout?"},
      {"rollout: {num_generations:4}",
       "unknown key 'rollout.num_generations:4'; write a space behind the ':'"},
  });
}

TEST(Config, KeysInTheWrongSectionAreAnsweredWithTheRightOne) {
  expect_refused({
      {"algorithm: {num_generations: 4}",
       "unknown key 'algorithm.num_generations'; 'num_generations' belongs into section rollout"},
      {"num_generations: 4",
       "unknown section 'num_generations'; 'num_generations' belongs into section rollout"},
      {"rollout: {seed: 4}", "'seed' belongs into section run or data.task"},
      {"trainer: {init: {}}", "'init' belongs into section model"},
      {"rollout: {hidden_size: 4}", "'hidden_size' belongs into section model.init"},
      {"run: {optim: {learning_rate: 1}}",
       "'optim' is a section of its own: write it at the left margin"},
      {"rollout.num_generations: 4",
       "unknown section 'rollout.num_generations'; write 'num_generations' inside of section "
       "'rollout'"},
      {"model.init: {}", "unknown section 'model.init'; write 'init' inside of section 'model'"},
  });
}

TEST(Config, NamesOfPeersAreAnsweredWithOurs) {
  expect_refused({
      {"algorithm: {clip_ratio_high: 0.28}",
       "unknown key 'algorithm.clip_ratio_high'; cohort calls it 'algorithm.epsilon_high'"},
      {"rollout: {n: 8}", "cohort calls it 'rollout.num_generations'"},
      {"algorithm: {kl_loss_coef: 0.1}", "cohort calls it 'algorithm.beta'"},
      {"actor_rollout_ref: {rollout: {n: 8}}",
       "unknown section 'actor_rollout_ref'; its keys are in sections model, rollout"},
      {"trainer: {per_device_train_batch_size: 8}",
       "cohort calls it 'trainer.prompts_per_step' (counts prompts over all ranks"},
      {"algorithm: {kl_loss_type: low_var_kl}", "cohort calls it 'algorithm.kl_estimator' (kl: k1, mse: k2, low_var_kl: k3)"},
      {"algorithm: {max_num_gen_batches: 3}", "cohort calls it 'algorithm.filter_groups_max_batches'"},
      {"trainer: {ppo_micro_batch_size: 4}", "trainer.pack_tokens bounds"},
      {"train_batch_size: 8", "cohort calls it 'trainer.prompts_per_step'"},
  });
  EXPECT_ERROR(with("", {"actor_rollout_ref.actor.optim.lr=1e-6"}), kUsage,
               "cohort calls it 'optim.learning_rate'");
  EXPECT_ERROR(with("", {"n_samples_per_prompt=8"}), kUsage,
               "cohort calls it 'rollout.num_generations'");
}

TEST(Config, EveryPeerNameLeadsToAKeyOfOurs) {
  std::set<std::string> seen;
  for (const PeerName& peer : peer_names()) {
    EXPECT_TRUE(seen.insert(peer.name).second) << peer.name << " is listed twice";
    EXPECT_EQ(find_section(peer.name), nullptr) << peer.name;
    for (const KeyRow& key : config_keys()) EXPECT_NE(peer.name, key.name) << "is our own name";
    if (peer.ours.empty()) {
      EXPECT_NE(peer.note, "") << peer.name;
    } else {
      const size_t dot = peer.ours.find_last_of('.');
      ASSERT_NE(dot, std::string::npos) << peer.ours;
      EXPECT_NE(find_key(peer.ours.substr(0, dot), peer.ours.substr(dot + 1)), nullptr)
          << peer.ours;
    }
    EXPECT_NE(
        explain_unknown("rollout." + peer.name).find(peer.ours.empty() ? peer.note : peer.ours),
        std::string::npos)
        << peer.name;
  }
}

TEST(Config, DuplicatesAreRefusedWithBothLines) {
  EXPECT_ERROR(parse(kMinimal + "run: {name: a}\nrun: {dir: b}\n"), kUsage,
               "f.yaml:5: duplicate key 'run'; it stands already in line 4");
  EXPECT_ERROR(with("optim:\n  learning_rate: 1e-6\n  learning_rate: 1e-5"), kUsage,
               "f.yaml:6: duplicate key 'learning_rate'; it stands already in line 5");
}

TEST(Config, ExactlyOneModel) {
  EXPECT_ERROR(with_model("{}"), kUsage, "f.yaml:1: neither model.path");
  EXPECT_ERROR(with_model("{path: m, init: {}}"), kUsage,
               "f.yaml:1: both model.path and model.init");
  EXPECT_ERROR(parse("data: {train: t}\nreward: [{name: exact}]\n"), kUsage,
               "f.yaml: neither model.path");
  EXPECT_EQ(with_model("{init: {}}").model.init, ModelInitConfig());
}

TEST(Config, ModelsFromScratchHaveAShapeThatRuns) {
  EXPECT_ERROR(with_model("{init: {hidden_size: 72, num_heads: 2}}"), kUsage,
               "f.yaml:1: model.init.hidden_size: found 72; allowed: a multiple of 16");
  EXPECT_ERROR(with_model("{init: {intermediate_size: 100}}"), kUsage,
               "model.init.intermediate_size: found 100");
  EXPECT_ERROR(with_model("{init: {num_heads: 3}}"), kUsage,
               "hidden_size 128 is no multiple of num_heads 3");
  EXPECT_ERROR(with_model("{init: {num_heads: 128, num_kv_heads: 128}}"), kUsage,
               "heads of size 1; allowed: even");
  EXPECT_ERROR(with_model("{init: {hidden_size: 512, num_heads: 1, num_kv_heads: 1}}"), kUsage,
               "heads of size 512");
  EXPECT_ERROR(with_model("{init: {num_kv_heads: 3}}"), kUsage,
               "num_heads 4 is no multiple of num_kv_heads 3");
  EXPECT_ERROR(with_model("{init: {max_positions: 63}}"), kUsage,
               "model.init.max_positions is 63; data.max_prompt_length 32 and "
               "rollout.max_completion_length 32 need 64");
  EXPECT_NO_THROW(with_model("{init: {max_positions: 64}}"));
}

TEST(Config, ExactlyOneSourceOfData) {
  EXPECT_ERROR(with_data("{shuffle: true}"), kUsage, "f.yaml:2: neither data.train");
  EXPECT_ERROR(with_data("{train: t, task: {name: reverse}}"), kUsage,
               "f.yaml:2: both data.train and data.task");
  EXPECT_ERROR(with_data("{eval: e}"), kUsage, "f.yaml:2: data.eval is given without data.train");
  EXPECT_ERROR(with_data("{eval: e, task: {name: reverse}}"), kUsage,
               "f.yaml:2: data.eval is given beside data.task");
  EXPECT_ERROR(with_data("{task: {seed: 1}}"), kUsage,
               "f.yaml:2: data.task.name is missing; allowed: one of addition");
  EXPECT_NO_THROW(with_data("{train: t, eval: e}"));
}

TEST(Config, WhatTheChatTemplateGets) {
  const Config config = with_data(
      "{train: t, chat_template_kwargs: {enable_thinking: false, a: [1, 0.5, x]}, now: "
      "2026-01-31T00:00:00, allow_special_tokens: true}");
  EXPECT_EQ(config.data.chat_template_kwargs,
            (Json{{"a", Json::array({1, 0.5, "x"})}, {"enable_thinking", false}}));
  EXPECT_EQ(config.data.now, "2026-01-31T00:00:00");
  EXPECT_TRUE(config.data.allow_special_tokens);
  EXPECT_EQ(with_data("{train: t, chat_template_kwargs: {b: 1, a: 2}}").data,
            with_data("{train: t, chat_template_kwargs: {a: 2, b: 1}}").data);
  EXPECT_EQ(with("", {"data.chat_template_kwargs={k: \"v\"}"}).data.chat_template_kwargs,
            Json({{"k", "v"}}));
  EXPECT_ERROR(with_data("{train: t, chat_template_kwargs: yes}"), kUsage,
               "f.yaml:2: data.chat_template_kwargs: found yes");
  EXPECT_ERROR(with_data("{train: t, chat_template_kwargs: [a]}"), kUsage,
               "allowed: a map like {enable_thinking: false}");
  EXPECT_ERROR(with_data("{train: t, chat_template_kwargs: {a: yes}}"), kUsage, "f.yaml:2: found yes");
  EXPECT_ERROR(with_data("{train: t, chat_template_kwargs: {a: null}}"), kUsage, "f.yaml:2: found");
  EXPECT_ERROR(with_data("{train: t, chat_template_kwargs: {tools: []}}"), kUsage,
               "'chat_template_kwargs' must not have 'tools'");
  for (const char* now : {"today", "2026-02-30", "2026-01-31T24:00:00", "2026-01-31 00:00:00"})
    EXPECT_ERROR(with_data(fmt::format("{{train: t, now: \"{}\"}}", now)), kUsage,
                 fmt::format("f.yaml:2: data.now: found '{}'; allowed: a time like", now));
}

TEST(Config, WarmStartNeedsATask) {
  EXPECT_ERROR(with_data("{train: t}", "trainer: {warm_start: {steps: 1}}\n"), kUsage,
               "f.yaml:4: trainer.warm_start needs the solutions of a built-in task");
  EXPECT_NO_THROW(with_data("{task: {name: reverse}}", "trainer: {warm_start: {steps: 1}}\n"));
}

TEST(Config, EvaluationNeedsData) {
  EXPECT_ERROR(with("trainer: {eval_steps: 5}"), kUsage,
               "f.yaml:4: trainer.eval_steps: found 5, but there is no data.eval");
  EXPECT_NO_THROW(with_data("{train: t, eval: e}", "trainer: {eval_steps: 5}\n"));
}

TEST(Config, OtherContradictions) {
  expect_refused({
      {"rollout: {min_completion_length: 9, max_completion_length: 8}",
       "rollout.min_completion_length 9 is more than rollout.max_completion_length 8"},
      {"trainer: {logical_ranks: 6}",
       "trainer.logical_ranks: found 6; allowed: a power of two from 1 to 4096, e.g. 4"},
      {"run: {name: a/b}", "run.name: found 'a/b'; allowed: the name of a folder, without '/'"},
      {"run: {name: ..}", "run.name: found '..'"},
      {"run: {name: .}", "run.name: found '.'"},
      {"run: {name: \"\"}", "run.name: found ''"},
      {"run: {dir: \"\"}", "run.dir: found an empty text"},
      {"run: {resume: \"\"}", "run.resume: found an empty text; allowed: auto, never"},
      {"run: {allow_changes: [optim.learning_rate]}", "run.allow_changes: found [optim.learning_rate], but run.resume is auto; it is for run.resume: PATH"},
      {"run: {resume: p, allow_changes: [run.seed]}", "run.allow_changes: found 'run.seed'; allowed: optim.learning_rate, "},
      {"trainer: {checkpoint_must_save_by: 03:45:00}", "trainer.checkpoint_must_save_by: found '03:45:00'; allowed: a time after the start"},
  });
  const auto named = [](size_t bytes) { return with("run: {name: " + std::string(bytes, 'a') + "}"); };
  EXPECT_EQ(named(250).run.name.size(), 250u);
  EXPECT_ERROR(named(251), kUsage, "a...' of 251 bytes; allowed: at most 250, as a file name has 255");
}

TEST(Config, RewardsAreAListOfNamedEntries) {
  const auto with_reward = [](const std::string& reward) {
    return parse("model: {path: m}\ndata: {train: t}\n" + reward);
  };
  EXPECT_ERROR(with_reward(""), kUsage,
               "f.yaml: reward has no entries; allowed names: last_number");
  EXPECT_ERROR(with_reward("reward: []"), kUsage, "f.yaml:3: reward has no entries");
  EXPECT_ERROR(with_reward("reward: last_number"), kUsage,
               "f.yaml:3: reward must be a list like [{name: last_number");
  EXPECT_ERROR(with_reward("reward: {name: exact}"), kUsage, "f.yaml:3: reward must be a list");
  EXPECT_ERROR(with_reward("reward:\n  - exact"), kUsage,
               "f.yaml:4: an entry of reward must be a map");
  EXPECT_ERROR(with_reward("reward:\n  - {weight: 1}"), kUsage,
               "f.yaml:4: an entry of reward needs a 'name'");
  EXPECT_ERROR(with_reward("reward:\n  - {name: 3}"), kUsage,
               "f.yaml:4: an entry of reward needs a 'name'");
  EXPECT_ERROR(with_reward("reward:\n  - {name: exact}\n  - {name: last_numbr}"), kUsage,
               "f.yaml:5: unknown reward 'last_numbr'; did you mean 'last_number'?");
  EXPECT_ERROR(with_reward("reward:\n  - {name: exact, weigth: 2}"), kUsage,
               "f.yaml:4: reward 'exact': unknown option 'weigth'; did you mean 'weight'?");
  EXPECT_ERROR(with_reward("reward:\n  - name: exact\n    weight: \"2\""), kUsage,
               "f.yaml:5: weight of reward 'exact': found the text \"2\"; allowed: a number");
  EXPECT_ERROR(with_reward("reward:\n  - {name: exact, weight: 1e9}"), kUsage,
               "f.yaml:4: reward 'exact': weight");
  EXPECT_ERROR(with_reward("reward:\n  - {name: exact}\n  - {name: format}\n  - {name: exact}"),
               kUsage, "f.yaml:6: reward 'exact' is listed twice (it stands already at f.yaml:4), and their metrics would have one name; give "
               "one of them a label of its own, e.g. {name: exact, label: exact_2}");
  EXPECT_ERROR(with_reward("reward:\n  - {name: format}\n  - {name: exact, label: format}"), kUsage,
               "f.yaml:5: reward 'format' is listed twice (it stands already at f.yaml:4), and their metrics would have one name; give "
               "one of them a label of its own, e.g. {name: exact, label: format_2}");
  for (const char* label : {"''", "a/b", "a b", "3", "[a]", "null", "caf\u00e9",
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"})
    EXPECT_ERROR(with_reward(std::string("reward:\n  - name: exact\n    label: ") + label), kUsage, "f.yaml:5: ");
  EXPECT_ERROR(with_reward("reward:\n  - name: exact\n    label: a/b"), kUsage,
               "f.yaml:5: label of reward 'exact': found 'a/b'; allowed: letters, digits, '_', '-' and '.', at most 64");
  EXPECT_ERROR(with_reward("reward:\n  - {name: exakt, label: exact}"), kUsage, "unknown reward 'exakt'; did you mean 'exact'?");
  EXPECT_ERROR(with_reward("reward:\n  - {name: exact, column: null}"), kUsage,
               "f.yaml:4: found nothing (null)");
  EXPECT_ERROR(with_reward("reward:\n  - {name: exact, column: yes}"), kUsage,
               "f.yaml:4: found yes, which readers");
}

}  // namespace
}  // namespace cohort
