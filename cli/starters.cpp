#include "cli/starters.h"

#include <array>

namespace cohort {
namespace {

constexpr std::string_view kArithmetic = R"yaml(# Sums of two numbers below 100: a small model from scratch is shown some solutions, and goes on by "right" or "wrong" alone.
#   cohort train my.yaml                     any key can be replaced behind it: trainer.max_steps=20
#   mpirun -n 2 --bind-to none cohort train my.yaml   on several ranks: the same result
# `cohort explain KEY` tells what a key does; `cohort train my.yaml --dry-run` prints all of them, and the memory that a run takes.
run:
  name: arithmetic              # the run directory is runs/arithmetic
  seed: 42                      # every random number is a function of it

model:
  # A model of your own in place of `init`: a Hugging Face folder, e.g. path: models/SmolLM2-135M-Instruct. With a chat model take
  # `task: {name: arithmetic, chat: true}` and `reward: [{name: last_number}]` as well, and no warm_start.
  init: {hidden_size: 128, intermediate_size: 384, num_layers: 3, num_heads: 4, num_kv_heads: 2, max_positions: 64}
  dtype: float32

data:
  task: {name: addition, eval_size: 256}   # problems made by cohort: "23+58="; eval_size of them are held back from training
  max_prompt_length: 16         # tokens; a longer prompt is an error that names it

reward:                         # text in, score out; the total is the weighted sum
  - {name: exact, weight: 1.0}  # 1 when the completion is the answer, else 0

rollout:
  num_generations: 8            # completions of each prompt: the group
  max_completion_length: 8
  temperature: 1.0
  eval_temperature: 1.0         # accuracy of answers as they are sampled; 0: of the most likely ones

algorithm:
  loss_type: grpo               # or one of its relatives: cohort explain loss_type
  epsilon: 0.2                  # the clip of the ratio
  beta: 0.0                     # weight of the KL term; 0: no reference model

optim:
  learning_rate: 3.0e-4         # for a pretrained model: about 1.0e-6
  adam_beta2: 0.99
  lr_scheduler_type: linear
  warmup_ratio: 0.1

trainer:
  warm_start: {steps: 400, problems_per_step: 64, learning_rate: 1.0e-3}   # supervised, before step 1: something must be right at times
  max_steps: 100
  prompts_per_step: 64          # over all ranks
  eval_steps: 25
  save_steps: 50                # checkpoints; the same command goes on from the newest
)yaml";

constexpr std::string_view kJsonl = R"yaml(# Problems of your own, one a line of a JSONL file, with answers that can be compared, as in GSM8K:
#   {"prompt": "Tom has 3 apples and buys 4 more. How many has he?", "answer": "#### 7"}
#   cohort init jsonl --data > problems.jsonl     a few such rows, to try it
#   cohort train my.yaml
# The prompt is text, or a list of messages for a chat model; any other columns reach the rewards by their names.
run:
  name: jsonl
  seed: 42

model:
  # Only to see it run: a model from scratch answers nothing right. Take one that does at times, and remove `init`:
  # path: models/SmolLM2-135M-Instruct      # a Hugging Face folder as it comes
  init: {hidden_size: 64, intermediate_size: 192, num_layers: 2, num_heads: 4, num_kv_heads: 2, max_positions: 1024}
  dtype: auto                   # the checkpoint's

data:
  train: problems.jsonl
  # eval: held_back.jsonl       # and trainer.eval_steps: 20
  max_prompt_length: 512        # tokens, the chat template's included; a longer prompt is an error that names it

reward:
  - {name: math, weight: 1.0, column: answer}   # 1 when the completion's answer equals the column by the rules of mathematics
  # - {name: format, weight: 0.1, tags: think}  # see docs/rewards.md for the others

rollout:
  num_generations: 8            # completions of each prompt; more of them, and the mean that each is compared with is better known
  max_completion_length: 64     # tokens; for real reasoning 512 and more
  temperature: 1.0

algorithm:
  loss_type: dapo
  epsilon: 0.2
  epsilon_high: 0.28            # rarer tokens may grow faster than they may shrink
  beta: 0.0
  mask_truncated_completions: true   # what was cut off at max_completion_length teaches nothing

optim:
  learning_rate: 1.0e-6
  max_grad_norm: 1.0

trainer:
  max_steps: 20
  prompts_per_step: 4           # times num_generations: completions of a step
  save_steps: 10
)yaml";

