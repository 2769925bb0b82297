#!/usr/bin/env python3
"""Writes what loss and gradient of on-policy distillation should be: advantages of rewards and of a teacher, token by token, in float64 under
torch's autograd.

    python distillation.py tests/golden/loss/distillation.jsonl

One line a batch:
  {"name", "max_completion_length", "sequences": [{"advantage", "logprobs", "old_logprobs", "teacher_logprobs", ...}],
   "expected": [{"keys": {algorithm keys that are not at their defaults}, "loss", "dlogprobs": [[...]], "reverse_kl"}]}
"old_logprobs" were recorded at sampling; "reverse_kl" is the mean over all tokens of old_logprobs - teacher_logprobs.
"""

import random
import sys

import common
import torch
from grpo_loss import float32
from policy_losses import DEFAULTS, formulas, make_batch


def cases():
    for loss in ("dapo", "grpo", "dr_grpo", "gspo", "reinforce"):
        yield from ({"loss_type": loss} | more for more in ({}, {"teacher_coef": 0.25}))
    yield {"loss_type": "cispo", "epsilon_high": 5.0}


def make_batches():
    rng = random.Random(20260213)
    batches = [make_batch(rng, "on policy", 12, [3, 12, 1, 7], 0, 0.1), make_batch(rng, "a step old", 16, [5, 16, 2, 9, 1], 0.3, 0.3)]
    for batch in batches:
        for s in batch["sequences"]:
            s["teacher_logprobs"] = [float32(-rng.expovariate(0.5)) for _ in s["logprobs"]]
    return batches


def expect(batch, changed):
    keys = DEFAULTS | {"teacher_coef": 1.0} | changed
    sequences, difference = [], []
    for s in batch["sequences"]:
        nearer = torch.tensor(s["teacher_logprobs"], dtype=torch.float64) - torch.tensor(s["old_logprobs"], dtype=torch.float64)
        difference.append(-nearer)
        sequences.append(s | {"advantage": s["advantage"] + keys["teacher_coef"] * nearer})
    loss, dlogprobs, _, _ = formulas(batch | {"sequences": sequences}, keys)
    return {"keys": changed, "loss": loss, "dlogprobs": [[float(f"{x:.9g}") for x in row.tolist()] for row in dlogprobs],
            "reverse_kl": torch.cat(difference).mean().item()}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    batches = make_batches()
    for batch in batches:
        batch["expected"] = [expect(batch, case) for case in cases()]
    common.write_jsonl(sys.argv[1], batches)
    print(f"{sum(len(b['expected']) for b in batches)} cases of {len(batches)} batches")


if __name__ == "__main__":
    main()
