#!/usr/bin/env python3
"""Writes what the statistics of an evaluation should be, exactly.

    python eval_statistics.py tests/golden/eval/statistics.jsonl

{"n", "c", "k", "numerator", "denominator", "pass_at_k"}: 1 - C(n-c, k) / C(n, k) (Chen et al. 2021) as a fraction (in texts, as they
are long) and its nearest double. {"successes", "trials", "low", "high"}: Wilson's 95 % interval, computed with 50 digits.
Needs nothing but Python's own library.
"""

import decimal
import fractions
import json
import math
import random
import statistics
import sys


def pass_at_k(n, c, k):
    return 1 - fractions.Fraction(math.comb(n - c, k), math.comb(n, k))


def wilson(successes, trials):
    z = decimal.Decimal(statistics.NormalDist().inv_cdf(0.975))
    n, p = decimal.Decimal(trials), decimal.Decimal(successes) / decimal.Decimal(trials)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)).sqrt()
    return float(middle - half), float(middle + half)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    decimal.getcontext().prec = 50
    draw = random.Random(5)
    cases = [(n, c, k) for n in range(1, 9) for c in range(n + 1) for k in range(1, n + 1)]
    for n in (16, 64, 200, 1000, 4096):
        cases += [(n, c, k) for c in (0, 1, n // 2, n - 1, n) for k in (1, 2, n // 2, n)]
        cases += [(n, draw.randint(0, n), draw.randint(1, n)) for _ in range(20)]
    with open(sys.argv[1], "w") as out:
        for n, c, k in cases:
            exact = pass_at_k(n, c, k)
            out.write(json.dumps({"n": n, "c": c, "k": k, "numerator": str(exact.numerator) if n <= 64 else "",
                                  "denominator": str(exact.denominator) if n <= 64 else "", "pass_at_k": float(exact)}) + "\n")
        for trials in (1, 2, 7, 30, 500, 1319, 100000):
            for successes in sorted({0, 1, trials // 3, trials // 2, trials - 1, trials}):
                low, high = wilson(successes, trials)
                out.write(json.dumps({"successes": successes, "trials": trials, "low": low, "high": high}) + "\n")


if __name__ == "__main__":
    main()
