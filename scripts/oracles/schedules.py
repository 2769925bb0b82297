#!/usr/bin/env python3
"""Writes the learning rates of transformers' schedulers.

    python schedules.py tests/golden/loss/schedules.jsonl

{"lr_scheduler_type": constant | linear | cosine, "warmup_ratio", "learning_rate", "total", "warmup_steps", "rates"}: rates[i]
is the rate of optimizer step i (0-based) of `total`; warmup_steps is what transformers makes of the ratio,
ceil(total * ratio) in float64. "constant" is transformers' constant_with_warmup, for its plain constant has no warm-up.
"""

import sys

import common
import torch
from transformers import TrainingArguments, get_scheduler

NAMES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}
# Ratios whose float32 is above them (0.1, 0.05, 0.2) ask for one step too many when ceil is taken of the float32.
TOTALS_AND_RATIOS = [(1, 0.0), (2, 0.5), (7, 0.5), (10, 0.0), (10, 0.25), (10, 0.2), (10, 1.0), (20, 0.05), (60, 0.05), (60, 0.1),
                     (100, 0.1), (100, 0.03), (30, 0.03), (5, 0.1)]
RATE = 1e-5


def rates(name, total, warmup_steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler = get_scheduler(NAMES[name], optimizer, num_warmup_steps=warmup_steps, num_training_steps=total)
    found = []
    for _ in range(total):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    records = []
    for name in NAMES:
        for total, ratio in TOTALS_AND_RATIOS:
            # 1.0 and more would be a number of steps there.
            warmup_steps = total if ratio == 1.0 else TrainingArguments(warmup_steps=ratio, use_cpu=True).get_warmup_steps(total)
            records.append({"lr_scheduler_type": name, "warmup_ratio": ratio, "learning_rate": RATE, "total": total,
                            "warmup_steps": warmup_steps, "rates": rates(name, total, warmup_steps)})
    common.write_jsonl(sys.argv[1], records)
    print(f"{len(records)} schedules")


if __name__ == "__main__":
    main()
