#!/usr/bin/env python3
"""Writes tests/golden/math/adversarial.jsonl: kinds of answers that the other two sets lack, and wrong answers close to the right one.

    python3 scripts/goldens/make_math_adversarial.py [--seed 4242] > tests/golden/math/adversarial.jsonl

Lines as in pairs.jsonl. Every maker draws numbers, writes one value in two notations that are equal by a rule of arithmetic or of
notation, and changes one of them so that the value is another. Labels follow what a mathematician would say; no checker was asked.
"""

import argparse
import json
import random

from math_adversarial_text import boxes, remarks, sentences, times_of_day
from math_adversarial_values import (algebra, complex_forms, functions, intervals, latex_variants, mixed_numbers, percents, repeating, scientific,
                                     sets, sums, surds, units)


class Rows:
    def __init__(self):
        self.rows = []

    def add(self, kind, gold, completion, equal):
        self.rows.append({"kind": kind, "gold": gold, "completion": completion, "equal": equal})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=4242)
    rng = random.Random(parser.parse_args().seed)
    rows = Rows()
    for make in (units, intervals, sets, surds, percents, mixed_numbers, repeating, scientific, latex_variants, algebra, functions, complex_forms, sums,
                 boxes, remarks, sentences, times_of_day):
        make(rows, rng)
    for row in rows.rows:
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
