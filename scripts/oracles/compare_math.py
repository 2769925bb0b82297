#!/usr/bin/env python3
"""Compares the math reward with math-verify and with TRL's accuracy reward on labelled pairs.

    python3 scripts/oracles/compare_math.py VERDICTS [--pairs tests/golden/math/pairs.jsonl ...] [--differences FILE.md]

VERDICTS is build/bench/math_verdicts (-DCOHORT_BENCH=ON). Needs math-verify 0.9. math-verify gets the gold wrapped in a box,
since a bare one often parses to nothing, and a second time each answer by itself in a box, so that extraction plays no part; TRL's reward gets the raw column, as its users give it, and is its code of
version 1.16 (trl/rewards/accuracy_rewards.py), written out here so that trl need not be installed. A gold that a checker cannot read counts
as wrong. Prints a table; --differences lists each pair that cohort and math-verify judge differently, with who is right.
"""

import argparse
import collections
import json
import subprocess
import sys

from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify


def math_verify(row):
    gold = row["gold"] if "\\boxed" in row["gold"] or "####" in row["gold"] else f"\\boxed{{{row['gold'].strip('$')}}}"
    wanted = parse(gold)
    return float(verify(wanted, parse(row["completion"]))) if wanted else None


def math_verify_boxed(row):
    """Without extraction: the answer alone, in a box, which math-verify reads best."""
    return math_verify({**row, "completion": f"$\\boxed{{{row['answer']}}}$"} if "answer" in row else row)


def trl_accuracy(row):
    wanted = parse(row["gold"])
    if not wanted:
        return None
    config = LatexExtractionConfig(normalization_config=NormalizationConfig(units=True), boxed_match_priority=0, try_extract_without_anchor=False)
    return float(verify(wanted, parse(row["completion"], extraction_config=[config], extraction_mode="first_match")))


def cohort(program, rows):
    lines = "".join(json.dumps({"gold": r["gold"], "completion": r["completion"]}) + "\n" for r in rows)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def percent(results, rows):
    right = sum(s is not None and (s == 1.0) == r["equal"] for s, r in zip(results, rows))
    return f"{right} ({100 * right / len(rows):.1f} %)"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--pairs", nargs="+", default=["tests/golden/math/pairs.jsonl", "tests/golden/math/heldout.jsonl"])
    parser.add_argument("--differences")
    arguments = parser.parse_args()
    listing = []
    for name in arguments.pairs:
        rows = [json.loads(line) for line in open(name)]
        verdicts = cohort(arguments.program, rows)
        results = {"cohort": [v["score"] for v in verdicts], "math-verify": [], "math-verify, answer in a box": [], "TRL accuracy": []}
        for row in rows:
            results["math-verify"].append(math_verify(row))
            results["math-verify, answer in a box"].append(math_verify_boxed(row))
            results["TRL accuracy"].append(trl_accuracy(row))
        print(f"\n{name}: {len(rows)} pairs\n")
        print("| checker | right | yes, wrongly | no, wrongly | gold unreadable |\n|---|---|---|---|---|")
        for checker, scores in results.items():
            yes = sum(s == 1.0 and not r["equal"] for s, r in zip(scores, rows))
            no = sum(s == 0.0 and r["equal"] for s, r in zip(scores, rows))
            print(f"| {checker} | {percent(scores, rows)} | {yes} | {no} | {sum(s is None for s in scores)} |")
        kinds = collections.Counter(r["kind"] for r in rows)
        print("\n| kind | pairs | " + " | ".join(results) + " |\n|---|---|" + "---|" * len(results))
        for kind, count in sorted(kinds.items()):
            chosen = [i for i, r in enumerate(rows) if r["kind"] == kind]
            cells = [sum(s[i] is not None and (s[i] == 1.0) == rows[i]["equal"] for i in chosen) for s in results.values()]
            print(f"| {kind} | {count} | " + " | ".join(map(str, cells)) + " |")
        sys.stdout.flush()
        for row, verdict, other in zip(rows, verdicts, results["math-verify"]):
            if verdict["score"] == other:
                continue
            mine = verdict["score"] is not None and (verdict["score"] == 1.0) == row["equal"]
            text = row["completion"].replace("\n", " ").replace("|", "\\|").replace("`", "'")
            gold = row["gold"].replace("\n", " ").replace("|", "\\|").replace("`", "'")
            text = text if len(text) <= 90 else "..." + text[-87:]
            gold = gold if len(gold) <= 60 else "..." + gold[-57:]
            listing.append(f"| {row['kind']} | `{gold}` | `{text}` | {'equal' if row['equal'] else 'different'} | {verdict['score']:.0f} | "
                           f"{'unreadable' if other is None else format(other, '.0f')} | {'cohort' if mine else 'math-verify'} |" if verdict["score"] is not None else
                           f"| {row['kind']} | `{gold}` | `{text}` | {'equal' if row['equal'] else 'different'} | unreadable | {other} | math-verify |")
    if arguments.differences:
        with open(arguments.differences, "w") as out:
            out.write("# Where the math reward and math-verify 0.9 differ\n\nMade by `scripts/oracles/compare_math.py` from the labelled pairs in this folder; the label is how the pair was made.\n\n"
                      "| kind | gold | completion (its end) | label | cohort | math-verify | who is right |\n|---|---|---|---|---|---|---|\n")
            out.writelines(line + "\n" for line in listing)


if __name__ == "__main__":
    main()
