#!/usr/bin/env python3
"""Writes group-relative advantages as TRL computes them, by running the very lines of its trainer in float64.

    python advantages.py tests/golden/loss/advantages.jsonl

One line a step: {"name", "num_generations", "weights": [one per reward function], "scores": [[score or null, ...] per
completion], "totals": [weighted sum of a completion's scores that are there, or null when none is], "advantages": {"group":
[...], "none": [...]}, "constant": [one per group: all totals that are there are equal (true for at most one)]}.
Completions of a group are adjacent. scale_rewards group: (r - mean) / (std + 1e-4), std with n - 1; none: r - mean. A
completion without a score has advantage 0 and leaves the mean and the std; so has a group with a single score.
In a constant group cohort promises exactly 0, where TRL may have rounding noise (here it has none).
"""

import inspect
import random
import sys
import textwrap
import types

import common
import torch
from trl import GRPOTrainer
from trl.trainer.utils import nanstd

FIRST_LINE, LAST_LINE = "unscorable_mask = torch.isnan(", "advantages = torch.nan_to_num(advantages"


def trl_lines():
    lines = inspect.getsource(GRPOTrainer._generate_and_score_completions).splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().startswith(FIRST_LINE))
    end = next(i for i, line in enumerate(lines) if line.strip().startswith(LAST_LINE))
    return compile(textwrap.dedent("\n".join(lines[start:end + 1])), "grpo_trainer.py", "exec")


def run_trl(code, scores, weights, num_generations, scale_rewards):
    scores = torch.tensor([[float("nan") if s is None else s for s in row] for row in scores], dtype=torch.float64)
    names = {"torch": torch, "nanstd": nanstd, "rewards_per_func": scores, "num_generations": num_generations,
             "device": scores.device, "self": types.SimpleNamespace(
                 multi_objective_aggregation="sum_then_normalize", scale_rewards=scale_rewards,
                 reward_weights=torch.tensor(weights, dtype=torch.float64))}
    exec(code, names)
    return names["rewards"].tolist(), names["advantages"].tolist()


def make_cases():
    rng = random.Random(5)
    zero_one = lambda n: [[float(rng.random() < 0.4)] for _ in range(n)]
    real = lambda n, k: [[rng.gauss(0, 2) for _ in range(k)] for _ in range(n)]
    holes = lambda rows, p: [[None if rng.random() < p else s for s in row] for row in rows]
    return [
        ("zero or one", 8, [1.0], zero_one(32)),
        ("pairs", 2, [1.0], [[0.0], [1.0], [1.0], [1.0], [0.25], [-0.25]]),
        ("real numbers", 4, [1.0], real(16, 1)),
        ("all equal", 8, [1.0], [[0.3]] * 8 + [[1.0]] * 8 + [[0.1]] * 8),
        ("some missing", 4, [1.0], [[1.0], [None], [0.0], [0.0], [None], [None], [None], [2.0], [None]] + [[None]] * 3
         + [[0.5], [0.5], [None], [0.5]]),
        ("two functions", 4, [1.0, 0.25], real(12, 2)),
        ("two functions, some missing", 4, [0.5, 2.0], holes(real(24, 2), 0.4)),
        ("a penalty", 4, [1.0, -0.1], [[float(rng.random() < 0.5), float(rng.randint(0, 9))] for _ in range(16)]),
        ("large offset", 8, [1.0], [[1e4 + rng.random()] for _ in range(8)]),
        ("tiny differences", 8, [1.0], [[1e-6 * rng.random()] for _ in range(8)]),
    ]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    code, records = trl_lines(), []
    for name, num_generations, weights, scores in make_cases():
        assert len(scores) % num_generations == 0, name
        totals, advantages = None, {}
        for scale_rewards in ("group", "none"):
            totals, advantages[scale_rewards] = run_trl(code, scores, weights, num_generations, scale_rewards)
        totals = [None if t != t else t for t in totals]
        groups = [totals[i:i + num_generations] for i in range(0, len(totals), num_generations)]
        records.append({"name": name, "num_generations": num_generations, "weights": weights, "scores": scores,
                        "totals": totals, "advantages": advantages,
                        "constant": [len({t for t in group if t is not None}) <= 1 for group in groups]})
    common.write_jsonl(sys.argv[1], records)
    print(f"{len(records)} steps, {sum(len(r['scores']) for r in records)} completions")


if __name__ == "__main__":
    main()
