"""A run directory of 1000 steps and 10,000 completions, for measuring reports: grown from a real one.

usage: scripts/make_large_run.py RUN OUT
"""

import json
import math
import pathlib
import random
import shutil
import sys

STEPS, FILES, ROWS, TOKENS, GROUP = 1000, 100, 100, 200, 10


def main() -> None:
    run, out = map(pathlib.Path, sys.argv[1:])
    draw = random.Random(1)
    out.mkdir(parents=True)
    shutil.copy(run / "config.yaml", out)
    shutil.copytree(run / "final", out / "final", ignore=shutil.ignore_patterns("*.safetensors"))
    lines = (run / "metrics.jsonl").read_text().splitlines()
    with (out / "metrics.jsonl").open("w") as metrics:
        for step in range(1, STEPS + 1):
            row = json.loads(lines[(step - 1) * len(lines) // STEPS])
            for name, value in row.items():
                if isinstance(value, float) and math.isfinite(value):
                    row[name] = value * (1 + 0.1 * draw.gauss(0, 1))
            row["step"] = step
            metrics.write(json.dumps(row) + "\n")
    sources = sorted((run / "completions").glob("step_*.jsonl"))
    rows = [json.loads(line) for source in sources for line in source.read_text().splitlines()]
    (out / "completions").mkdir()
    for file in range(FILES):
        step = (file + 1) * STEPS // FILES
        with (out / "completions" / f"step_{step}.jsonl").open("w") as written:
            for sample in range(ROWS):
                row = dict(draw.choice(rows))
                row["ids"], row["logprobs"], row["completion"] = [], [], ""
                while len(row["ids"]) < TOKENS:  # longer texts, of several that were sampled
                    more = draw.choice(rows)
                    row["ids"] += more["ids"]
                    row["logprobs"] += more["logprobs"]
                    row["completion"] += more["completion"]
                if sample % GROUP == 0:  # prompts as long as a question of a school book
                    problem, prompt = row["problem"], " ".join(draw.choice(rows)["problem"] for _ in range(40))
                row.pop("prompt", None)
                row.update(step=step, sample=sample % GROUP, problem=problem)
                if sample % GROUP == 0:
                    row["prompt"] = prompt
                written.write(json.dumps(row) + "\n")


main()
