#!/usr/bin/env python3
"""Writes what losses and gradients should be of completions that an older policy sampled: truncated importance sampling and masking
in float64 under torch's autograd; with the ratio to the policy that the update begins with, TRL's own _compute_loss must agree to 1e-12.

    python rollout_correction.py tests/golden/loss/rollout_correction.jsonl

One line a batch:
  {"name", "max_completion_length", "sequences": [{"advantage", "masked", "logprobs", "old_logprobs", "recorded", "ref_logprobs", "entropies"}],
   "expected": [{"keys": {algorithm keys that are not at their defaults}, "loss", "dlogprobs": [[...]], "weights": [[...]], "trl"}]}
"old_logprobs" are of the policy that the update begins with, "recorded" of the one that sampled. No ratio lies within 1e-5 of a bound.
"""

import math
import random
import sys

import common
import torch
from grpo_loss import float32
from policy_losses import DEFAULTS, formulas, make_batch, trl

MODES = ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask")
BOUNDS = (2.0, 3.0, 0.5, 0.25, 1.25)


def cases():
    for mode in MODES:
        for bounds in ({}, {"rollout_correction_max": 1.25, "rollout_correction_min": 0.5}, {"rollout_correction_max": 3.0, "rollout_correction_min": 0.25}):
            yield {"rollout_correction": mode} | bounds
        yield from ({"rollout_correction": mode, "loss_type": loss} for loss in ("grpo", "dr_grpo", "sapo", "gspo", "reinforce"))
        yield {"rollout_correction": mode, "loss_type": "cispo", "epsilon_high": 5.0}
        yield {"rollout_correction": mode, "beta": 0.04}
    for mode in ("token_mask", "sequence_mask"):
        yield from ({"rollout_correction": mode, "old_policy": "recorded", "loss_type": loss} for loss in ("dapo", "gspo"))
    yield {"old_policy": "proximal"}


def make_batches():
    rng = random.Random(20260212)
    batches = [make_batch(rng, "a step old", 12, [3, 12, 1, 7, 5], 0.1, 0.1), make_batch(rng, "far", 14, [8, 14, 3, 10, 1, 6], 0.6, 0.5, masked=(1,))]
    for batch, drift in zip(batches, (0.15, 0.7)):
        for s in batch["sequences"]:
            while True:
                s["recorded"] = [float32(min(x + rng.gauss(0, drift), -1e-4)) for x in s["old_logprobs"]]
                logs = [x - y for x, y in zip(s["old_logprobs"], s["recorded"])]
                ratios = [math.exp(x) for x in logs + [sum(logs)]]
                of_recorded = [math.exp(x - y) for x, y in zip(s["logprobs"], s["recorded"])]
                mean = math.exp(sum(x - y for x, y in zip(s["logprobs"], s["recorded"])) / len(logs))
                if not any(abs(r - b) < 1e-5 for r in ratios for b in BOUNDS) and \
                   not any(abs(r - b) < 1e-5 for r in of_recorded + [mean] for b in (0.8, 1.2, 5.0)):
                    break
    return batches


def weights_of(sequence, keys):
    """One weight a token, as in TRL's _generate_and_score_completions."""
    mode = keys["rollout_correction"]
    difference = torch.tensor(sequence["old_logprobs"], dtype=torch.float64) - torch.tensor(sequence["recorded"], dtype=torch.float64)
    if mode == "none":
        return torch.ones_like(difference)
    if mode.startswith("sequence"):
        difference = difference.sum().expand_as(difference)
    low, high = keys["rollout_correction_min"], keys["rollout_correction_max"]
    ratio = difference.exp()
    if mode.endswith("truncate"):
        return ratio.clamp(low, high)
    outside = (ratio < low) | (ratio > high)
    inside = torch.ones_like(ratio) if keys["old_policy"] == "recorded" else ratio
    return inside.masked_fill(outside, 0.0)


def expect(batch, changed):
    keys = DEFAULTS | {"old_policy": "auto", "rollout_correction": "none", "rollout_correction_max": 2.0, "rollout_correction_min": 0.0} | changed
    recorded = keys["old_policy"] == "recorded"
    weights = [weights_of(s, keys) for s in batch["sequences"]]
    of_loss = batch | {"sequences": [s | {"old_logprobs": s["recorded"]} if recorded else s for s in batch["sequences"]]}
    loss, dlogprobs, _, _ = formulas(of_loss, keys, weights)
    other = None
    if keys["old_policy"] == "auto":
        longest = max(len(w) for w in weights)
        other = trl(of_loss, keys, torch.stack([torch.nn.functional.pad(w, (0, longest - len(w)), value=1.0) for w in weights]))
    if other is not None:
        assert abs(loss - other[0]) < 1e-12 * (1 + abs(loss)), (batch["name"], changed, loss, other[0])
        assert all(torch.allclose(x, y, rtol=1e-11, atol=1e-14) for x, y in zip(dlogprobs, other[1])), (batch["name"], changed)
    digits = lambda rows: [[float(f"{x:.9g}") for x in row.tolist()] for row in rows]
    return {"keys": changed, "loss": loss, "dlogprobs": digits(dlogprobs), "weights": digits(weights), "trl": other is not None}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    batches = make_batches()
    for batch in batches:
        batch["expected"] = [expect(batch, case) for case in cases()]
    common.write_jsonl(sys.argv[1], batches)
    every = [e for b in batches for e in b["expected"]]
    print(f"{len(every)} cases of {len(batches)} batches, {sum(e['trl'] for e in every)} of them also TRL's")


if __name__ == "__main__":
    main()
