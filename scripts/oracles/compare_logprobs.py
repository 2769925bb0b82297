#!/usr/bin/env python3
"""Compares two outputs of `logprobs` (cohort's or the oracle's) on the same input.

    python compare_logprobs.py A.jsonl B.jsonl [--max-difference 2e-3]

Prints the largest and the mean difference of the log-probs and entropies; exit code 1 when a log-prob differs by more than
the limit, when ids differ or when a record failed.
"""

import argparse
import json
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def differences(a, b, key):
    """(difference, record, position, value in a, value in b) of every position that has a value."""
    found = []
    for r, (x, y) in enumerate(zip(a, b)):
        assert len(x[key]) == len(y[key]) == len(x["ids"]), f"record {r}: {key} has the wrong length"
        assert [v is None for v in x[key]] == [v is None for v in y[key]], f"record {r}: null in one {key} only"
        found += [(abs(p - q), r, i, p, q) for i, (p, q) in enumerate(zip(x[key], y[key])) if p is not None]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--max-difference", type=float, default=2e-3)
    args = parser.parse_args()
    a, b = read(args.a), read(args.b)
    if len(a) != len(b):
        sys.exit(f"{len(a)} records against {len(b)}")
    bad = [f"record {r}: {x.get('error') or y.get('error') or 'other ids: ' + str(x['ids']) + ' ' + str(y['ids'])}"
           for r, (x, y) in enumerate(zip(a, b)) if "error" in x or "error" in y or x["ids"] != y["ids"]]
    if bad:
        sys.exit("\n".join(bad))
    worst = 0.0
    for key in ("logprobs", "entropy"):
        found = differences(a, b, key)
        assert found, "nothing to compare"
        difference, record, position, p, q = max(found)
        mean = sum(f[0] for f in found) / len(found)
        print(f"{key}: {len(found)} values, max difference {difference:.3e} (record {record}, token {position}: {p:.6f} "
              f"against {q:.6f}), mean difference {mean:.3e}")
        if key == "logprobs":
            worst = difference
    sys.exit(not worst <= args.max_difference)


if __name__ == "__main__":
    main()
