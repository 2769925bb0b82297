#!/usr/bin/env python3
"""Writes what the losses of GRPO's relatives and their gradients should be: the published formulas in float64 under torch's
autograd, one completion at a time; and where TRL has the same loss, its own GRPOTrainer._compute_loss must agree to 1e-12.

    python policy_losses.py tests/golden/loss/policy_losses.jsonl

One line a batch:
  {"name", "max_completion_length", "sequences": [{"advantage", "masked", "logprobs", "old_logprobs", "ref_logprobs", "entropies"}],
   "expected": [{"keys": {algorithm keys that are not at their defaults}, "loss", "dlogprobs": [[...]], "dentropies": [[...]],
                 "kl", "clip_low", "clip_high", "trl": whether TRL agreed}]}
The lists of a sequence have one entry per completion token. "dentropies": derivative by the entropy of each token; empty without a bonus.
"masked": the whole sequence is out of the loss. "kl", "clip_low", "clip_high": means over the unmasked tokens (clip_high of cispo: the
ratio is above the cap and A > 0). No ratio lies within 1e-5 of a bound, so that rounding cannot choose the branch.
"""

import collections
import functools
import random
import sys
import types

import common
import torch
from grpo_loss import float32, padded
from trl import GRPOTrainer

DEFAULTS = {"loss_type": "dapo", "loss_agg_mode": "auto", "importance_sampling_level": "auto", "epsilon": 0.2, "epsilon_high": -1.0,
            "delta": 0.0, "clip_ratio_c": 0.0, "sapo_temperature_pos": 1.0, "sapo_temperature_neg": 1.05, "beta": 0.0,
            "kl_estimator": "k3", "kl_input_clamp_value": 0.0, "kl_output_clamp_value": 0.0, "use_bias_correction_kl": False,
            "entropy_coef": 0.0, "top_entropy_quantile": 1.0}
BOUNDS = (0.8, 1.2, 1.28, 1.5, 3.0, 4.0, 5.0, 1 - 3e-4, 1 + 4e-4)


def cases():
    kl = {"beta": 0.04}
    corrected = kl | {"use_bias_correction_kl": True}
    yield from ({"loss_type": loss} for loss in ("grpo", "bnpo", "dr_grpo", "dapo", "sapo", "gspo", "reinforce"))
    yield from ({"loss_type": loss} | kl for loss in ("grpo", "bnpo", "dr_grpo", "sapo", "gspo", "reinforce"))
    yield from ({"loss_type": loss} | corrected for loss in ("grpo", "dapo", "sapo", "gspo"))
    yield from ({"loss_type": "cispo", "epsilon_high": cap} | more for cap in (1.5, 5.0) for more in ({}, kl, corrected))
    yield {"loss_type": "gspo", "epsilon": 3e-4, "epsilon_high": 4e-4}
    yield from ({"loss_type": loss, "importance_sampling_level": "sequence"} | more
                for loss in ("dapo", "bnpo", "dr_grpo", "sapo") for more in ({}, corrected))
    yield {"loss_type": "cispo", "importance_sampling_level": "sequence", "epsilon_high": 1.5}
    yield from ({"loss_type": loss, "epsilon_high": 0.28, "delta": 4.0} for loss in ("grpo", "dapo", "gspo"))
    yield from ({"loss_type": loss, "clip_ratio_c": 3.0} for loss in ("grpo", "dapo"))
    yield from ({"beta": 0.1, "kl_estimator": k} | more for k in ("k1", "k2", "k3")
                for more in ({}, {"use_bias_correction_kl": True}, {"kl_input_clamp_value": 0.5}, {"kl_output_clamp_value": 0.125}))
    yield from ({"loss_type": "grpo", "loss_agg_mode": mode} for mode in ("seq-mean-token-mean", "token-mean", "seq-mean-token-sum",
                                                                         "seq-mean-token-sum-norm"))
    yield {"loss_type": "reinforce", "loss_agg_mode": "seq-mean-token-sum"}
    yield from ({"loss_type": loss, "top_entropy_quantile": top} | more for loss in ("grpo", "dapo", "gspo") for top in (0.2, 0.5)
                for more in ({}, corrected, {"entropy_coef": 0.01}))
    yield from ({"loss_type": loss, "entropy_coef": 0.01} for loss in ("grpo", "dapo", "dr_grpo"))