constexpr std::string_view kJsonlRows = R"jsonl({"prompt": "Question: Tom has 3 apples and buys 4 more. How many apples has he?\nAnswer:", "answer": "3 + 4 = 7\n#### 7"}
{"prompt": "Question: A box holds 12 eggs. How many eggs are in 5 boxes?\nAnswer:", "answer": "12 * 5 = 60\n#### 60"}
{"prompt": "Question: Ann reads 15 pages a day. How many days does she need for 180 pages?\nAnswer:", "answer": "180 / 15 = 12\n#### 12"}
{"prompt": "Question: A shirt costs $40 and is sold 25% cheaper. What does it cost now, in dollars?\nAnswer:", "answer": "40 * 0.75 = 30\n#### 30"}
{"prompt": "Question: Half of a pizza is shared by 3 children alike. Which part of the pizza has each?\nAnswer:", "answer": "1/2 / 3 = 1/6\n#### 1/6"}
{"prompt": "Question: A train leaves at 9:40 and arrives at 11:15. How many minutes does it take?\nAnswer:", "answer": "20 + 75 = 95\n#### 95"}
{"prompt": "Question: Ben had 50 marbles, lost 17 and won 9. How many has he?\nAnswer:", "answer": "50 - 17 + 9 = 42\n#### 42"}
{"prompt": "Question: A field is 30 m long and 20 m wide. How long is its fence, in metres?\nAnswer:", "answer": "2 * (30 + 20) = 100\n#### 100"}
)jsonl";

constexpr std::string_view kCode = R"yaml(# Programs that must pass test cases. They run on this machine in a sandbox: `cohort doctor --sandbox` says whether it can.
#   {"prompt": "Write a Python function add(a, b) ...", "tests": ["assert add(1, 2) == 3", ...]}
#   cohort init code --data > problems.jsonl      a few such rows, to try it
#   cohort train my.yaml
# docs/code-reward.md has the other forms of tests: input and output, HumanEval's check(candidate), other languages.
run:
  name: code
  seed: 42

model:
  # Only to see it run: a model from scratch writes no programs. Take one that does, and remove `init`:
  # path: models/Qwen2.5-Coder-0.5B-Instruct
  init: {hidden_size: 64, intermediate_size: 192, num_layers: 2, num_heads: 4, num_kv_heads: 2, max_positions: 1024}
  dtype: auto

data:
  train: problems.jsonl
  max_prompt_length: 512

reward:
  - name: code
    weight: 1.0
    sandbox: local              # the completion's program is run here; without this line nothing is
    language: python
    score: fraction             # the share of the cases that pass; all: 1 or 0
    timeout_s: 5                # of one case
    memory_mb: 256

rollout:
  num_generations: 8
  max_completion_length: 64     # tokens; for real programs 512 and more
  temperature: 1.0

algorithm:
  loss_type: dapo
  epsilon_high: 0.28
  filter_groups: false          # true: a step draws until its groups have mixed rewards (dynamic sampling)

optim:
  learning_rate: 1.0e-6

trainer:
  max_steps: 20
  prompts_per_step: 4
  save_steps: 10
)yaml";

constexpr std::string_view kCodeRows = R"jsonl({"prompt": "Write a Python function add(a, b) that returns the sum of two numbers. Answer with a code block.\n", "tests": ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]}
{"prompt": "Write a Python function is_even(n) that tells whether a whole number is even. Answer with a code block.\n", "tests": ["assert is_even(4) is True", "assert is_even(7) is False", "assert is_even(0) is True"]}
{"prompt": "Write a Python function reverse(text) that returns the text backwards. Answer with a code block.\n", "tests": ["assert reverse('abc') == 'cba'", "assert reverse('') == ''"]}
{"prompt": "Write a Python function largest(numbers) that returns the largest number of a list. Answer with a code block.\n", "tests": ["assert largest([3, 9, 2]) == 9", "assert largest([-5]) == -5"]}
{"prompt": "Write a Python function count_vowels(text) that counts the letters a, e, i, o, u. Answer with a code block.\n", "tests": ["assert count_vowels('hello') == 2", "assert count_vowels('xyz') == 0"]}
{"prompt": "Write a Python function factorial(n). Answer with a code block.\n", "tests": ["assert factorial(0) == 1", "assert factorial(5) == 120"]}
)jsonl";

