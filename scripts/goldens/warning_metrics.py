"""tests/golden/warnings: of a run's metrics what trainer/metric_warnings.cpp looks at.

usage: scripts/goldens/warning_metrics.py RUN NAME     # runs/quickstart quickstart
"""

import json
import pathlib
import sys

NAMES = ("step", "reward", "reward_std", "frac_reward_zero_std", "completions/clipped_ratio", "completions/mean_length", "entropy", "kl",
         "rewards/format/mean", "rewards/json/mean", "learning_rate", "grad_norm")


def main() -> None:
    run, name = sys.argv[1:]
    out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/warnings" / f"{name}.jsonl"
    out.parent.mkdir(exist_ok=True)
    with open(f"{run}/metrics.jsonl") as lines, out.open("w") as kept:
        for line in lines:
            metrics = json.loads(line)
            kept.write(json.dumps({key: float(f"{metrics[key]:.4g}") if key != "step" else metrics[key] for key in NAMES if key in metrics}) + "\n")


main()
