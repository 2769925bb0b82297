#!/usr/bin/env python3
"""Writes the texts that the log-prob and greedy comparisons run on: chat and plain text, short and long.

    python make_input.py MODEL_DIR OUT_DIR

input.jsonl        {"ids"}: tokens only, so that a difference is the model's     (over 500 of them)
input_text.jsonl   {"text"} or {"messages"}: the same records through the tokenizer and the chat template
prompts.jsonl      {"ids"} of prompts for greedy continuations, chat prompts with the assistant's turn opened
prompts_text.jsonl {"messages"} or {"prompt"}: the same
"""

import pathlib
import random
import sys

import common

PLAIN = [
    "The",
    "The capital of France is Paris, and the capital of Italy is Rome. Neither of them lies on the coast.",
    "In the beginning there was nothing but a wide grey sea and a wind that never slept. Then, one morning, a fisherman "
    "named Aldo found a bottle with a letter in it. He could not read, so he carried it up the hill to the old teacher, "
    "who put on her glasses, frowned, and began to laugh. \"It is a recipe,\" she said, \"for soup.\" They made the soup "
    "that evening; it was terrible. But the whole village came to taste it, and from then on they ate together every "
    "Sunday, and nobody remembered what it had been like before.",
    "def fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n\n\n"
    "assert [fibonacci(i) for i in range(8)] == [0, 1, 1, 2, 3, 5, 8, 13]\n",
    "{\"name\": \"cohort\", \"ranks\": [0, 1, 2, 3], \"ok\": true, \"loss\": -0.0312, \"note\": null}",
    "Un café naïve à Zürich; 你好，世界！ Привет, мир. مرحبا 😀👍🏽 — e\u0301 \u00bd \u2211x\u1d62",
    "zq xv jjk  8819273 \t\t ;;;; ~~ <b>qwrt</b> \\boxed{\\frac{1}{2}} #### 42\n\n\n   end",
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20",
]
CHATS = [
    [("user", "State the final answer to the following arithmetic problem: 67 + 75 ="), ("assistant", "67 + 75 = 142")],
    [("user", "Hi!"), ("assistant", "Hello! How can I help you today?"), ("user", "What is gravity?"),
     ("assistant", "Gravity is the attraction between masses. It keeps the planets in their orbits around the Sun and "
                   "makes apples fall to the ground.")],
    [("system", "You answer in one word."), ("user", "Which planet is the largest?"), ("assistant", "Jupiter.")],
    [("user", "Write a short poem about the sea."),
     ("assistant", "The sea is deep, the sea is blue,\nIt sings an old song, ever new.\nIt carries ships from shore to "
                   "shore,\nAnd asks for nothing, nothing more.")],
]
PROMPTS = [
    [("user", "What is the capital of France?")],
    [("user", "Write three sentences about the moon.")],
    [("user", "List five fruits.")],
    [("system", "You are a helpful assistant."), ("user", "Explain what a prime number is.")],
    [("user", "Write a Python function that reverses a string.")],
]
PLAIN_PROMPTS = ["Once upon a time", "The quick brown fox", "import numpy as np\n\ndef"]


def messages(turns):
    return [{"role": role, "content": content} for role, content in turns]


def sums(count):
    rng = random.Random(3)
    return [[("user", "State the final answer to the following arithmetic problem: "
              f"{rng.randint(1, 99)} + {rng.randint(1, 99)} =")] for _ in range(count)]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tokenizer, out = common.load_tokenizer(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    texts = [{"text": text} for text in PLAIN] + [{"messages": messages(chat)} for chat in CHATS]
    prompts = [{"messages": messages(turns)} for turns in PROMPTS + sums(8)]
    prompts += [{"prompt": text} for text in PLAIN_PROMPTS]
    common.write_jsonl(out / "input_text.jsonl", texts)
    common.write_jsonl(out / "prompts_text.jsonl", prompts)
    ids = [common.record_ids(record, tokenizer, add_generation_prompt=False) for record in texts]
    prompt_ids = [common.record_ids(record, tokenizer, add_generation_prompt=True) for record in prompts]
    common.write_jsonl(out / "input.jsonl", [{"ids": x} for x in ids])
    common.write_jsonl(out / "prompts.jsonl", [{"ids": x} for x in prompt_ids])
    print(f"{len(ids)} texts of {sum(map(len, ids))} tokens ({min(map(len, ids))} to {max(map(len, ids))}), "
          f"{len(prompt_ids)} prompts of {min(map(len, prompt_ids))} to {max(map(len, prompt_ids))} tokens")


if __name__ == "__main__":
    main()
