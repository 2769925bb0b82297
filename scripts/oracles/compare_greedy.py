#!/usr/bin/env python3
"""Compares greedy continuations (of `generate --temperature 0` or greedy.py) on the same prompts; exit code 1 if one differs.

    python compare_greedy.py ORACLE.jsonl OTHER.jsonl
"""

import json
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def compare(prompt, mine, other):
    """What differs, in words, or nothing."""
    for i, (x, y) in enumerate(zip(mine["ids"], other["ids"])):
        if x != y:
            gap = f", where the best token leads by {mine['gaps'][i]:.2e} nats" if "gaps" in mine else ""
            return f"prompt {prompt}: token {i} is {x} against {y}{gap}"
    if len(mine["ids"]) != len(other["ids"]):
        return f"prompt {prompt}: {len(mine['ids'])} tokens against {len(other['ids'])}"
    for key in ("text", "finish_reason"):
        if mine[key] != other[key]:
            return f"prompt {prompt}: {key} {mine[key]!r} against {other[key]!r}"
    return None


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    a, b = read(sys.argv[1]), read(sys.argv[2])
    if len(a) != len(b):
        sys.exit(f"{len(a)} records against {len(b)}")
    problems, tokens, worst = [], 0, 0.0
    for i, (x, y) in enumerate(zip(a, b)):
        if "error" in x or "error" in y:
            problems.append(f"prompt {i}: {x.get('error') or y.get('error')}")
            continue
        mine, other = x["completions"][0], y["completions"][0]
        difference = compare(i, mine, other)
        if difference:
            problems.append(difference)
            continue
        tokens += len(mine["ids"])
        worst = max([worst] + [abs(p - q) for p, q in zip(mine["logprobs"], other["logprobs"])])
    print(f"{len(a) - len(problems)} of {len(a)} continuations equal ({tokens} tokens), max difference of their log-probs "
          f"{worst:.3e}")
    print("\n".join(problems), end="\n" if problems else "")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
