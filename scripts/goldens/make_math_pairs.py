#!/usr/bin/env python3
"""Writes tests/golden/math/pairs.jsonl: gold answers with completions, each labelled by how it was made.

    python3 scripts/goldens/make_math_pairs.py [--seed 20261] > tests/golden/math/pairs.jsonl

A line is {"kind", "gold", "completion", "equal"} and, where the completion was built around one, the "answer". An equal pair writes one value in two ways; an unequal one writes two
values that differ. Labels follow what a mathematician would say who knows the question's gold answer: notation does not matter,
a rounded value is not the value, a unit left out is forgiven and a wrong one is not, 25 is not 25 %, a set is no tuple.
No checker was asked for a label.
"""

import argparse
import json
import random

from math_algebra_pairs import equations, inequalities, polynomials, rational_functions
from math_collection_pairs import collections, intervals, matrices, plus_minus
from math_notation import Pairs
from math_number_pairs import bases, complex_numbers, decimals, fractions, integers, large, percents, scientific
from math_quantity_pairs import degrees, money, units
from math_text_pairs import choices, extraction, words
from math_value_pairs import constants, logs, powers, surds, trigonometry


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=20261)
    seed = parser.parse_args().seed
    p = Pairs(seed)
    r = random.Random(seed + 1)
    for make, count in [(integers, 30), (decimals, 30), (fractions, 30), (percents, 25), (units, 30), (money, 20), (scientific, 25), (surds, 35), (powers, 20), (constants, 25), (logs, 25), (trigonometry, 0), (intervals, 24), (collections, 18), (plus_minus, 20),
                        (matrices, 24), (polynomials, 35), (rational_functions, 24), (equations, 18), (inequalities, 22), (choices, 24), (words, 0), (degrees, 14), (complex_numbers, 18), (bases, 14), (extraction, 26), (large, 0)]:
        make(p, r, count)
    for row in p.rows:
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
