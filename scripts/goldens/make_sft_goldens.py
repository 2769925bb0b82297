#!/usr/bin/env python3
"""Writes what tests/trainer/sft_golden_test.cpp expects of a step of supervised fine-tuning; torch is the oracle.

    python3 -m venv venv && venv/bin/pip install torch transformers safetensors
    venv/bin/python scripts/goldens/make_sft_goldens.py tests/golden

For each model of tests/golden/families that is named here, sft/NAME.json:
  examples   {"ids", "learnt": [[begin, end], ...]}: texts of several lengths, of which some spans are learnt
  loss, entropy, mean_token_accuracy, grad_norm    over the learnt tokens of all examples together
and sft/NAME.safetensors, the gradients. All of it in float64, with labels of -100 elsewhere, as TRL's SFTTrainer masks them and
transformers' loss divides by num_items_in_batch.
"""

import json
import os
import pathlib
import random
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from safetensors.torch import save_file

MODELS = ["llama3", "qwen3"]


def examples(rng, model):
    """Of each text some tokens are those that the model finds likeliest, so that it is right now and then."""
    made = []
    for spans in ([(3, 9)], [(1, 2)], [(4, 6), (9, 14), (20, 21)], [(30, 47)], [(2, 3), (3, 8)]):
        length = spans[-1][1]
        ids = [rng.randrange(4, 64)]
        while len(ids) < length:
            likeliest = model(torch.tensor([ids])).logits[0, -1].argmax().item()
            # No special tokens: torch gives a padding token no gradient as an input.
            ids.append(likeliest if likeliest >= 4 and rng.random() < 0.4 else rng.randrange(4, 64))
        made.append({"ids": ids, "learnt": [list(span) for span in spans]})
    return made


def main():
    golden = pathlib.Path(sys.argv[1])
    out = golden / "sft"
    out.mkdir(exist_ok=True)
    for name in MODELS:
        rng = random.Random(name)
        model = transformers.AutoModelForCausalLM.from_pretrained(golden / "families" / name, dtype=torch.float64, attn_implementation="eager")
        with torch.no_grad():
            rows = examples(rng, model)
        total = sum(end - begin for row in rows for begin, end in row["learnt"])
        loss = entropy = right = 0.0
        for row in rows:
            ids = torch.tensor([row["ids"]])
            labels = torch.full_like(ids, -100)
            for begin, end in row["learnt"]:
                labels[0, begin:end] = ids[0, begin:end]
            output = model(ids, labels=labels, num_items_in_batch=total)
            output.loss.backward()
            loss += output.loss.item()
            mask = labels[0, 1:] != -100
            logits = output.logits[0, :-1][mask].double()
            logp = torch.log_softmax(logits, -1)
            entropy += -(logp.exp() * logp).sum(-1).sum().item()
            right += (logits.argmax(-1) == labels[0, 1:][mask]).sum().item()
        gradients = {n: p.grad for n, p in model.named_parameters()}
        norm = sum((g.double() ** 2).sum().item() for g in gradients.values()) ** 0.5
        result = {"examples": rows, "loss": loss, "entropy": entropy / total, "mean_token_accuracy": right / total, "grad_norm": norm}
        (out / f"{name}.json").write_text(json.dumps(result) + "\n")
        save_file({n: g.float().contiguous() for n, g in gradients.items()}, out / f"{name}.safetensors")
        print(name, {k: v for k, v in result.items() if k != "examples"})


main()
