#!/usr/bin/env python3
"""Writes the advantages of whole steps in float64: by the very lines of TRL's GRPO and RLOO trainers where they have them, and by the
formulas of REINFORCE++ (token-level whitening, as in verl's reinforce_plus_plus).

    python step_advantages.py tests/golden/loss/step_advantages.jsonl

One line a step: {"name", "num_generations", "weights", "scores": [[score or null, ...] per completion], "tokens": [length per
completion], "penalties": [[per token] per completion] or [], "expected": [{"keys": {algorithm keys}, "advantages": [per completion],
"token_advantages": [[...]] or [], "penalized": whether the penalties count}]}. Penalties are what the KL takes from the reward: a whole completion's for all but REINFORCE++.
A completion without a score has advantage 0. "advantages" of REINFORCE++ with penalties are the means over tokens.
"""

import inspect
import random
import sys
import textwrap
import types

import common
import torch
from trl import GRPOTrainer, RLOOTrainer
from trl.trainer.utils import nanstd


def lines_of(trainer, first, last, file):
    lines = inspect.getsource(trainer._generate_and_score_completions).splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().startswith(first))
    end = next(i for i, line in enumerate(lines) if line.strip().startswith(last))
    return compile(textwrap.dedent("\n".join(lines[start:end + 1])), file, "exec")


GRPO = lines_of(GRPOTrainer, "unscorable_mask = torch.isnan(", "advantages = torch.nan_to_num(advantages", "grpo_trainer.py")
RLOO = lines_of(RLOOTrainer, "unscorable_mask = torch.isnan(", "advantages = torch.nan_to_num(advantages", "rloo_trainer.py")


def tensor(step):
    return torch.tensor([[float("nan") if s is None else s for s in row] for row in step["scores"]], dtype=torch.float64)


def run_grpo(step, scale, aggregation="sum_then_normalize"):
    names = {"torch": torch, "nanstd": nanstd, "rewards_per_func": tensor(step), "num_generations": step["num_generations"],
             "device": "cpu", "self": types.SimpleNamespace(multi_objective_aggregation=aggregation, scale_rewards=scale,
                                                            reward_funcs=step["weights"], reward_weights=torch.tensor(step["weights"], dtype=torch.float64))}
    exec(GRPO, names)
    return names["advantages"].tolist()


def run_rloo(step, penalized):
    lengths = torch.tensor(step["tokens"])
    mask = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).double()
    kl = torch.zeros_like(mask)
    if penalized:
        for i, row in enumerate(step["penalties"]):
            kl[i, :len(row)] = torch.tensor(row, dtype=torch.float64)
    names = {"torch": torch, "nanstd": nanstd, "rewards_per_func": tensor(step), "num_generations": step["num_generations"],
             "device": "cpu", "gather": lambda x: x, "old_per_token_logps": kl, "ref_per_token_logps": torch.zeros_like(kl),
             "completion_mask": mask, "self": types.SimpleNamespace(
                 reward_clip_range=None, beta=1.0 if penalized else 0.0, normalize_advantages=False,
                 reward_weights=torch.tensor(step["weights"], dtype=torch.float64))}
    exec(RLOO, names)
    return names["advantages"].tolist()


def totals(step):
    rows = []
    for row in step["scores"]:
        there = [w * s for w, s in zip(step["weights"], row) if s is not None]
        rows.append(sum(there) if there else None)
    return rows


