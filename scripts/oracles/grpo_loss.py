#!/usr/bin/env python3
"""Writes what GRPO's loss and its gradient should be: TRL's own GRPOTrainer._compute_loss in float64, checked against the
published formulas under torch's autograd.

    python grpo_loss.py tests/golden/loss/grpo_loss.jsonl

One line a batch:
  {"name", "max_completion_length",
   "sequences": [{"advantage", "masked", "logprobs": [...], "old_logprobs": [...], "ref_logprobs": [...]}, ...],
   "expected": [{"loss_type": grpo | dapo | dr_grpo, "beta", "epsilon", "epsilon_high", "loss",
                 "dlogprobs": [[...], ...], "kl", "clip_low", "clip_high"}, ...]}
The lists of a sequence have one entry per completion token (ragged, no padding). Every input is a float32, so that a float32
program starts from the same numbers. "masked": the whole sequence is out of the loss (mask_truncated_completions).

Conventions, the same as trainer/loss.h: r = exp(logprob - old), loss of a token = -min(r A, clip(r, 1 - epsilon,
1 + epsilon_high) A) + beta k3; k3 = exp(ref - logprob) - (ref - logprob) - 1 is NOT multiplied by r (TRL's default does that:
use_bias_correction_kl, here off). The batch is the whole step, normalisers are global:
  grpo     mean over all sequences, masked ones too, of the mean over a sequence's tokens
  dapo     sum over tokens / number of unmasked tokens
  dr_grpo  sum over tokens / (number of sequences, masked ones too, * max_completion_length)
"loss" is that total, "dlogprobs" its derivative with respect to every logprob (0 in masked sequences); "kl", "clip_low",
"clip_high": TRL's metrics, means over the unmasked tokens (clip_low: r < 1 - epsilon and A < 0).
No ratio lies within 1e-5 of a clipping bound, so that rounding cannot choose the branch.
"""

import collections
import random
import sys
import types

import common
import torch
from trl import GRPOTrainer

LOSS_TYPES = ("grpo", "dapo", "dr_grpo")
SETTINGS = [(beta, 0.2, high) for beta in (0.0, 0.04) for high in (0.2, 0.28)]
BOUND_MARGIN = 1e-5


def float32(x):
    return torch.tensor(x, dtype=torch.float32).item()


def near_bound(ratio):
    return any(abs(ratio - 1 - bound) < BOUND_MARGIN for bound in (-0.2, 0.2, 0.28))


def make_sequence(rng, length, advantage, drift, ref_drift, masked=False):
    """Log-probs as a policy has them: most near 0, some far below; `drift` is how far it moved from the old one."""
    sequence = {"advantage": float32(advantage), "masked": masked, "logprobs": [], "old_logprobs": [], "ref_logprobs": []}
    for _ in range(length):
        while True:
            old = float32(-rng.expovariate(0.7))
            new = float32(min(old + rng.gauss(0, drift), -1e-4)) if drift else old
            if not near_bound(torch.tensor(new - old, dtype=torch.float64).exp().item()):
                break
        sequence["old_logprobs"].append(old)
        sequence["logprobs"].append(new)
        sequence["ref_logprobs"].append(float32(min(new + rng.gauss(0, ref_drift), -1e-4)))
    return sequence


def make_batches():
    rng = random.Random(20250117)
    normal = lambda: rng.gauss(0, 1)
    lengths = lambda count, most: [rng.randint(1, most) for _ in range(count)]
    return [
        {"name": "on policy", "max_completion_length": 12,
         "sequences": [make_sequence(rng, n, normal(), 0, 0.1) for n in lengths(6, 12)]},
        {"name": "off policy", "max_completion_length": 16,
         "sequences": [make_sequence(rng, n, normal(), 0.3, 0.3) for n in lengths(8, 16)]},
        {"name": "far off policy, some masked", "max_completion_length": 20,
         "sequences": [make_sequence(rng, n, normal(), 1.5, 1.0, masked=i in (1, 4)) for i, n in enumerate(lengths(8, 14))]},
        {"name": "no signal but the reference", "max_completion_length": 5,
         "sequences": [make_sequence(rng, n, 0.0, 0.2, 0.2) for n in lengths(4, 5)]},
        {"name": "one token each", "max_completion_length": 1,
         "sequences": [make_sequence(rng, 1, advantage, 0.6, 0.2) for advantage in (1.5, -1.5, 0.25, -0.25, 3, -3)]},
        {"name": "one sequence", "max_completion_length": 64, "sequences": [make_sequence(rng, 24, -0.8, 0.4, 0.5)]},
    ]


def padded(batch, key):
    rows = [torch.tensor(s[key], dtype=torch.float64) for s in batch["sequences"]]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1.0)


