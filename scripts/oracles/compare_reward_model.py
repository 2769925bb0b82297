#!/usr/bin/env python3
"""Trains a reward model with `cohort rm`, from a language model and again from what came of it, and compares its scores with transformers'.

    python3 -m venv venv && venv/bin/pip install torch transformers trl
    venv/bin/python scripts/oracles/compare_reward_model.py build/cohort models/SmolLM2-135M-Instruct

Two steps on pairs of messages; then `cohort score` against AutoModelForSequenceClassification of final/, in float32, in one padded batch with
the texts of TRL's apply_chat_template. Exit code 1 when a score differs by more than 1e-4.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
import transformers
from trl.data_utils import apply_chat_template

QUESTIONS = ["What is 2 + 2?", "Name a colour.", "Why is the sky blue?", "Say hello in French."]
GOOD = ["It is 4.", "Blue.", "Air scatters blue light more than red light.", "Bonjour!"]
BAD = ["5", "Banana.", "Because.", "Hello, my friend, how are you today?"]


def user(text):
    return [{"role": "user", "content": text}]


def train(cohort, folder, name, model):
    rows = [{"prompt": user(q), "chosen": good, "rejected": bad} for q, good, bad in zip(QUESTIONS, GOOD, BAD)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {"run": {"name": name, "dir": str(folder)}, "model": {"path": str(model), "dtype": "float32"},
              "data": {"train": str(folder / "pairs.jsonl")}, "rm": {"pairs_per_step": 4, "max_length": 256},
              "optim": {"learning_rate": 1e-5}, "trainer": {"max_steps": 2}}
    (folder / "rm.yaml").write_text(json.dumps(config))
    subprocess.run([cohort, "rm", folder / "rm.yaml", "--quiet"], check=True)
    return folder / name / "final"


def main():
    cohort, base = sys.argv[1], pathlib.Path(sys.argv[2])
    torch.set_num_threads(2)
    worst = 0.0
    with tempfile.TemporaryDirectory() as path:
        folder = pathlib.Path(path)
        for name, start in (("first", base), ("second", folder / "first/final")):
            final = train(cohort, folder, name, start)
            rows = [{"prompt": user(q), "completion": a} for q, answers in zip(QUESTIONS, zip(GOOD, BAD)) for a in answers]
            (folder / "score.yaml").write_text(json.dumps({"reward": [{"name": "model", "path": str(final), "dtype": "float32"}]}))
            lines = subprocess.run([cohort, "score", folder / "score.yaml", "--quiet"], input="".join(json.dumps(r) + "\n" for r in rows),
                                   check=True, capture_output=True, text=True).stdout.splitlines()
            found = [json.loads(line)["rewards"]["model"] for line in lines]
            tokenizer = transformers.AutoTokenizer.from_pretrained(final)
            model = transformers.AutoModelForSequenceClassification.from_pretrained(final, dtype=torch.float32).eval()
            texts = [apply_chat_template({"messages": r["prompt"] + [{"role": "assistant", "content": r["completion"]}]}, tokenizer)["text"] for r in rows]
            batch = tokenizer(text=texts, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False)
            with torch.no_grad():
                expected = model(**batch).logits[:, 0].tolist()
            difference = max(abs(a - b) for a, b in zip(found, expected))
            print(f"{name}: scores {min(expected):.3f} to {max(expected):.3f}, largest difference {difference:.2e}")
            worst = max(worst, difference)
    sys.exit(0 if worst <= 1e-4 else 1)


main()