def plain(step, baseline, scale):
    """batch, none and rloo with a scale: straight from the formulas."""
    rewards = totals(step)
    there = torch.tensor([r for r in rewards if r is not None], dtype=torch.float64)
    out, size = [], step["num_generations"]
    for i, r in enumerate(rewards):
        if r is None:
            out.append(0.0)
            continue
        group = [x for x in rewards[i // size * size:(i // size + 1) * size] if x is not None]
        against = {"batch": there.mean().item(), "none": 0.0,
                   "rloo": (sum(group) - r) / (len(group) - 1) if len(group) > 1 else r}[baseline]
        divisor = {"batch": there.std().item() + 1e-4, "none": 1.0,
                   "group": torch.tensor(group, dtype=torch.float64).std().item() + 1e-4 if len(group) > 1 else 1.0}[scale]
        out.append((r - against) / divisor)
    return out


def reinforce_plus_plus(step, group_baseline, penalized):
    """(means over tokens, per token): the return of token t is the reward, less the penalties from t on; whitened over all tokens."""
    rewards, size, values = totals(step), step["num_generations"], []
    for i, r in enumerate(rewards):
        if r is None:
            values.append(None)
            continue
        group = [x for x in rewards[i // size * size:(i // size + 1) * size] if x is not None]
        base = r - sum(group) / len(group) if group_baseline else r
        row = [base - (sum(step["penalties"][i][t:]) if penalized else 0.0) for t in range(step["tokens"][i])]
        values.append(torch.tensor(row, dtype=torch.float64))
    every = torch.cat([v for v in values if v is not None])
    white = [torch.zeros(step["tokens"][i], dtype=torch.float64) if v is None else (v - every.mean()) * torch.rsqrt(every.var() + 1e-8)
             for i, v in enumerate(values)]
    return [w.mean().item() for w in white], [w.tolist() for w in white]


def make_steps():
    rng = random.Random(11)
    real = lambda n, k: [[rng.gauss(0, 2) for _ in range(k)] for _ in range(n)]
    holes = lambda rows, p: [[None if rng.random() < p else s for s in row] for row in rows]
    steps = [("zero or one", 8, [1.0], [[float(rng.random() < 0.4)] for _ in range(32)]), ("real numbers", 4, [1.0], real(16, 1)),
             ("pairs", 2, [1.0], real(8, 1)), ("three functions", 4, [1.0, 0.25, -0.5], real(16, 3)),
             ("two functions, some missing", 4, [0.5, 2.0], holes(real(24, 2), 0.3))]
    out = []
    for name, size, weights, scores in steps:
        tokens = [rng.randint(1, 6) for _ in scores]
        out.append({"name": name, "num_generations": size, "weights": weights, "scores": scores, "tokens": tokens,
                    "penalties": [[rng.gauss(0, 0.05) for _ in range(n)] for n in tokens]})
    return out


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    steps = make_steps()
    for step in steps:
        add = lambda keys, advantages, tokens=(), penalized=False: expected.append(
            {"keys": keys, "advantages": advantages, "token_advantages": list(tokens), "penalized": penalized})
        expected = step["expected"] = []
        for scale in ("group", "batch", "none"):
            add({"scale_rewards": scale}, run_grpo(step, scale))
        add({"multi_objective_aggregation": "normalize_then_sum"}, run_grpo(step, "group", "normalize_then_sum"))
        for penalized in (False, True):
            add({"advantage": "rloo"}, run_rloo(step, penalized), penalized=penalized)
        assert torch.allclose(torch.tensor(run_rloo(step, False)), torch.tensor(plain(step, "rloo", "none")), atol=1e-12)
        for baseline, scale in (("rloo", "batch"), ("rloo", "group"), ("batch", "batch"), ("batch", "none"), ("none", "none"), ("none", "batch")):
            add({"advantage": baseline, "scale_rewards": scale}, plain(step, baseline, scale))
        for name, group_baseline in (("reinforce_plus_plus", False), ("reinforce_plus_plus_baseline", True)):
            for penalized in (False, True):
                means, tokens = reinforce_plus_plus(step, group_baseline, penalized)
                add({"advantage": name}, means, tokens if penalized else (), penalized)
    common.write_jsonl(sys.argv[1], steps)
    print(f"{sum(len(s['expected']) for s in steps)} cases of {len(steps)} steps")


if __name__ == "__main__":
    main()