def near_bound(ratio):
    return any(abs(ratio - bound) < 1e-5 for bound in BOUNDS)


def make_batch(rng, name, max_completion_length, lengths, drift, ref_drift, masked=(), advantages=None):
    while True:
        sequences = []
        for i, length in enumerate(lengths):
            old = [float32(-rng.expovariate(0.7)) for _ in range(length)]
            new = [float32(min(x + rng.gauss(0, drift), -1e-4)) if drift else x for x in old]
            ref = [float32(min(x + rng.gauss(0, ref_drift), -1e-4)) for x in new]
            sequences.append({"advantage": float32(advantages[i] if advantages else rng.gauss(0, 1)), "masked": i in masked, "logprobs": new,
                              "old_logprobs": old, "ref_logprobs": ref, "entropies": [float32(rng.expovariate(1)) for _ in range(length)]})
        difference = [torch.tensor(s["logprobs"], dtype=torch.float64) - torch.tensor(s["old_logprobs"], dtype=torch.float64) for s in sequences]
        kls = [torch.tensor(s["ref_logprobs"], dtype=torch.float64) - torch.tensor(s["logprobs"], dtype=torch.float64) for s in sequences]
        if not any(near_bound(d.mean().exp().item()) or any(near_bound(x) for x in d.exp().tolist()) for d in difference) and \
           not any(abs(abs(x) - 0.5) < 1e-5 for d in kls for x in d.tolist()):
            return {"name": name, "max_completion_length": max_completion_length, "sequences": sequences}


def make_batches():
    rng = random.Random(20260117)
    return [make_batch(rng, "on policy", 12, [3, 12, 1, 7], 0, 0.1),
            make_batch(rng, "off policy", 16, [5, 16, 2, 9, 1, 11], 0.3, 0.3),
            make_batch(rng, "far off policy, some masked", 20, [8, 14, 3, 20, 1, 6], 1.5, 1.0, masked=(1, 4)),
            make_batch(rng, "one token each", 1, [1] * 6, 0.6, 0.2, advantages=[1.5, -1.5, 0.25, -0.25, 3, -3]),
            make_batch(rng, "negative, ratios far above the clip", 6, [6, 4, 5], 2.5, 0.5, advantages=[-1, -0.5, -2])]


def aggregation(keys):
    if keys["loss_agg_mode"] != "auto":
        return keys["loss_agg_mode"]
    return {"grpo": "seq-mean-token-mean", "gspo": "seq-mean-token-mean", "sapo": "seq-mean-token-mean",
            "dr_grpo": "seq-mean-token-sum-norm"}.get(keys["loss_type"], "token-mean")


def is_sequence_level(keys):
    return keys["importance_sampling_level"] == "sequence" or keys["loss_type"] == "gspo"


