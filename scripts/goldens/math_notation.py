"""How one value is written in several ways, and the pairs that are collected."""

import random

from math_prose import boxed, hashes, last_number, phrase_latex, phrase_plain

LATEX, PLAIN, BOTH, NUMBER = "latex", "plain", "both", "number"  # which prose an answer's notation fits


class Pairs:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.rows = []

    def add(self, kind, gold, answer, equal, style=LATEX):
        ways = {LATEX: [boxed, boxed, phrase_latex], PLAIN: [boxed, phrase_plain, phrase_plain], BOTH: [boxed, phrase_latex, phrase_plain],
                NUMBER: [boxed, phrase_latex, phrase_plain, hashes, last_number]}[style]
        completion = self.rng.choice(ways)(self.rng, answer)
        self.raw(kind, gold, completion, equal, answer)

    def raw(self, kind, gold, completion, equal, answer=None):
        row = {"kind": kind, "gold": gold, "completion": completion, "equal": bool(equal)}
        self.rows.append(row if answer is None else {**row, "answer": answer})


def grouped(n, separator):
    sign, digits = ("-", str(-n)) if n < 0 else ("", str(n))
    parts = []
    while digits:
        parts.insert(0, digits[-3:])
        digits = digits[:-3]
    return sign + separator.join(parts)


def frac(f, command="\\frac"):
    sign = "-" if f < 0 else ""
    return f"{sign}{command}{{{abs(f.numerator)}}}{{{f.denominator}}}" if f.denominator != 1 else str(f.numerator)


def slash(f):
    return f"{f.numerator}/{f.denominator}" if f.denominator != 1 else str(f.numerator)


def decimal(f):
    """A terminating decimal."""
    n, d = f.numerator, f.denominator
    places = 0
    while d % 10 ** 0 == 0 and (10 ** places * n) % d:
        places += 1
    digits = str(abs(n) * 10 ** places // d).rjust(places + 1, "0")
    return ("-" if n < 0 else "") + (digits[:-places] + "." + digits[-places:] if places else digits)


def poly_text(coefficients, x="x", order=1, star=""):
    """coefficients[k] belongs to x^k."""
    parts = []
    for k in sorted(range(len(coefficients)), reverse=order > 0):
        c = coefficients[k]
        if c == 0:
            continue
        sign = "-" if c < 0 else "+"
        size = "" if abs(c) == 1 and k else str(abs(c)) + (star if k else "")
        power = "" if k == 0 else x if k == 1 else f"{x}^{k}" if k < 10 else f"{x}^{{{k}}}"
        parts.append((sign, size + power))
    if not parts:
        return "0"
    text = ("-" if parts[0][0] == "-" else "") + parts[0][1]
    return text + "".join(f" {s} {t}" for s, t in parts[1:])
