#!/usr/bin/env python3
"""A checker for the reward `command` (docs/outside-rewards.md): scores completions with math-verify.

    python3 -m venv checkers && checkers/bin/pip install math-verify

    reward:
      - {name: command, command: [checkers/bin/python, scripts/rewards/math_verify_server.py], timeout_s: 20}

Score: 1 when math-verify says that the completion's answer equals the gold answer in the column, else 0; none where it finds no
answer in the column. The reward `math` needs no Python, and judges more pairs rightly (docs/rewards.md).
"""

import argparse
import json
import os
import sys


def serve(judge):
    """Answers one request a line; judge(request) gives a score or None, and the reason."""
    # Whatever a library prints goes to standard error, so that only answers stand on standard output.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({"ready": 1}), file=answers)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            score, reason = judge(request)
        except Exception as error:  # this row's fault: no score, and the next row has its chance
            score, reason = None, f"{type(error).__name__}: {error}"
        print(json.dumps({"id": request["id"], "score": score, "reason": reason}), file=answers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--column", default="answer", help="the data column with the gold answer (default: answer)")
    parser.add_argument("--seconds", type=int, default=5, help="math-verify's own limit for each step (default: 5)")
    options = parser.parse_args()

    from math_verify import parse, verify  # slow: before {"ready": 1}, where start_timeout_s counts

    def judge(request):
        gold_text = request["columns"].get(options.column)
        if gold_text is None:
            return None, f"no column '{options.column}'"
        gold_text = str(gold_text)
        gold = parse(gold_text if "\\boxed" in gold_text or "$" in gold_text else f"${gold_text}$",
                     parsing_timeout=options.seconds)
        if not gold:
            return None, f"no answer in the column: {gold_text[:100]}"
        answer = parse(request["completion"], parsing_timeout=options.seconds)
        if not answer:
            return 0.0, "no answer in the completion"
        right = verify(gold, answer, timeout_seconds=options.seconds)
        return float(right), f"{answer[-1]} {'equals' if right else 'is not'} {gold[-1]}"[:300]

    serve(judge)


if __name__ == "__main__":
    main()