def formulas(batch, keys, weights=None):
    """(loss, dlogprobs, dentropies, metrics) by the papers' formulas. weights: of each token's policy term, one tensor a sequence; none: 1."""
    sequences = [s for s in batch["sequences"] if not s["masked"]]
    tokens = sum(len(s["logprobs"]) for s in sequences)
    threshold = -1.0
    if keys["top_entropy_quantile"] < 1:
        every = torch.tensor([e for s in sequences for e in s["entropies"]], dtype=torch.float64)
        threshold = torch.quantile(every, 1 - keys["top_entropy_quantile"]).item()
    low, high = 1 - keys["epsilon"], 1 + (keys["epsilon"] if keys["epsilon_high"] < 0 else keys["epsilon_high"])
    total, active_entropy, active, sums = 0, 0, 0, collections.Counter()
    leaves = []
    for i, s in enumerate(batch["sequences"]):
        logp, entropy = (torch.tensor(s[k], dtype=torch.float64, requires_grad=True) for k in ("logprobs", "entropies"))
        leaves.append((logp, entropy))
        if s["masked"]:
            continue
        a, log_ratio = s["advantage"], logp - torch.tensor(s["old_logprobs"], dtype=torch.float64)
        ratio = (log_ratio.mean().expand_as(logp) if is_sequence_level(keys) else log_ratio).exp()
        if keys["loss_type"] == "cispo":
            policy = -ratio.clamp(max=keys["epsilon_high"]).detach() * a * logp
            sums["high"] += ((ratio > keys["epsilon_high"]) & (a > 0)).sum().item()
        elif keys["loss_type"] == "sapo":
            tau = keys["sapo_temperature_pos"] if a > 0 else keys["sapo_temperature_neg"]
            policy = -4 / tau * torch.sigmoid(tau * (ratio - 1)) * a
        elif keys["loss_type"] == "reinforce":
            policy = -a * logp
        else:
            bounded = ratio.clamp(max=keys["delta"]) if keys["delta"] else ratio
            policy = -torch.minimum(bounded * a, ratio.clamp(low, high) * a)
            if keys["clip_ratio_c"] and a < 0:
                policy = torch.minimum(policy, torch.full_like(policy, -keys["clip_ratio_c"] * a))
            sums["low"] += ((ratio < low) & (a < 0)).sum().item()
            sums["high"] += ((ratio > high) & (a > 0)).sum().item()
        keep = (entropy.detach() >= threshold).double()
        loss = policy * keep * (1 if weights is None else weights[i])
        if keys["beta"]:
            d = torch.tensor(s["ref_logprobs"], dtype=torch.float64) - logp
            if keys["kl_input_clamp_value"]:
                d = d.clamp(-keys["kl_input_clamp_value"], keys["kl_input_clamp_value"])
            k = {"k1": -d, "k2": d * d / 2, "k3": d.exp() - d - 1}[keys["kl_estimator"]]
            if keys["kl_output_clamp_value"]:
                k = k.clamp(-keys["kl_output_clamp_value"], keys["kl_output_clamp_value"])
            if keys["use_bias_correction_kl"]:
                k = k * ratio
            loss = loss + keys["beta"] * k
            sums["kl"] += k.sum().item()
        divisor = {"seq-mean-token-mean": len(batch["sequences"]) * len(logp), "token-mean": tokens,
                   "seq-mean-token-sum": len(batch["sequences"]),
                   "seq-mean-token-sum-norm": len(batch["sequences"]) * batch["max_completion_length"]}[aggregation(keys)]
        total = total + loss.sum() / divisor
        active_entropy = active_entropy + (entropy * keep).sum()
        active += keep.sum().item()
    if keys["entropy_coef"]:
        total = total - keys["entropy_coef"] * active_entropy / active
    total.backward()
    grads = [[(torch.zeros_like(x) if x.grad is None else x.grad) for x in pair] for pair in leaves]
    return total.item(), [g[0] for g in grads], [g[1] for g in grads], {name: sums[name] / tokens for name in ("kl", "low", "high")}