constexpr std::string_view kR1Zero = R"yaml(# Reasoning without demonstrations and without a preference model, as DeepSeek-R1-Zero (arXiv:2501.12948): a base model is rewarded for a
# right answer and for the form <think> ... </think><answer> ... </answer>, and nothing else.
#   cohort init r1-zero --data > problems.jsonl   a few rows with the paper's prompt
#   cohort train my.yaml
run:
  name: r1-zero
  seed: 42

model:
  # Only to see it run. Take a base model, and remove `init`:
  # path: models/Qwen2.5-1.5B
  init: {hidden_size: 64, intermediate_size: 192, num_layers: 2, num_heads: 4, num_kv_heads: 2, max_positions: 1024}
  dtype: auto

data:
  train: problems.jsonl
  max_prompt_length: 768

reward:
  - {name: math, weight: 1.0, column: answer}     # accuracy
  - {name: format, weight: 0.5, score: share}     # share: also for some of the tags, so that there is something to begin with

rollout:
  num_generations: 16           # as the paper
  max_completion_length: 64     # the paper: 32768
  temperature: 1.0
  stop: ["</answer>"]           # what comes after the answer is not of interest; the text keeps it

algorithm:
  loss_type: grpo
  epsilon: 0.2
  beta: 0.001                   # weight of the KL term against a reference model
  ref_model_sync_steps: 400     # which is replaced by the policy every 400 steps
  ref_model_mixup_alpha: 1.0

optim:
  learning_rate: 3.0e-6

trainer:
  max_steps: 20                 # the paper: 10400
  prompts_per_step: 4           # the paper: 32
  save_steps: 10
)yaml";

constexpr std::string_view kR1ZeroRows = R"jsonl({"prompt": "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant first thinks about the reasoning process in the mind and then provides the user with the answer. The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively. User: What is 17 + 25? Assistant:", "answer": "42"}
{"prompt": "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant first thinks about the reasoning process in the mind and then provides the user with the answer. The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively. User: Solve 3x = 12 for x. Assistant:", "answer": "4"}
{"prompt": "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant first thinks about the reasoning process in the mind and then provides the user with the answer. The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively. User: How many prime numbers are below 20? Assistant:", "answer": "8"}
{"prompt": "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant first thinks about the reasoning process in the mind and then provides the user with the answer. The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively. User: What is 1/2 + 1/3? Assistant:", "answer": "5/6"}
)jsonl";

constexpr std::string_view kStructured = R"yaml(# Answers of one form, without any gold answer: each must be a JSON object that fits a schema, short, and in English. Rewards of this kind
# cost nothing to compute and need no data but prompts.
#   cohort init structured --data > problems.jsonl   a few prompts, to try it
#   cohort train my.yaml
run:
  name: structured
  seed: 42

model:
  # Only to see it run. Take a chat model, and remove `init`:
  # path: models/SmolLM2-135M-Instruct
  init: {hidden_size: 64, intermediate_size: 192, num_layers: 2, num_heads: 4, num_kv_heads: 2, max_positions: 512}
  dtype: auto

data:
  train: problems.jsonl
  max_prompt_length: 256

reward:
  - name: json
    weight: 1.0
    schema:                     # docs/rewards.md lists the keywords
      type: object
      properties:
        title: {type: string, minLength: 1, maxLength: 80}
        tags: {type: array, items: {type: string}, minItems: 1, maxItems: 5}
      required: [title, tags]
      additionalProperties: false
  - {name: soft_overlong, weight: 0.5, max_length: 64, buffer: 16}   # less and less for the last 16 tokens before the limit
  - {name: language, weight: 0.2, script: latin}

rollout:
  num_generations: 8
  max_completion_length: 64
  temperature: 1.0

algorithm:
  loss_type: dapo
  multi_objective_aggregation: normalize_then_sum   # each reward is compared within its group before they are added up
  beta: 0.01                    # keeps the model near to what it was, as nothing else says what an answer must be about