def trl_loss(batch, loss_type, beta, epsilon, epsilon_high):
    """(loss, gradient, metrics) by TRL. The trainer is a stand-in: no model is run, the log-probs are given."""
    logprobs = padded(batch, "logprobs").requires_grad_()
    mask = torch.tensor([[not s["masked"] and i < len(s["logprobs"]) for i in range(logprobs.size(1))]
                         for s in batch["sequences"]]).double()
    identity = lambda tensor, **_: tensor
    trainer = types.SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logprobs, torch.zeros_like(logprobs), None),
        aux_loss_enabled=False, top_entropy_quantile=1.0, off_policy_mask_threshold=None, importance_sampling_level="token",
        beta=beta, epsilon_low=epsilon, epsilon_high=epsilon_high, loss_type=loss_type, use_vllm=False,
        max_completion_length=batch["max_completion_length"], current_gradient_accumulation_steps=1,
        _entropy_bonus_enabled=False, model=types.SimpleNamespace(training=True),
        accelerator=types.SimpleNamespace(num_processes=1, gather=identity, reduce=identity),
        args=types.SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1),
        _metrics={"train": collections.defaultdict(list)})
    ones = torch.ones(logprobs.size(0), 1, dtype=torch.long)
    loss = GRPOTrainer._compute_loss(trainer, None, {
        "prompt_ids": ones, "prompt_mask": ones, "completion_ids": torch.ones_like(logprobs, dtype=torch.long),
        "completion_mask": mask, "advantages": torch.tensor([s["advantage"] for s in batch["sequences"]], dtype=torch.float64),
        "old_per_token_logps": padded(batch, "old_logprobs"), "ref_per_token_logps": padded(batch, "ref_logprobs"),
        "num_items_in_batch": mask.sum()})
    loss.backward()
    return loss.item(), logprobs.grad, {key: values[0] for key, values in trainer._metrics["train"].items()}


def formula_loss(batch, loss_type, beta, epsilon, epsilon_high):
    """(loss, gradient rows) from the formulas alone, one sequence at a time."""
    leaves, total = [], torch.zeros((), dtype=torch.float64)
    sequences = batch["sequences"]
    tokens = sum(len(s["logprobs"]) for s in sequences if not s["masked"])
    for s in sequences:
        logprobs = torch.tensor(s["logprobs"], dtype=torch.float64, requires_grad=True)
        leaves.append(logprobs)
        if s["masked"]:
            continue
        ratio = (logprobs - torch.tensor(s["old_logprobs"], dtype=torch.float64)).exp()
        clipped = ratio.clamp(1 - epsilon, 1 + epsilon_high)
        d = torch.tensor(s["ref_logprobs"], dtype=torch.float64) - logprobs
        token_losses = -torch.minimum(ratio * s["advantage"], clipped * s["advantage"]) + beta * (d.exp() - d - 1)
        divisor = {"grpo": len(sequences) * len(logprobs), "dapo": tokens,
                   "dr_grpo": len(sequences) * batch["max_completion_length"]}[loss_type]
        total = total + token_losses.sum() / divisor
    total.backward()
    return total.item(), [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]


def expect(batch, loss_type, beta, epsilon, epsilon_high):
    loss, gradient, metrics = trl_loss(batch, loss_type, beta, epsilon, epsilon_high)
    rows = [row[:len(s["logprobs"])] for row, s in zip(gradient, batch["sequences"])]
    loss_again, rows_again = formula_loss(batch, loss_type, beta, epsilon, epsilon_high)
    assert abs(loss - loss_again) < 1e-13, (batch["name"], loss_type, loss, loss_again)
    assert all(torch.allclose(x, y, rtol=1e-12, atol=1e-15) for x, y in zip(rows, rows_again)), (batch["name"], loss_type)
    return {"loss_type": loss_type, "beta": beta, "epsilon": epsilon, "epsilon_high": epsilon_high, "loss": loss,
            "dlogprobs": [[float(f"{x:.10g}") for x in row.tolist()] for row in rows],
            "kl": metrics.get("kl", 0.0), "clip_low": metrics["clip_ratio/low_mean"],
            "clip_high": metrics["clip_ratio/high_mean"]}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    batches = make_batches()
    for batch in batches:
        batch["expected"] = [expect(batch, loss_type, *setting) for loss_type in LOSS_TYPES for setting in SETTINGS]
    common.write_jsonl(sys.argv[1], batches)
    clipped = sum(e["clip_low"] > 0 for b in batches for e in b["expected"])
    print(f"{sum(len(b['expected']) for b in batches)} cases of {len(batches)} batches, {clipped} of them with clipped tokens; "
          "TRL and the formulas agree")


if __name__ == "__main__":
    main()
