#!/usr/bin/env python3
"""Writes tests/golden/math/written.jsonl: answers in the way in which language models write them.

    python3 scripts/goldens/make_math_written.py [--seed 91] > tests/golden/math/written.jsonl

Lines as in pairs.jsonl. Each maker draws a value, says it in the words of a word problem, a contest or a textbook, in Markdown, LaTeX or
plain sentences, and once more with another value in the same words. Labels follow from what was drawn; no checker was asked.
"""

import argparse
import json
import random
from fractions import Fraction

from math_written_text import WORKING, chat, box_styles, plain_styles, sentence_styles


class Rows:
    def __init__(self, rng):
        self.rng, self.rows = rng, []

    def add(self, kind, gold, completion, equal):
        self.rows.append({"kind": kind, "gold": gold, "completion": completion, "equal": equal})

    def boxed(self, kind, gold, right, wrong):
        """The right and the wrong answer, each in a box, as chat models end."""
        for answer, equal in ((right, True), (wrong, False)):
            self.add(kind, gold, chat(self.rng, self.rng.choice(box_styles)(answer)), equal)

    def plain(self, kind, gold, right, wrong):
        for answer, equal in ((right, True), (wrong, False)):
            self.add(kind, gold, chat(self.rng, self.rng.choice(plain_styles)(answer)), equal)

    def said(self, kind, gold, right, wrong, noun=""):
        for answer, equal in ((right, True), (wrong, False)):
            self.add(kind, gold, chat(self.rng, self.rng.choice(sentence_styles)(answer, noun)), equal)