optim:
  learning_rate: 1.0e-6

trainer:
  max_steps: 20
  prompts_per_step: 4
  save_steps: 10
)yaml";

constexpr std::string_view kStructuredRows = R"jsonl({"prompt": "Describe this text as JSON with title and tags: The cat sat on the mat and slept all day.\n"}
{"prompt": "Describe this text as JSON with title and tags: Water boils at 100 degrees at sea level.\n"}
{"prompt": "Describe this text as JSON with title and tags: The match was won in the last minute.\n"}
{"prompt": "Describe this text as JSON with title and tags: Add flour and sugar, and bake for an hour.\n"}
)jsonl";

constexpr std::string_view kPreference = R"yaml(# A reward model from preferences: pairs of answers, one of them better. It scores what another model answers (see the end).
#   cohort init preference --data > pairs.jsonl     a few such rows, to try it
#   cohort rm my.yaml
# A row: {"prompt": ..., "chosen": ..., "rejected": ...}; each is text, or a list of messages for a chat model.
run:
  name: preference
  seed: 42

model:
  # Only to see it run. Take a model that knows the language, and remove `init`:
  # path: models/SmolLM2-135M-Instruct      # a language model: its head becomes one that scores
  init: {hidden_size: 64, intermediate_size: 192, num_layers: 2, num_heads: 4, num_kv_heads: 2, max_positions: 512}
  dtype: auto

data:
  train: pairs.jsonl
  # eval: held_back_pairs.jsonl # and trainer.eval_steps: 20

rm:
  pairs_per_step: 4             # over all ranks
  num_train_epochs: 5
  max_length: 512               # tokens of a conversation; a longer one is an error that names it
  center_rewards_coefficient: 0.01   # keeps the scores around 0

optim:
  learning_rate: 1.0e-3         # for a pretrained model: about 1.0e-5
  lr_scheduler_type: linear
  warmup_ratio: 0.1

trainer:
  save_steps: 10

# As a reward of `cohort train`, beside or in place of others:
#   reward:
#     - {name: model, path: runs/preference/final}
)yaml";

constexpr std::string_view kPreferenceRows = R"jsonl({"prompt": "How many legs has a spider?\n", "chosen": "Eight.", "rejected": "I like spiders. They are a kind of animal. Many people fear them."}
{"prompt": "What is the capital of France?\n", "chosen": "Paris.", "rejected": "France is a country in Europe, and it has a capital, as countries do."}
{"prompt": "Is 7 a prime number?\n", "chosen": "Yes: only 1 and 7 divide it.", "rejected": "No."}
{"prompt": "Name a fruit that is yellow.\n", "chosen": "A lemon.", "rejected": "A cucumber, or perhaps another one, who knows."}
{"prompt": "How many minutes has an hour?\n", "chosen": "Sixty.", "rejected": "That depends on how the time is spent, they say."}
{"prompt": "Translate to German: good morning\n", "chosen": "Guten Morgen", "rejected": "Good morning is what people say in the morning."}
{"prompt": "Which is larger, 0.9 or 0.11?\n", "chosen": "0.9", "rejected": "0.11, as it has more digits behind the point."}
{"prompt": "What does H2O stand for?\n", "chosen": "Water.", "rejected": "It stands for many things, and each has its use."}
)jsonl";

constexpr std::array kStarters = {
    Starter{"arithmetic", "sums, with a small model from scratch: learns within minutes, needs no file", kArithmetic, ""},
    Starter{"jsonl", "problems of your own with answers to compare, as in GSM8K", kJsonl, kJsonlRows},
    Starter{"code", "programs that must pass test cases, run in a sandbox", kCode, kCodeRows},
    Starter{"r1-zero", "reasoning by accuracy and format alone, as DeepSeek-R1-Zero", kR1Zero, kR1ZeroRows},
    Starter{"structured", "answers of one form (JSON, length, language), without gold answers", kStructured, kStructuredRows},
    Starter{"preference", "a reward model from pairs of answers, of which one is better", kPreference, kPreferenceRows, "rm", "pairs.jsonl"},
};

}  // namespace

std::span<const Starter> starters() { return kStarters; }

}  // namespace cohort
