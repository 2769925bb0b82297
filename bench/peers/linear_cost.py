#!/usr/bin/env python3
"""Whether cohort's decoding costs as much as it has work: time at more sequences at once, and at more requests.

    python bench/peers/linear_cost.py COHORT MODEL_DIR [ROUNDS=3]      (NEW=32 tokens each, PROMPT=48, THREADS=2, SEQUENCES="64 256 1024", WORK="1 4 16")

Sequences: so many at once, all of one prompt. Work: 64 sequences at once, WORK x 64 requests. For each, the seconds of decoding are fitted by
seconds = a + b * tokens (least squares of relative deviations), and the exponent of seconds ~ tokens^p is given: 1 is linear.
"""

import json
import math
import os
import pathlib
import statistics
import sys
import tempfile

import runs

NEW, PROMPT, THREADS = (int(os.environ.get(name, value)) for name, value in (("NEW", 32), ("PROMPT", 48), ("THREADS", 2)))
SEQUENCES = [int(n) for n in os.environ.get("SEQUENCES", "64 256 1024").split()]
WORK = [int(n) for n in os.environ.get("WORK", "1 4 16").split()]
AT_ONCE, GROUP = 64, 8


def decode_seconds(cohort, model, work, prompts, generations, at_once):
    """Seconds of decoding and the tokens that came of it."""
    file = work / "prompts.jsonl"
    file.write_text("".join(json.dumps({"ids": [500 + (p * 131 + i * 7919) % 40000 for i in range(PROMPT)]}) + "\n" for p in range(prompts)))
    _, _, err = runs.run([cohort, "generate", model, "--input", file, "--output", work / "out.jsonl", "--num-generations", generations,
                          "--max-num-seqs", at_once, "--max-completion-length", NEW, "--min-completion-length", NEW, "--threads", THREADS,
                          "--stats"], {"OMP_NUM_THREADS": "1"})
    tokens = prompts * generations * NEW
    return tokens / runs.stat("decode", err), tokens


def fit(points):
    """(tokens, seconds) -> a, b of seconds = a + b tokens, the largest relative deviation, the exponent."""
    def line(xs, ys, weights):
        total = sum(weights)
        x, y = (sum(w * v for w, v in zip(weights, values)) / total for values in (xs, ys))
        slope = sum(w * (u - x) * (v - y) for w, u, v in zip(weights, xs, ys)) / sum(w * (u - x) ** 2 for w, u in zip(weights, xs))
        return y - slope * x, slope

    xs, ys = zip(*points)
    a, b = line(xs, ys, [1 / y**2 for y in ys])
    deviation = max(abs(a + b * x - y) / y for x, y in points)
    return a, b, deviation, line([math.log(x) for x in xs], [math.log(y) for y in ys], [1] * len(xs))[1]


def main():
    runs.need(len(sys.argv) >= 3, __doc__)
    cohort, model = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    series = {"sequences at once": [(n, (1, n, n)) for n in SEQUENCES],
              f"times {AT_ONCE} requests": [(n, (n * AT_ONCE // GROUP, GROUP, AT_ONCE)) for n in WORK]}
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for name, cases in series.items():
                for n, case in cases:
                    took, tokens = decode_seconds(cohort, model, pathlib.Path(folder), *case)
                    seconds.setdefault((name, n), []).append((tokens, took))
                    print(f"round {number + 1}: {n} {name}: {tokens / took:.0f} tok/s", flush=True)
    print(f"\nTime of decoding, {THREADS} threads, {PROMPT}-token prompts, {NEW} tokens each, medians of {rounds}")
    for name, cases in series.items():
        points = [(seconds[name, n][0][0], statistics.median(s for _, s in seconds[name, n])) for n, _ in cases]
        print(runs.table([name, "tokens", "seconds", "microseconds a token"],
                         [[n, tokens, f"{s:.2f}", f"{1e6 * s / tokens:.0f}"] for (n, _), (tokens, s) in zip(cases, points)]))
        if len(points) > 1:
            a, b, deviation, exponent = fit(points)
            print(f"fit: {a:.3f} s + {1e6 * b:.1f} us a token, largest deviation {100 * deviation:.1f} %; seconds ~ tokens^{exponent:.3f}\n")


if __name__ == "__main__":
    try:
        main()
    except runs.Failed as error:
        sys.exit(f"linear_cost: {error}")