def grade_school(rows):
    rng = rows.rng
    for noun in ("apples", "marbles", "books", "students", "miles", "minutes", "pages", "cookies"):
        n = rng.randrange(12, 400)
        rows.said("word problem", str(n), str(n), str(n + rng.randrange(1, 9)), noun)
    for _ in range(6):
        n = rng.randrange(1, 90) * 1000 + rng.randrange(100, 999)
        rows.said("thousands", str(n), f"{n:,}", f"{n + 100:,}", rng.choice(("people", "dollars", "seats")))
        rows.plain("thousands", f"{n:,}", str(n), str(n // 10))
    for _ in range(6):
        cents = rng.randrange(101, 9999)
        gold = f"{cents / 100:.2f}"
        rows.plain("money", gold, f"${gold}", f"${(cents + 1) / 100:.2f}")
        rows.said("money", f"${gold}", f"${gold}", f"${(cents + 100) / 100:.2f}")
    for _ in range(4):
        n = rng.randrange(10, 500)
        rows.add("gsm8k", f"{WORKING}\n#### {n}", f"He sells {n + 4} and eats 4, so {n + 4} - 4 = <<{n + 4}-4={n}>>{n} are left.\n#### {n}", True)
        rows.add("gsm8k", f"{WORKING}\n#### {n}", f"He sells {n} and eats 4, so {n} - 4 = <<{n}-4={n - 4}>>{n - 4} are left.\n#### {n - 4}", False)
        rows.add("gsm8k", f"#### {n}", f"Half of {2 * n} is {n}.\n\n#### **{n}**", True)


def contest(rows):
    rng = rows.rng
    for _ in range(6):
        n = rng.randrange(1, 100)
        rows.boxed("aime", str(n), f"{n:03d}", f"{n + 1:03d}")
        rows.boxed("aime", f"{n:03d}", str(n), f"{n}0")
    for _ in range(4):
        m, n = rng.choice(((7, 12), (25, 36), (11, 20), (13, 8)))
        rows.add("m+n", str(m + n), f"The probability is $\\frac{{{m}}}{{{n}}}$, so $m + n = {m} + {n} = \\boxed{{{m + n}}}$.", True)
        rows.add("m+n", str(m + n), f"The probability is $m+n={m + n}$ over... so the answer is $\\boxed{{\\frac{{{m}}}{{{n}}}}}$.", False)
        rows.add("m+n", str(m + n), f"Thus the probability is $\\dfrac{{{m}}}{{{n}}}$ and\n\n$$m+n={m}+{n}={m + n}.$$", True)
    for letter, other in (("A", "C"), ("B", "D"), ("C", "B"), ("D", "E"), ("E", "A")):
        value = rng.randrange(2, 60)
        for text in (f"The correct answer is **({letter}) {value}**.", f"**Answer: {letter}**", f"Therefore, the answer is ({letter}).",
                     f"$\\boxed{{\\textbf{{({letter})}}\\ {value}}}$", f"The correct option is **{letter}**.", f"So the answer is {letter}) {value}.",
                     f"\\[\n\\boxed{{\\text{{{letter}}}}}\n\\]"):
            rows.add("multiple choice", letter, f"{WORKING}\n\n{text}", True)
            rows.add("multiple choice", other, f"{WORKING}\n\n{text}", False)


def fractions(rows):
    rng = rows.rng
    for _ in range(10):
        f = Fraction(rng.randrange(1, 40), rng.choice((2, 4, 5, 8, 10, 16, 20, 25)))
        if f.denominator == 1:
            f += Fraction(1, 2)
        a, b = f.numerator, f.denominator
        wrong = Fraction(a + 1, b)
        tex = lambda v: f"\\dfrac{{{v.numerator}}}{{{v.denominator}}}"
        rows.boxed("fraction", f"\\frac{{{a}}}{{{b}}}", tex(f), tex(wrong))
        rows.plain("fraction", f"\\frac{{{a}}}{{{b}}}", f"{a}/{b}", f"{b}/{a}" if a != b else "2")
        rows.boxed("decimal", f"{a}/{b}", f"{float(f):g}", f"{float(wrong):g}")
    for _ in range(4):
        p = rng.randrange(3, 97)
        rows.said("percent", f"{p}\\%", f"{p}%", f"{p + 2}%")
        rows.boxed("percent", f"{p}%", f"{p}\\%", f"{p}.5\\%")
    for _ in range(3):
        whole, a, b = rng.randrange(1, 9), 1, rng.choice((3, 7, 9))
        rows.boxed("mixed number", f"\\frac{{{whole * b + a}}}{{{b}}}", f"{whole}\\frac{{{a}}}{{{b}}}", f"{whole}\\cdot\\frac{{{a}}}{{{b}}}")


def radicals(rows):
    rng = rows.rng
    for _ in range(6):
        k, r = rng.randrange(2, 12), rng.choice((2, 3, 5, 7))
        rows.boxed("surd", f"{k}\\sqrt{{{r}}}", f"\\sqrt{{{k * k * r}}}", f"\\sqrt{{{k * r}}}")
        rows.said("surd", f"{k}\\sqrt{{{r}}}", f"{k}√{r}", f"{k + 1}√{r}", rng.choice(("units", "cm", "")))
        rows.plain("surd", f"\\sqrt{{{r}}}", f"sqrt({r})", f"sqrt({r + 1})")
    for _ in range(6):
        k = rng.randrange(2, 80)
        rows.boxed("pi", f"{k}\\pi", f"{k}\\pi", f"{k + 1}\\pi")
        rows.said("pi", f"{k}\\pi", f"{k}π", f"{k}", rng.choice(("square units", "cm²", "square inches")))
        rows.plain("pi", f"{k}\\pi", f"{k}π", f"{k}π²")


def algebra(rows):
    rng = rows.rng
    for _ in range(6):
        a, b, c = rng.randrange(2, 9), rng.randrange(1, 9), rng.randrange(1, 9)
        rows.boxed("polynomial", f"{a}x^2 + {b}x - {c}", f"{a}x^2-{c}+{b}x", f"{a}x^2-{b}x-{c}")
        rows.plain("polynomial", f"{a}x^2 + {b}x + {c}", f"$f(x) = {a}x^2 + {b}x + {c}$", f"$f(x) = {a}x^2 + {c}x + {b + 10}$")
        rows.boxed("factored", f"(x-{a})(x+{a})", f"x^2 - {a * a}", f"x^2 + {a * a}")
    for _ in range(5):
        a, b = rng.sample(range(1, 30), 2)
        rows.plain("solutions", f"{a}, {b}", f"$x = {a}$ and $x = {b}$", f"$x = {a}$ and $x = -{b}$")
        rows.boxed("solutions", f"{a}, {b}", f"x = {b} \\text{{ or }} x = {a}", f"x = {b} \\text{{ or }} x = {a + 40}")
        rows.boxed("pair", f"({a}, {b})", f"\\left({a}, {b}\\right)", f"\\left({b}, {a}\\right)")
        rows.plain("pair", f"({a}, {b})", f"x = {a}, y = {b}", f"x = {b}, y = {a}")
    for _ in range(4):
        a, b = sorted(rng.sample(range(-9, 20), 2))
        rows.boxed("interval", f"[{a}, {b})", f"x \\in [{a},{b})", f"x \\in [{a},{b}]")
        rows.plain("interval", f"({a}, \\infty)", f"$x > {a}$", f"$x \\geq {a}$")
        rows.boxed("interval", f"(-\\infty, {a}) \\cup ({b}, \\infty)", f"x < {a} \\text{{ or }} x > {b}", f"{a} < x < {b}")
    for _ in range(4):
        m, c = rng.randrange(2, 9), rng.randrange(1, 20)
        rows.boxed("line", f"y = {m}x + {c}", f"y={m}x+{c}", f"y={m}x-{c}")
        rows.plain("line", f"y = {m}x - {c}", f"{m}x - y = {c}", f"{m}x + y = {c}")
        rows.boxed("complex", f"{m}+{c}i", f"{c}i+{m}", f"{c}+{m}i" if c != m else f"{c}")


def structures(rows):
    rng = rows.rng
    for _ in range(4):
        v = [rng.randrange(-9, 10) for _ in range(4)]
        w = v[:3] + [v[3] + 1]
        matrix = lambda x: f"\\begin{{pmatrix}} {x[0]} & {x[1]} \\\\ {x[2]} & {x[3]} \\end{{pmatrix}}"
        spaced = lambda x: f"\\begin{{bmatrix}}\n{x[0]} & {x[1]} \\\\[4pt]\n{x[2]} & {x[3]}\n\\end{{bmatrix}}"
        rows.boxed("matrix", matrix(v), spaced(v), spaced(w))
        rows.boxed("vector", f"\\begin{{pmatrix}} {v[0]} \\\\ {v[1]} \\\\ {v[2]} \\end{{pmatrix}}", f"({v[0]}, {v[1]}, {v[2]})", f"({v[0]}, {v[2] + 30}, {v[1]})")
        rows.boxed("set", "\\{1, 2, %d\\}" % (abs(v[3]) + 3), "\\{%d, 2, 1\\}" % (abs(v[3]) + 3), "\\{1, 2, 3, %d\\}" % (abs(v[3]) + 13))
    for word, other in (("Yes", "No"), ("No", "Yes"), ("True", "False"), ("even", "odd"), ("Saturday", "Sunday"), ("rational", "irrational")):
        rows.plain("word", word, word.lower(), other)
        rows.boxed("word", word, f"\\text{{{word}}}", f"\\text{{{other}}}")
    for base, digits, other in ((2, "1011", "1101"), (8, "527", "572"), (5, "1432", "1423")):
        rows.boxed("base", f"{digits}_{{{base}}}", f"{digits}_{base}", f"{other}_{base}")


def quantities(rows):
    rng = rows.rng
    for unit, tex in (("cm", "\\text{ cm}"), ("meters", "\\text{ meters}"), ("square feet", "\\text{ ft}^2"), ("hours", "\\text{ hours}"), ("mph", "\\text{ mph}"),
                      ("kg", "\\,\\mathrm{kg}"), ("cubic meters", "\\text{ m}^3")):
        n = rng.randrange(3, 300)
        rows.boxed("unit", str(n), f"{n}{tex}", f"{n + 1}{tex}")
        rows.said("unit", f"{n} {unit}", str(n), str(n * 2), unit)
        rows.plain("unit", str(n), f"{n} {unit}", f"{n}0 {unit}")
    for _ in range(4):
        n = rng.randrange(10, 170)
        rows.boxed("degrees", f"{n}^\\circ", f"{n}^{{\\circ}}", f"{n + 1}^{{\\circ}}")
        rows.said("degrees", str(n), f"{n}°", f"{n - 5}°")
        rows.plain("degrees", f"{n}^\\circ", f"{n} degrees", f"{180 - n if n != 90 else 80} degrees")
    for n in (2, 3, 7):
        rows.said("large", f"{n}000000", f"{n} million", f"{n} billion", rng.choice(("people", "")))
        rows.boxed("scientific", f"{n}.5e8", f"{n}.5 \\times 10^8", f"{n}.5 \\times 10^{{-8}}")


def second_thoughts(rows):
    rng = rows.rng
    for _ in range(5):
        a, b = rng.sample(range(10, 99), 2)
        for gold, equal in ((b, True), (a, False)):
            rows.add("correction", str(gold), f"So the answer is {a}. Wait, I forgot to carry. Let me redo this: the answer is {b}.", equal)
            rows.add("correction", str(gold), f"I first got $\\boxed{{{a}}}$, but that counts one pair twice. The correct result is $\\boxed{{{b}}}$.", equal)
            rows.add("thinking", str(gold), f"<think>\nMaybe \\boxed{{{a}}}? Let me check: no.\n</think>\n\nThe value is {b}.", equal)
            rows.add("thinking", str(gold), f"<think>It could be {a}.</think><answer>{b}</answer>", equal)
            rows.add("thinking", str(gold), f"<think>It could be {a}.</think>\n<answer> The total is ${b}$. </answer>", equal)
            rows.add("check", str(gold), f"**Final answer:** {b}\n\n*(Check: {a} + {b} = {a + b}.)*", equal)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=91)
    rows = Rows(random.Random(parser.parse_args().seed))
    for make in (grade_school, contest, fractions, radicals, algebra, structures, quantities, second_thoughts):
        make(rows)
    for row in rows.rows:
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
