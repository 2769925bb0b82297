// section.key=value on the command line: what it replaces, and mistakes that name it.
#include <gtest/gtest.h>

#include "tests/trainer/config_cases.h"

namespace cohort {
namespace {

TEST(ConfigOverrides, ReplaceKeys) {
  const Config config = with("trainer: {max_steps: 5}",
                             {"trainer.max_steps=20", "run.name=other", "optim.learning_rate=1e-5",
                              "rollout.top_p=0.5", "log.progress=false"});
  EXPECT_EQ(config.trainer.max_steps, 20);
  EXPECT_EQ(config.run.name, "other");
  EXPECT_EQ(config.optim.learning_rate, 1e-5f);
  EXPECT_EQ(config.rollout.top_p, 0.5f);
  EXPECT_FALSE(config.log.progress);
}

TEST(ConfigOverrides, ReachIntoMapsAndMakeThem) {
  const std::vector<std::string> scratch = {"model.path=null",
                                            "model.init.hidden_size=64",
                                            "data.train=null",
                                            "data.task.name=reverse",
                                            "trainer.warm_start={steps: 3}",
                                            "data.max_prompt_length=16",
                                            "rollout.max_completion_length=16"};
  const Config config = with("", scratch);
  EXPECT_EQ(config.model.path, "");
  EXPECT_EQ(config.model.init.value().hidden_size, 64);
  EXPECT_EQ(config.data.task.value().name, "reverse");
  EXPECT_EQ(config.trainer.warm_start.value().steps, 3);
}

TEST(ConfigOverrides, AMapIsReplacedAsAWhole) {
  const std::string yaml =
      "model: {init: {hidden_size: 64, num_heads: 2}}\ndata: {task: {name: reverse}, "
      "max_prompt_length: 16}\n"
      "reward: [{name: exact}]\nrollout: {max_completion_length: 16}\n";
  EXPECT_EQ(parse(yaml, {"model.init={hidden_size: 32}"}).model.init.value().num_heads,
            ModelInitConfig().num_heads);
  EXPECT_EQ(parse(yaml, {"model.init.hidden_size=32"}).model.init.value().num_heads, 2);
  EXPECT_FALSE(parse(yaml, {"model.init=null", "model.path=m"}).model.init.has_value());
}

TEST(ConfigOverrides, TheListOfRewardsIsReplaced) {
  const Config config =
      with("", {"reward=[{name: exact, weight: 2}, {name: last_number, column: b}]"});
  ASSERT_EQ(config.reward.size(), 2u);
  EXPECT_EQ(config.reward[0].name, "exact");
  EXPECT_EQ(config.reward[0].weight, 2.0);
  EXPECT_EQ(with("", {"reward=[{name: last_number}]"}).reward.size(),
            1u);  // the same name as in the file
}

TEST(ConfigOverrides, MistakesNameTheOverride) {
  struct Wrong {
    const char *text, *message;
  };
  for (const Wrong& w : std::vector<Wrong>{
           {"trainer.max_step=3",
            "command line: trainer.max_step=3: unknown key 'trainer.max_step'; did you mean "
            "'max_steps'?"},
           {"trainer.max_steps=three",
            "command line: trainer.max_steps=three: trainer.max_steps: found 'three'; allowed: an "
            "integer"},
           {"trainer.max_steps=",
            "command line: trainer.max_steps=: trainer.max_steps: found nothing (null)"},
           {"trainer.logical_ranks=3",
            "command line: trainer.logical_ranks=3: trainer.logical_ranks: found 3; allowed: a "
            "power of two"},
           {"model.init.num_heads=2",
            "command line: model.init.num_heads=2: both model.path and model.init"},
           {"model.init={}", "command line: model.init={}: both model.path and model.init"},
           {"model.path=null", "command line: model.path=null: neither model.path"},
           {"nonsense", "command line: nonsense: expected section.key=value"},
           {"=3", "command line: =3: expected section.key=value"},
           {"max_steps=3", "'max_steps' belongs into section trainer"},
           {"trainer={max_steps: 3}",
            "command line: trainer={max_steps: 3}: trainer is a section; name one of its keys"},
           {"reward=exact", "command line: reward=exact: reward must be a list"},
           {"reward=[{name: exact}, {name: exact}]", "reward 'exact' is listed twice"},
           {"reward.weight=3",
            "command line: reward.weight=3: reward is a list, replaced as a whole"},
           {"run.name=*x", "command line: run.name=*x: "},
           {"run.name={a: 1, a: 2}", "duplicate key 'a'"},
           {"run.name=a: b: c", "not YAML"},
           {"run.=1", "unknown key 'run.'"},
           {".name=1", "command line: .name=1: unknown"},
           {"run.name=\xFF", "invalid UTF-8"},
           {"run.name=a\nb", "command line: run.name=a b: it has a line break"},
           {"rollout.stop=[a", "command line: rollout.stop=[a: a '[' that is not closed"},
           {"data.chat_template_kwargs={a: 1", "a '{' that is not closed"}}) {
    EXPECT_ERROR(with("", {w.text}), kUsage, w.message);
  }
  EXPECT_ERROR(
      with("", {"trainer.max_steps=1", "trainer.max_steps=2"}), kUsage,
      "command line: trainer.max_steps=2: given twice; it stands already as trainer.max_steps=1");
}

}  // namespace
}  // namespace cohort