def trl(batch, keys, weights=None):
    """The same by TRL, or None where it has no such loss. No model is run: log-probs and entropies are given. weights: padded."""
    default_kl = keys["kl_estimator"] == "k3" and not keys["kl_input_clamp_value"] and not keys["kl_output_clamp_value"]
    if keys["loss_type"] == "reinforce" or keys["clip_ratio_c"] or not default_kl:
        return None
    loss_type = "grpo" if keys["loss_type"] == "gspo" else keys["loss_type"]
    if aggregation(keys) != aggregation(keys | {"loss_agg_mode": "auto"}):
        return None
    logprobs, entropies = padded(batch, "logprobs").requires_grad_(), padded(batch, "entropies").requires_grad_()
    mask = torch.tensor([[not s["masked"] and i < len(s["logprobs"]) for i in range(logprobs.size(1))] for s in batch["sequences"]]).double()
    identity = lambda tensor, **_: tensor
    trainer = types.SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logprobs, entropies, None),
        aux_loss_enabled=False, top_entropy_quantile=keys["top_entropy_quantile"], off_policy_mask_threshold=None,
        importance_sampling_level="sequence" if is_sequence_level(keys) else "token", beta=keys["beta"], epsilon_low=keys["epsilon"],
        epsilon_high=keys["epsilon"] if keys["epsilon_high"] < 0 else keys["epsilon_high"], loss_type=loss_type, use_vllm=weights is not None,
        vllm_importance_sampling_correction=True,
        max_completion_length=batch["max_completion_length"], current_gradient_accumulation_steps=1,
        _entropy_bonus_enabled=keys["entropy_coef"] != 0, entropy_coef=keys["entropy_coef"], use_adaptive_entropy=False,
        model=types.SimpleNamespace(training=True),
        accelerator=types.SimpleNamespace(num_processes=1, sync_gradients=True, gather=identity, reduce=identity,
                                          pad_across_processes=identity),
        args=types.SimpleNamespace(delta=keys["delta"] or None, use_bias_correction_kl=keys["use_bias_correction_kl"], steps_per_generation=1,
                                   sapo_temperature_pos=keys["sapo_temperature_pos"], sapo_temperature_neg=keys["sapo_temperature_neg"]),
        _metrics={"train": collections.defaultdict(list)})
    trainer.get_high_entropy_mask = functools.partial(GRPOTrainer.get_high_entropy_mask, trainer)
    ones = torch.ones(logprobs.size(0), 1, dtype=torch.long)
    loss = GRPOTrainer._compute_loss(trainer, None, {
        "prompt_ids": ones, "prompt_mask": ones, "completion_ids": torch.ones_like(logprobs, dtype=torch.long),
        "completion_mask": mask, "advantages": torch.tensor([s["advantage"] for s in batch["sequences"]], dtype=torch.float64),
        "old_per_token_logps": padded(batch, "old_logprobs"), "ref_per_token_logps": padded(batch, "ref_logprobs"),
        "num_items_in_batch": mask.sum(), "importance_sampling_ratio": weights})
    loss.backward()
    rows = lambda grad: [(torch.zeros_like(logprobs) if grad is None else grad)[i, :len(s["logprobs"])] for i, s in enumerate(batch["sequences"])]
    return loss.item(), rows(logprobs.grad), rows(entropies.grad)


def expect(batch, changed):
    keys = DEFAULTS | changed
    loss, dlogprobs, dentropies, metrics = formulas(batch, keys)
    other = trl(batch, keys)
    where = (batch["name"], changed)
    if other is not None:
        assert abs(loss - other[0]) < 1e-12 * (1 + abs(loss)), (where, loss, other[0])
        for mine, theirs in ((dlogprobs, other[1]), (dentropies, other[2])):
            assert all(torch.allclose(x, y, rtol=1e-11, atol=1e-14) for x, y in zip(mine, theirs)), (where, mine, theirs)
    digits = lambda rows: [[float(f"{x:.9g}") for x in row.tolist()] for row in rows]
    return {"keys": changed, "loss": loss, "dlogprobs": digits(dlogprobs), "dentropies": digits(dentropies) if keys["entropy_coef"] else [],
            "kl": metrics["kl"], "clip_low": metrics["low"], "clip_high": metrics["high"], "trl": other is not None}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # TRL makes tensors of sapo's temperatures
    batches = make_batches()
    for batch in batches:
        batch["expected"] = [expect(batch, case) for case in cases()]
    common.write_jsonl(sys.argv[1], batches)
    every = [e for b in batches for e in b["expected"]]
    print(f"{len(every)} cases of {len(batches)} batches, {sum(e['trl'] for e in every)} of them also TRL's")


if __name__ == "__main__":
    main()
