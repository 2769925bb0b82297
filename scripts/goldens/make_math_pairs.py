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
from fractions import Fraction

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


def integers(p, r, count):
    for _ in range(count):
        n = r.choice([r.randint(-99, 99), r.randint(1000, 99999), r.randint(10 ** 6, 10 ** 9), r.randint(0, 12)])
        same = [(str(n), NUMBER), (f"{n}.0", NUMBER), (f"{n}.00", NUMBER)]
        if abs(n) >= 1000:
            same += [(grouped(n, ","), NUMBER), (grouped(n, "{,}"), LATEX), (grouped(n, "\\,"), LATEX), (grouped(n, " "), PLAIN)]
        if abs(n) >= 10 ** 6:
            same += [(grouped(n, "."), PLAIN)]
        if n > 0:
            same += [(f"+{n}", PLAIN), (f"\\text{{{n}}}", LATEX), (f"\\mathbf{{{n}}}", LATEX), (f"{2 * n}/2", PLAIN), (f"{n}.", BOTH)]
        answer, style = r.choice(same)
        p.add("integer", str(n), answer, True, style)
        gold = r.choice([str(n), f"${n}$", f"\\boxed{{{n}}}", grouped(n, ","), f"Some working, 3 + 4 = 7.\n#### {n}"])
        other = r.choice([n + 1, n - 1, -n if n else 1, 10 * n if n else 10, n + 10])
        p.add("integer", gold, str(other), False, NUMBER)
        answer, style = r.choice(same)
        p.add("integer", gold, answer, True, style)


def decimals(p, r, count):
    for _ in range(count):
        f = Fraction(r.randint(-9999, 9999) * 2 + 1, r.choice([2, 4, 5, 8, 10, 20, 25, 100, 1000]))
        d = decimal(f)
        same = [(d, NUMBER), (frac(f), LATEX), (slash(f), BOTH)]
        if "." in d:
            same += [(d + "0", NUMBER), (d + "00", NUMBER)]
        if abs(f) < 1 and "." in d:
            same.append((d.replace("0.", ".", 1), BOTH))
        answer, style = r.choice(same)
        p.add("decimal", r.choice([d, frac(f), f"${d}$"]), answer, True, style)
        step = Fraction(1, 10 ** len(d.split(".")[1])) if "." in d else 1
        p.add("decimal", r.choice([d, frac(f)]), decimal(f + step * r.choice([-1, 1])), False, NUMBER)
    # A rounded value is another number.
    for n, d, places in [(1, 3, 2), (2, 3, 3), (22, 7, 2), (5, 6, 4), (1, 7, 6), (10, 9, 3), (1, 12, 4), (7, 11, 2)]:
        f = Fraction(n, d)
        p.add("rounded", frac(f), decimal(Fraction(round(f * 10 ** places), 10 ** places)), False, NUMBER)
        block = {(1, 3): "0.\\overline{3}", (2, 3): "0.\\overline{6}", (22, 7): "3.\\overline{142857}", (5, 6): "0.8\\overline{3}", (1, 7): "0.\\overline{142857}",
                 (10, 9): "1.\\bar{1}", (1, 12): "0.08\\bar{3}", (7, 11): "0.\\overline{63}"}[(n, d)]
        p.add("repeating", frac(f), block, True)
    for text, equal in [("0.333...", True), ("0.333", False), ("0.\\bar{3}", True), ("0.33", False), ("0.3\\overline{3}", True)]:
        p.add("repeating", "\\frac{1}{3}", text, equal, LATEX if "\\" in text else PLAIN)
    p.add("repeating", "1", "0.\\overline{9}", True)
    p.add("repeating", "0", "0.\\bar{9}", False)


def fractions(p, r, count):
    for _ in range(count):
        f = Fraction(r.randint(1, 40) * r.choice([1, -1]), r.randint(2, 40))
        if f.denominator == 1:
            continue
        k = r.randint(2, 9)
        n, d = f.numerator, f.denominator
        same = [(frac(f), LATEX), (frac(f, "\\dfrac"), LATEX), (frac(f, "\\tfrac"), LATEX), (slash(f), BOTH), (f"\\frac{{{n}}}{{{d}}}", LATEX),
                (f"\\frac{{{n * k}}}{{{d * k}}}", LATEX), (f"{n * k}/{d * k}", BOTH), (f"\\frac{{{-n}}}{{{-d}}}", LATEX), (f"{n} / {d}", PLAIN), (f"({n})/({d})", PLAIN),
                (f"{n} \\div {d}", LATEX)]
        if 0 < n < 10 and d < 10:
            same += [(f"\\frac{n}{d}", LATEX), (f"\\frac {n} {d}", LATEX), (f"\\frac{n}{{{d}}}", LATEX)]
        if abs(f) > 1:
            whole, rest = divmod(abs(f), 1)
            sign = "-" if f < 0 else ""
            same += [(f"{sign}{whole}\\frac{{{rest.numerator}}}{{{rest.denominator}}}", LATEX), (f"{sign}{whole} {rest.numerator}/{rest.denominator}", PLAIN),
                     (f"{sign}{whole}\\tfrac{{{rest.numerator}}}{{{rest.denominator}}}", LATEX)]
        gold = r.choice([frac(f), slash(f), f"${frac(f)}$", frac(f, "\\dfrac")])
        for answer, style in r.sample(same, 2):
            p.add("fraction", gold, answer, True, style)
        wrong = r.choice([1 / f, -f, f + Fraction(1, d), f * 2])
        if wrong != f:
            p.add("fraction", gold, frac(wrong), False, LATEX)
        if abs(f) > 1:  # the mixed number as a product
            whole, rest = divmod(abs(f), 1)
            p.add("mixed", frac(abs(f)), f"{whole} \\cdot \\frac{{{rest.numerator}}}{{{rest.denominator}}}", False)


def percents(p, r, count):
    for _ in range(count):
        n = r.choice([r.randint(1, 99), r.randint(101, 300)])
        if n % 100 == 0:
            continue
        gold = r.choice([f"{n}\\%", f"{n}%", f"${n}\\%$"])
        same = [(f"{n}\\%", LATEX), (f"{n}%", PLAIN), (f"{n} percent", PLAIN), (decimal(Fraction(n, 100)), NUMBER), (frac(Fraction(n, 100)), LATEX), (f"{n}.0\\%", LATEX)]
        answer, style = r.choice(same)
        p.add("percent", gold, answer, True, style)
        wrong = r.choice([(f"{n + 1}\\%", LATEX), (str(n), NUMBER), (f"{decimal(Fraction(n, 100))}\\%", LATEX)])
        p.add("percent", gold, wrong[0], False, wrong[1])


UNITS = ["cm", "m", "km", "kg", "g", "seconds", "hours", "miles", "inches", "liters", "feet"]
THINGS = ["apples", "students", "marbles", "tickets", "pages", "ways"]


def units(p, r, count):
    for _ in range(count):
        n = r.choice([r.randint(2, 99), Fraction(2 * r.randint(1, 40) + 1, 2)])
        v, u = decimal(Fraction(n)), r.choice(UNITS + THINGS)
        written = [(f"{v} {u}", PLAIN), (f"{v}\\text{{ {u}}}", LATEX), (f"{v}\\ \\text{{{u}}}", LATEX), (f"{v}\\,\\mathrm{{{u}}}", LATEX), (f"{v} \\text{{ {u} }}", LATEX)]
        gold = r.choice([f"{v} {u}", f"{v}\\text{{ {u}}}", f"${v}$ {u}", v, f"{v}\\,\\text{{{u}}}"])
        answer, style = r.choice(written + [(v, NUMBER)])
        p.add("unit", gold, answer, True, style)
        wrong = r.choice([decimal(Fraction(n) + 1), decimal(Fraction(n) * 10)])
        p.add("unit", gold, r.choice([f"{wrong} {u}", wrong]), False, PLAIN)
    for gold, answer, equal in [
            ("1 m", "100 cm", True), ("2 hours", "120 minutes", True), ("5 km", "5000 m", True), ("1.5 kg", "1500 g", True), ("3 feet", "36 inches", True),
            ("5 cm", "5 kg", False), ("5 cm", "5 m", False), ("12 apples", "12 oranges", False), ("60 km/h", "60 m/s", False), ("36 km/h", "10 m/s", True),
            ("10\\text{ cm}^2", "10 square centimeters", True), ("10\\text{ cm}^2", "10\\text{ cm}^3", False), ("10\\text{ cm}^2", "10\\,\\mathrm{cm}^{2}", True),
            ("60 miles per hour", "60 mph", True), ("60\\text{ mph}", "60", True), ("2 liters", "2000 ml", True), ("8\\pi\\text{ cm}^2", "8\\pi", True),
            ("8\\pi\\text{ cm}^2", "8 \\pi \\text{ square cm}", True), ("3.5 hours", "3\\frac{1}{2} \\text{ hours}", True), ("24\\text{ m/s}", "24 \\frac{\\text{m}}{\\text{s}}", True)]:
        for _ in range(2):
            p.add("unit", gold, answer, equal, LATEX if "\\" in answer else PLAIN)


def money(p, r, count):
    for _ in range(count):
        n = Fraction(r.choice([r.randint(1, 500), r.randint(1000, 99999)])) + r.choice([0, Fraction(1, 2), Fraction(1, 4)])
        v = decimal(n)
        cents = f"{float(n):,.2f}"
        same = [(f"\\${v}", LATEX), (f"{v} dollars", PLAIN), (f"${cents}", PLAIN), (v, NUMBER), (f"\\${cents}", LATEX), (f"{v}\\text{{ dollars}}", LATEX), (f"${v}", PLAIN)]
        answer, style = r.choice(same)
        p.add("money", r.choice([f"\\${v}", v, f"${cents}", f"{v} dollars"]), answer, True, style)
        p.add("money", f"\\${v}", f"\\${decimal(n + 1)}", False)
    for gold, answer, equal in [("\\$5", "5 euros", False), ("\\$5", "500 cents", True), ("€20", "20 euros", True), ("£20", "20", True), ("\\$1.5", "\\$1.50", True), ("\\$2,500", "2500", True),
                                ("\\$3 million", "3000000", True), ("\\$3 million", "\\$3{,}000{,}000", True), ("\\$3 million", "3", False), ("$1.2$ billion", "1,200,000,000", True)]:
        p.add("money", gold, answer, equal, LATEX if "\\" in answer else PLAIN)


def scientific(p, r, count):
    for _ in range(count):
        m, e = Fraction(r.randint(11, 99), 10), r.choice([-6, -4, -3, 3, 5, 8, 12])
        value = m * Fraction(10) ** e
        d = decimal(m)
        plain = decimal(value)
        same = [(f"{d} \\times 10^{{{e}}}", LATEX), (f"{d}\\cdot 10^{{{e}}}", LATEX), (f"{d}e{e}", BOTH), (f"{d}E{e:+d}", BOTH), (f"{d}*10^{e}" if e > 0 else f"{d}*10^({e})", PLAIN),
                (f"{d} x 10^{e}", PLAIN), (plain, NUMBER), (f"{decimal(m * 10)} \\times 10^{{{e - 1}}}", LATEX)]
        gold = r.choice([f"{d} \\times 10^{{{e}}}", plain, f"{d}e{e}"])
        answer, style = r.choice(same)
        p.add("scientific", gold, answer, True, style)
        p.add("scientific", gold, r.choice([f"{d} \\times 10^{{{e + 1}}}", f"{d} \\times 10^{{{-e}}}", f"{decimal(m + Fraction(1, 10))} \\times 10^{{{e}}}"]), False)


def surds(p, r, count):
    free = [2, 3, 5, 6, 7, 10, 11, 13, 15]
    for _ in range(count):
        a, b, c = r.randint(2, 9), r.choice(free), r.randint(1, 12)
        form = r.choice(["single", "sum", "over", "cube"])
        if form == "single":
            gold = f"{a}\\sqrt{{{b}}}"
            same = [f"\\sqrt{{{a * a * b}}}", f"\\sqrt{{{b}}} \\cdot {a}", f"\\frac{{{a * b}}}{{\\sqrt{{{b}}}}}", f"{a} \\cdot {b}^{{1/2}}", f"{a}*sqrt({b})", f"{a}√{b}", f"{a}\\sqrt{{{b}}}", f"\\sqrt{{{a * a}}}\\sqrt{{{b}}}"]
            wrong = [f"{a + 1}\\sqrt{{{b}}}", f"\\sqrt{{{a * b}}}", f"{b}\\sqrt{{{a + b}}}", f"{(a * a * b) ** 0.5:.3f}", f"-{a}\\sqrt{{{b}}}"]
        elif form == "sum":
            gold = f"{c} + {a}\\sqrt{{{b}}}"
            same = [f"{a}\\sqrt{{{b}}} + {c}", f"{c}+\\sqrt{{{a * a * b}}}", f"\\frac{{{2 * c} + {2 * a}\\sqrt{{{b}}}}}{{2}}", f"{c} + {a}*sqrt({b})", f"({c} + {a}√{b})"]
            wrong = [f"{c} - {a}\\sqrt{{{b}}}", f"{c + a}\\sqrt{{{b}}}", f"\\sqrt{{{c * c + a * a * b}}}"]
        elif form == "over":
            gold = f"\\frac{{\\sqrt{{{b}}}}}{{{b}}}"
            same = [f"\\frac{{1}}{{\\sqrt{{{b}}}}}", f"\\sqrt{{\\frac{{1}}{{{b}}}}}", f"{b}^{{-1/2}}", f"1/sqrt({b})", f"\\frac{{1}}{{{b}}}\\sqrt{{{b}}}", f"\\frac{{\\sqrt{{{b * 4}}}}}{{{2 * b}}}"]
            wrong = [f"\\sqrt{{{b}}}", f"\\frac{{\\sqrt{{{b}}}}}{{{b + 1}}}", f"\\frac{{1}}{{{b}}}"]
        else:
            gold = f"{a}\\sqrt[3]{{{b}}}"
            same = [f"\\sqrt[3]{{{a ** 3 * b}}}", f"{a} \\cdot {b}^{{1/3}}", f"{b}^{{\\frac{{1}}{{3}}}} \\cdot {a}", f"{a}*{b}^(1/3)"]
            wrong = [f"{a}\\sqrt{{{b}}}", f"\\sqrt[3]{{{a * b}}}"]
        answer = r.choice(same)
        p.add("surd", gold, answer, True, LATEX if "\\" in answer or "{" in answer else PLAIN)
        answer = r.choice(wrong)
        p.add("surd", gold, answer, False, LATEX if "\\" in answer else NUMBER)
    for gold, answer, equal in [
            ("\\frac{\\sqrt{6}+\\sqrt{2}}{4}", "\\frac{\\sqrt{2+\\sqrt{3}}}{2}", True), ("1+\\sqrt{2}", "\\sqrt{3+2\\sqrt{2}}", True), ("1+\\sqrt{2}", "\\sqrt{3-2\\sqrt{2}}", False),
            ("\\sqrt{5}-2", "\\frac{1}{\\sqrt{5}+2}", True), ("\\frac{1+\\sqrt{5}}{2}", "\\frac{2}{\\sqrt{5}-1}", True), ("\\frac{1+\\sqrt{5}}{2}", "1.618", False),
            ("\\sqrt{2}+\\sqrt{3}", "\\sqrt{5+2\\sqrt{6}}", True), ("\\sqrt{2}+\\sqrt{3}", "\\sqrt{5}", False), ("2", "\\sqrt[3]{2+\\sqrt{5}}+\\sqrt[3]{2-\\sqrt{5}}+1", True), ("8", "\\sqrt{64}", True),
            ("-2", "\\sqrt[3]{-8}", True), ("4", "16^{1/2}", True), ("4", "16^{1/4}", False), ("\\sqrt2", "\\frac{2}{\\sqrt 2}", True), ("\\sqrt{2}", "1.41421356", False)]:
        p.add("surd", gold, answer, equal)


def powers(p, r, count):
    for _ in range(count):
        b, e = r.randint(2, 9), r.randint(2, 8)
        v = b ** e
        gold = r.choice([f"{b}^{{{e}}}", str(v), f"{b}^{e}"])
        same = [(f"{b}^{{{e}}}", LATEX), (str(v), NUMBER), (f"{b}^{e}", BOTH), (f"{b}**{e}", PLAIN), (f"\\left({b}\\right)^{{{e}}}", LATEX), (f"{b} \\cdot {b}^{{{e - 1}}}", LATEX), (f"\\frac{{{b}^{{{e + 1}}}}}{{{b}}}", LATEX)]
        answer, style = r.choice(same)
        p.add("power", gold, answer, True, style)
        p.add("power", gold, r.choice([f"{b}^{{{e + 1}}}", f"{b * e}", f"{v + 1}", f"{b + 1}^{{{e}}}"]) if b * e != v else str(v + 1), False)
    for gold, answer, equal in [("2^{100}", "1267650600228229401496703205376", True), ("2^{100}", "1267650600228229401496703205375", False), ("2^{100}", "4^{50}", True),
                                ("3^{2021}", "3 \\cdot 3^{2020}", True), ("3^{2021}", "3^{2020}", False), ("10!", "3628800", True), ("10!", "3628801", False), ("\\binom{10}{3}", "120", True),
                                ("\\binom{10}{3}", "\\frac{10!}{3! \\cdot 7!}", True), ("\\binom{10}{3}", "\\binom{10}{7}", True), ("\\binom{10}{3}", "\\binom{10}{4}", False), ("2^{10} - 1", "1023", True),
                                ("5!", "120", True), ("\\frac{1}{2^{5}}", "2^{-5}", True), ("1 - \\left(\\frac{5}{6}\\right)^4", "\\frac{671}{1296}", True)]:
        p.add("power", gold, answer, equal)


def constants(p, r, count):
    for _ in range(count):
        f = Fraction(r.randint(1, 60), r.choice([1, 1, 1, 2, 3, 4, 6]))
        n, d = f.numerator, f.denominator
        front = "" if n == 1 else str(n)
        gold = f"{front}\\pi" if d == 1 else f"\\frac{{{front}\\pi}}{{{d}}}"
        same = [(f"{frac(f)}\\pi", LATEX), (f"\\pi \\cdot {frac(f)}", LATEX), (f"{front}π" if d == 1 else f"{front}π/{d}", PLAIN), (f"{n}*pi/{d}", PLAIN), (f"\\frac{{{2 * n}\\pi}}{{{2 * d}}}", LATEX)]
        if d == 1:
            same.append((f"{n} pi", PLAIN))
        answer, style = r.choice(same)
        p.add("pi", gold, answer, True, style)
        wrong = r.choice([frac(f), f"{float(f) * 3.14159265:.2f}", f"{frac(f + 1)}\\pi", f"-{frac(f)}\\pi", f"{frac(f)}\\pi^2"])
        p.add("pi", gold, wrong, False)
    for gold, answer, equal in [("e^2", "e \\cdot e", True), ("e^2", "7.389", False), ("\\frac{1}{e}", "e^{-1}", True), ("e^{x}", "\\exp(x)", True), ("e^{2x}", "(e^x)^2", True), ("e^{2x}", "e^{x^2}", False),
                                ("e-1", "-1+e", True), ("\\pi + e", "e+\\pi", True), ("2\\pi", "6.28", False), ("\\sqrt{e}", "e^{1/2}", True), ("\\frac{\\pi^2}{6}", "\\pi^2/6", True), ("\\frac{\\pi^2}{6}", "1.6449", False)]:
        p.add("e", gold, answer, equal)


def logs(p, r, count):
    for _ in range(count):
        b, k, a = r.choice([2, 3, 5, 7, 10]), r.randint(2, 6), r.choice([2, 3, 5, 7, 11])
        choices = [
            (str(k), f"\\log_{{{b}}} {b ** k}" if b ** k < 10 else f"\\log_{{{b}}} ({b ** k})", f"\\log_{{{b}}} ({b ** k + 1})"),
            (f"{k}\\ln {a}", f"\\ln {a ** k}", f"\\ln {a * k}" if a * k != a ** k else f"\\ln {a ** k + 1}"),
            (f"\\frac{{\\ln {a}}}{{\\ln {b}}}", f"\\log_{{{b}}} {a}", f"\\log_{{{b}}} {a + 1}"),
            (f"\\log {a * b}" if a * b < 10 else f"\\log({a * b})", f"\\log {a} + \\log {b}", f"\\log({a + b})" if a + b != a * b else "\\log 2"),
            (f"\\ln {a} - \\ln {b + 1}", f"\\ln\\left(\\frac{{{a}}}{{{b + 1}}}\\right)", f"\\frac{{\\ln {a}}}{{\\ln {b + 1}}}"),
            (f"-\\ln {a}", f"\\ln \\frac{{1}}{{{a}}}", f"\\ln({a})"),
        ]
        gold, same, wrong = r.choice(choices)
        p.add("log", gold, same, True)
        p.add("log", gold, wrong, False)


def trigonometry(p, r, _):
    rows = [("\\frac{1}{2}", ["\\sin 30^\\circ", "\\cos 60^\\circ", "\\sin\\frac{\\pi}{6}", "\\sin(30°)", "\\cos\\left(\\frac{\\pi}{3}\\right)"], ["\\sin 60^\\circ", "\\cos 30^\\circ", "\\sin 30"]),
            ("\\frac{\\sqrt{3}}{2}", ["\\sin 60^{\\circ}", "\\cos\\frac{\\pi}{6}", "\\sin(\\pi/3)", "\\sin\\frac{2\\pi}{3}"], ["\\sin\\frac{\\pi}{4}", "0.866"]),
            ("1", ["\\tan 45^\\circ", "\\tan\\frac{\\pi}{4}", "\\sin^2 x + \\cos^2 x", "\\sin 90^\\circ", "\\sec 0"], ["\\tan 60^\\circ", "\\sin^2 x - \\cos^2 x"]),
            ("\\frac{\\pi}{4}", ["\\arctan 1", "\\tan^{-1}(1)", "\\arcsin\\frac{\\sqrt2}{2}", "\\arccos\\frac{1}{\\sqrt{2}}"], ["\\arctan 2", "0.785", "\\frac{\\pi}{3}"]),
            ("2\\sin x\\cos x", ["\\sin 2x", "\\sin(2x)", "2\\cos x \\sin x"], ["2\\sin x", "\\sin x^2", "\\cos 2x"]),
            ("\\tan x", ["\\frac{\\sin x}{\\cos x}", "\\frac{1}{\\cot x}"], ["\\frac{\\cos x}{\\sin x}", "\\sin x"]),
            ("1 - 2\\sin^2\\theta", ["\\cos 2\\theta", "\\cos^2\\theta - \\sin^2\\theta", "2\\cos^2 \\theta - 1"], ["1 + 2\\sin^2\\theta", "\\cos\\theta"]),
            ("2 + \\sqrt{3}", ["\\tan 75^\\circ", "\\cot 15^\\circ"], ["\\tan 15^\\circ", "2 - \\sqrt{3}"]),
            ("\\frac{\\sqrt{5}-1}{4}", ["\\sin 18^\\circ", "\\cos 72^\\circ", "\\sin\\frac{\\pi}{10}"], ["\\cos 18^\\circ", "\\frac{\\sqrt{5}+1}{4}"])]
    for gold, same, wrong in rows:
        for answer in same:
            p.add("trigonometry", gold, answer, True)
        for answer in wrong:
            p.add("trigonometry", gold, answer, False)


def intervals(p, r, count):
    for _ in range(count):
        a = r.randint(-20, 10)
        b = a + r.randint(1, 20)
        left, right = r.choice("(["), r.choice(")]")
        gold = f"{left}{a}, {b}{right}"
        lt, gt = ("<" if left == "(" else "\\le"), ("<" if right == ")" else "\\leq")
        same = [f"\\left{left}{a}, {b}\\right{right}", f"{left}{a},{b}{right}", f"x \\in {left}{a}, {b}{right}", f"{a} {lt} x {gt} {b}", f"{left}{2 * a}/2, {b}{right}"]
        other = {"(": "[", "[": "(", ")": "]", "]": ")"}
        wrong = [f"{other[left]}{a}, {b}{right}", f"{left}{a}, {b}{other[right]}", f"{left}{a}, {b + 1}{right}", f"{left}{a - 1}, {b}{right}"]
        p.add("interval", gold, r.choice(same), True)
        p.add("interval", gold, r.choice(wrong), False)
    for _ in range(count // 2):
        a, b = r.randint(-9, 0), r.randint(1, 9)
        gold = f"(-\\infty, {a}) \\cup ({b}, \\infty)"
        p.add("interval", gold, r.choice([f"({b}, \\infty) \\cup (-\\infty, {a})", f"(-\\infty,{a})\\cup({b},+\\infty)", f"x < {a} \\text{{ or }} x > {b}", f"(-∞, {a}) ∪ ({b}, ∞)", f"(-inf, {a}) U ({b}, inf)"]), True)
        p.add("interval", gold, r.choice([f"(-\\infty, {a}] \\cup ({b}, \\infty)", f"({a}, {b})", f"(-\\infty, {b}) \\cup ({a}, \\infty)", f"(-\\infty, {a}) \\cup ({b + 1}, \\infty)"]), False)
    for gold, answer, equal in [("[3, \\infty)", "x \\ge 3", True), ("[3, \\infty)", "x > 3", False), ("(-\\infty, 2)", "x < 2", True), ("\\mathbb{R}", "(-\\infty, \\infty)", True),
                                ("(-\\infty, 1) \\cup (1, \\infty)", "\\mathbb{R} \\setminus \\{1\\}", True), ("(-\\infty, 1) \\cup (1, \\infty)", "x \\neq 1", True), ("[0, 1]", "[0, 1)", False),
                                ("\\left[-\\frac{1}{2}, \\sqrt{3}\\right]", "[-0.5, \\sqrt{3}]", True), ("(2, 5)", "\\{x \\mid 2 < x < 5\\}", True), ("[1, 3] \\cup [3, 5]", "[1, 5]", True)]:
        p.add("interval", gold, answer, equal)


def collections(p, r, count):
    for _ in range(count):
        values = r.sample(range(-15, 30), r.randint(2, 4))
        shuffled = values[:]
        while shuffled == values:
            r.shuffle(shuffled)
        text, mixed = ", ".join(map(str, values)), ", ".join(map(str, shuffled))
        missing = ", ".join(map(str, values[:-1]))
        changed = ", ".join(map(str, values[:-1] + [values[-1] + 37]))
        gold = f"\\{{{text}\\}}"
        p.add("set", gold, r.choice([f"\\{{{mixed}\\}}", f"\\left\\{{{mixed}\\right\\}}", f"\\{{{mixed},{values[0]}\\}}", mixed]), True)
        p.add("set", gold, r.choice([f"\\{{{missing}\\}}", f"\\{{{changed}\\}}", f"\\{{{text}, 99\\}}"]), False)
        p.add("list", text, r.choice([mixed, " and ".join([", ".join(map(str, shuffled[:-1])), str(shuffled[-1])]), f"\\{{{mixed}\\}}", f"{text}"]), True, LATEX)
        p.add("list", text, r.choice([changed, missing, f"{text}, 88"]), False, LATEX)
        gold = f"({text})"
        p.add("tuple", gold, r.choice([f"\\left({text}\\right)", f"({','.join(map(str, values))})", f"( {text} )", f"({2 * values[0]}/2, {', '.join(map(str, values[1:]))})"]), True)
        p.add("tuple", gold, r.choice([f"({mixed})", f"({changed})", f"\\{{{text}\\}}", f"({missing}, 77)"]), False)
    for gold, answer, equal in [("(1, 2)", "x = 1, y = 2", True), ("(1, 2)", "(x, y) = (1, 2)", True), ("(1, 2)", "x = 2, y = 1", False), ("\\emptyset", "\\{\\}", True), ("\\emptyset", "\\varnothing", True),
                                ("\\emptyset", "\\{0\\}", False), ("(\\frac{1}{2}, -3)", "(0.5, -3)", True), ("(3, \\frac{\\pi}{2})", "\\left( 3, \\frac{\\pi}{2} \\right)", True), ("\\{1, 2\\}", "(1, 2)", False),
                                ("(1,2), (3,4)", "(3,4), (1,2)", True), ("(1,2), (3,4)", "(1,2), (4,3)", False), ("x = 1 \\text{ or } x = 2", "x = 2, x = 1", True), ("1, 2", "x = 1 \\text{ and } x = 2", True),
                                ("x=3, y=4", "y = 4, x = 3", True), ("x=3, y=4", "x = 4, y = 3", False), ("\\{\\sqrt{2}, -\\sqrt{2}\\}", "\\pm\\sqrt{2}", True), ("6", "6, 68", False), ("{1, 2, 3}", "\\{3,2,1\\}", True)]:
        p.add("collection", gold, answer, equal)


def plus_minus(p, r, count):
    for _ in range(count):
        a, b = r.randint(1, 9), r.choice([2, 3, 5, 7])
        rows = [(f"\\pm {a}", [f"{a}, -{a}", f"x = \\pm {a}", f"-{a} \\text{{ or }} {a}", f"\\{{-{a}, {a}\\}}", f"x = {a} \\text{{ or }} x = -{a}", f"±{a}"], [f"{a}", f"\\pm {a + 1}", f"-{a}", f"{a}, {a}"]),
                (f"{a} \\pm \\sqrt{{{b}}}", [f"{a} + \\sqrt{{{b}}}, {a} - \\sqrt{{{b}}}", f"x = {a} \\pm \\sqrt{{{b}}}", f"{a} - \\sqrt{{{b}}} \\text{{ and }} {a} + \\sqrt{{{b}}}", f"\\frac{{{2 * a} \\pm \\sqrt{{{4 * b}}}}}{{2}}"],
                 [f"-{a} \\pm \\sqrt{{{b}}}", f"{a} + \\sqrt{{{b}}}", f"{a} \\pm {b}"])]
        gold, same, wrong = r.choice(rows)
        p.add("plus-minus", gold, r.choice(same), True)
        p.add("plus-minus", gold, r.choice(wrong), False)


def matrices(p, r, count):
    for _ in range(count):
        rows, columns = r.randint(1, 3), r.randint(1, 3)
        if rows * columns == 1:
            continue
        m = [[r.randint(-9, 9) for _ in range(columns)] for _ in range(rows)]

        def body(m):
            return " \\\\ ".join(" & ".join(map(str, row)) for row in m)

        gold = f"\\begin{{pmatrix}} {body(m)} \\end{{pmatrix}}"
        same = [f"\\begin{{bmatrix}} {body(m)} \\end{{bmatrix}}", f"\\begin{{pmatrix}}{body(m)}\\end{{pmatrix}}", f"\\left(\\begin{{array}}{{{'c' * columns}}} {body(m)} \\end{{array}}\\right)",
                f"\\begin{{pmatrix}} {body(m)} \\\\ \\end{{pmatrix}}"]
        if rows > 1 and columns > 1:
            same.append("[" + ", ".join("[" + ", ".join(map(str, row)) + "]" for row in m) + "]")
        if columns == 1:
            same.append("(" + ", ".join(str(row[0]) for row in m) + ")")
        p.add("matrix", gold, r.choice(same), True)
        changed = [row[:] for row in m]
        changed[-1][-1] += r.choice([-1, 1, 5])
        wrong = [f"\\begin{{pmatrix}} {body(changed)} \\end{{pmatrix}}"]
        turned = [list(column) for column in zip(*m)]
        if turned != m:
            wrong.append(f"\\begin{{pmatrix}} {body(turned)} \\end{{pmatrix}}")
        p.add("matrix", gold, r.choice(wrong), False)


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


def times(a, b):
    out = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return out


def polynomials(p, r, count):
    for _ in range(count):
        x = r.choice("xxxntya")
        a, b = [r.randint(-9, 9) or 1, r.randint(1, 5)], [r.randint(-9, 9) or 2, r.randint(1, 5)]
        q = times(a, b)
        ta, tb = poly_text(a, x), poly_text(b, x)
        same = [(poly_text(q, x), LATEX), (poly_text(q, x, -1), LATEX), (f"({ta})({tb})", LATEX), (f"({tb})({ta})", LATEX), (f"\\left({ta}\\right)\\left({tb}\\right)", LATEX), (poly_text(q, x, 1, "*"), PLAIN),
                (f"({ta}) \\cdot ({tb})", LATEX), (f"-({poly_text([-c for c in q], x)})", LATEX)]
        gold = r.choice([poly_text(q, x), f"({ta})({tb})"])
        answer, style = r.choice(same)
        p.add("polynomial", gold, answer, True, style)
        changed = q[:]
        changed[r.randrange(3)] += r.choice([-2, -1, 1, 3])
        wrong = r.choice([poly_text(changed, x), poly_text([-c for c in q], x), poly_text(q, "z"), poly_text(q, x.upper())])
        p.add("polynomial", gold, wrong, False)
    for gold, answer, equal in [("x^2 + 2xy + y^2", "(x+y)^2", True), ("x^2 + 2xy + y^2", "x^2+y^2", False), ("(x+1)^5", "x^5+5x^4+10x^3+10x^2+5x+1", True), ("a^2-b^2", "(a-b)(a+b)", True), ("2x", "2X", False),
                                ("ab", "ba", True), ("x^3-1", "(x-1)(x^2+x+1)", True), ("n(n+1)/2", "\\frac{n^2+n}{2}", True), ("\\frac{n(n+1)}{2}", "\\frac{n(n-1)}{2}", False), ("2^{n+1}", "2 \\cdot 2^n", True),
                                ("2^{n+1}", "2^n + 1", False), ("x\\sqrt{x}", "x^{3/2}", True), ("|x|", "\\sqrt{x^2}", True), ("x", "\\sqrt{x^2}", False), ("x_1 + x_2", "x_2 + x_1", True), ("x_1", "x_2", False), ("3x - 7", "3x + (-7)", True)]:
        p.add("polynomial", gold, answer, equal)


def rational_functions(p, r, count):
    for _ in range(count):
        a, b, c = r.randint(1, 9), r.randint(1, 9), r.randint(2, 7)
        if a == b:
            continue
        rows = [(f"\\frac{{{c}}}{{x+{a}}}", [f"\\frac{{{c}(x+{b})}}{{(x+{a})(x+{b})}}", f"\\frac{{{2 * c}}}{{2x+{2 * a}}}", f"{c}/(x+{a})", f"{c}(x+{a})^{{-1}}"], [f"\\frac{{{c}}}{{x-{a}}}", f"\\frac{{{c}}}{{x}}+{a}", f"\\frac{{x+{a}}}{{{c}}}"]),
                (f"\\frac{{1}}{{x+{a}}} + \\frac{{1}}{{x+{b}}}", [f"\\frac{{2x+{a + b}}}{{(x+{a})(x+{b})}}", f"\\frac{{2x+{a + b}}}{{x^2+{a + b}x+{a * b}}}", f"\\frac{{1}}{{x+{b}}} + \\frac{{1}}{{x+{a}}}"],
                 [f"\\frac{{2}}{{(x+{a})(x+{b})}}", f"\\frac{{2}}{{2x+{a + b}}}"]),
                (f"x + {a}", [f"\\frac{{x^2+{a}x}}{{x}}", f"\\frac{{(x+{a})^2}}{{x+{a}}}", f"\\frac{{{c}x+{c * a}}}{{{c}}}"], [f"\\frac{{x+{a}}}{{{c}}}", f"\\frac{{x^2+{a}}}{{x}}"])]
        gold, same, wrong = r.choice(rows)
        answer = r.choice(same)
        p.add("rational function", gold, answer, True, LATEX if "\\" in answer or "{" in answer else PLAIN)
        p.add("rational function", gold, r.choice(wrong), False)


def equations(p, r, count):
    for _ in range(count):
        m, c = r.choice([-4, -3, -2, 2, 3, 4, 5]), r.choice([-7, -5, -3, -1, 1, 2, 4, 6])
        sign = "+" if c > 0 else "-"
        gold = f"y = {m}x {sign} {abs(c)}"
        same = [f"y={m}x{sign}{abs(c)}", f"y = {c} {'+' if m > 0 else '-'} {abs(m)}x", f"{m}x - y {sign} {abs(c)} = 0", f"2y = {2 * m}x {sign} {2 * abs(c)}", f"{m}x {sign} {abs(c)}", f"y {'-' if c > 0 else '+'} {abs(c)} = {m}x"]
        wrong = [f"y = {m + 1}x {sign} {abs(c)}", f"y = {m}x {'-' if c > 0 else '+'} {abs(c)}", f"y = {-m}x {sign} {abs(c)}", f"{m}x + y {sign} {abs(c)} = 0"]
        p.add("equation", gold, r.choice(same), True)
        p.add("equation", gold, r.choice(wrong), False)
        v = r.randint(-20, 50) or 3
        p.add("assignment", str(v), r.choice([f"x = {v}", f"{v} = x", f"n={v}", f"x = {v - 1} + 1 = {v}", f"f(2) = {v}"]), True)
        p.add("assignment", r.choice([f"x = {v}", f"k={v}"]), r.choice([str(v), f"{v}.0"]), True)
        p.add("assignment", str(v), r.choice([f"x = {v + 1}", f"x^2 = {v}", f"2x = {v}", f"x + y = {v}"]), False)
    for gold, answer, equal in [("x^2 + y^2 = 4", "x^2+y^2-4=0", True), ("x^2 + y^2 = 4", "x^2+y^2=2", False), ("\\frac{x^2}{4}+y^2=1", "x^2+4y^2=4", True), ("f(x) = 2x+1", "2x + 1", True), ("f(x) = 2x+1", "f(x) = 1 + 2x", True),
                                ("f(x) = 2x+1", "f(x) = 2x - 1", False), ("x = 5", "y = 5", False), ("2", "x^2 = 2", False)]:
        p.add("equation", gold, answer, equal)


def inequalities(p, r, count):
    flip = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
    for _ in range(count):
        a, k, op = r.randint(-9, 12), r.randint(2, 5), r.choice(list(flip))
        gold = f"x {op} {a}"
        upright = {"<": "<", ">": ">", "\\le": "\\leq", "\\ge": "\\geq"}[op]
        same = [f"{a} {flip[op]} x", f"x{op} {a}", f"{k}x {op} {k * a}", f"-x {flip[op]} {-a}", f"x {upright} {a}"]
        strict = {"<": "\\le", ">": "\\ge", "\\le": "<", "\\ge": ">"}[op]
        wrong = [f"x {flip[op]} {a}", f"x {op} {a + 1}", f"x {strict} {a}", f"x = {a}"]
        p.add("inequality", gold, r.choice(same), True)
        p.add("inequality", gold, r.choice(wrong), False)
    for gold, answer, equal in [("-3 < x \\leq 2", "(-3, 2]", True), ("-3 < x \\leq 2", "2 \\ge x > -3", True), ("-3 < x \\leq 2", "-3 \\le x \\le 2", False), ("x + y > 2", "y > 2 - x", True), ("x + y > 2", "x + y < 2", False),
                                ("x > 1", "2x > 2", True), ("a \\ne 0", "a \\neq 0", True), ("x>=5", "x \\geq 5", True)]:
        p.add("inequality", gold, answer, equal)


def choices(p, r, count):
    for _ in range(count):
        letter = r.choice("ABCDE")
        other = r.choice([c for c in "ABCDE" if c != letter])
        gold = r.choice([letter, f"({letter})", f"\\text{{({letter})}}", f"\\text{{{letter}}}", f"\\textbf{{({letter})}}"])
        written = [(f"{letter}", BOTH), (f"({letter})", BOTH), (f"\\text{{{letter}}}", LATEX), (f"\\textbf{{({letter})}}", LATEX), (f"\\text{{({letter})}}", LATEX), (f"{letter}.", PLAIN), (f"({letter}) 42", PLAIN), (f"\\textbf{{({letter}) }} 17", LATEX)]
        answer, style = r.choice(written)
        p.add("choice", gold, answer, True, style)
        answer, style = r.choice(written)
        p.add("choice", gold, answer.replace(letter, other) if "text" not in answer else f"\\text{{({other})}}", False, style)


def words(p, r, _):
    rows = [("Yes", ["yes", "\\text{Yes}", "YES", "Yes."], ["no", "\\text{No}"]), ("\\text{no}", ["No", "\\text{No}"], ["Yes"]), ("True", ["true", "\\text{True}"], ["False"]), ("even", ["\\text{even}", "Even"], ["odd", "\\text{odd}"]),
            ("\\text{Tuesday}", ["Tuesday", "tuesday", "\\textbf{Tuesday}"], ["Thursday", "Wednesday"]), ("Evelyn", ["\\text{Evelyn}", "Evelyn"], ["Briana", "\\text{Angela}"]), ("no solution", ["\\text{No solution}", "no solutions", "\\emptyset"], ["0", "infinitely many"]),
            ("\\text{ellipse}", ["ellipse", "an ellipse", "\\text{Ellipse}"], ["circle", "\\text{hyperbola}"]), ("\\text{undefined}", ["undefined", "Undefined"], ["0", "1"]), ("\\text{(C)}", ["C", "(C)"], ["D", "B"]), ("three", ["3", "\\text{three}", "Three"], ["four", "2"]),
            ("4", ["four", "\\text{four}"], ["five"]), ("\\infty", ["infinity", "+\\infty", "∞"], ["-\\infty", "0"]), ("does not exist", ["DNE", "\\text{does not exist}"], ["exists", "0"])]
    for gold, same, wrong in rows:
        for answer in same:
            p.add("words", gold, answer, True, LATEX if "\\" in answer else PLAIN)
        for answer in wrong:
            p.add("words", gold, answer, False, LATEX if "\\" in answer else PLAIN)


def degrees(p, r, count):
    for _ in range(count):
        d = r.randint(1, 179)
        f = Fraction(d, 180)
        gold = r.choice([f"{d}^\\circ", f"{d}^{{\\circ}}", f"{d}°", str(d)])
        same = [(f"{d}^\\circ", LATEX), (f"{d}°", PLAIN), (f"{d} degrees", PLAIN), (str(d), NUMBER), (f"{d}\\text{{ degrees}}", LATEX), (f"{d}^{{\\circ}}", LATEX), (f"{d}\\degree", LATEX)]
        answer, style = r.choice(same)
        p.add("degrees", gold, answer, True, style)
        p.add("degrees", gold, f"{180 - d if d != 90 else 45}^\\circ", False)
        if not gold.isdigit():
            p.add("degrees", gold, f"\\frac{{{f.numerator}\\pi}}{{{f.denominator}}}", True)


def complex_numbers(p, r, count):
    for _ in range(count):
        a, b = r.randint(-9, 9) or 2, r.randint(1, 9)
        gold = f"{a} + {b}i"
        p.add("complex", gold, r.choice([f"{b}i + {a}", f"{a}+{b}i", f"{a} + {b}\\mathrm{{i}}", f"i({b} - {a}i)" if a > 0 else f"{a}+{b}i", f"{a} - {b}i^3", f"{a}+{b}\\sqrt{{-1}}"]), True)
        p.add("complex", gold, r.choice([f"{a} - {b}i", f"{-a} + {b}i", f"{a + b}", f"{b} + {a}i" if a != b else f"{a}i", f"{a}+{b}"]), False)
    for gold, answer, equal in [("-1", "i^2", True), ("1", "i^2", False), ("-1", "e^{i\\pi}", True), ("\\frac{1+i}{2}", "\\frac{1}{1-i}", True), ("-4", "(1+i)^4", True), ("e^{i\\pi/3}", "\\frac{1}{2}+\\frac{\\sqrt{3}}{2}i", True), ("\\cos\\theta + i\\sin\\theta", "e^{i\\theta}", True),
                                ("2i", "\\sqrt{-4}", True), ("2i", "-2i", False)]:
        p.add("complex", gold, answer, equal)


def bases(p, r, count):
    def digits(n, b):
        text = ""
        while n:
            text = str(n % b) + text
            n //= b
        return text

    for _ in range(count):
        n, b = r.randint(20, 500), r.choice([2, 3, 5, 7, 8])
        gold = f"{digits(n, b)}_{{{b}}}" if b > 9 or r.random() < 0.5 else f"{digits(n, b)}_{b}"
        p.add("base", gold, r.choice([f"{digits(n, b)}_{b}", f"{digits(n, b)}_{{{b}}}", f"({digits(n, b)})_{b}"]), True)
        p.add("base", gold, r.choice([f"{digits(n + 1, b)}_{b}", digits(n, b)]), False)


def extraction(p, r, count):
    for _ in range(count):
        v, w = r.randint(10, 999), r.randint(1000, 9999)
        gold = str(v)
        for text, equal in [
                (f"First I get \\boxed{{{w}}}. Wait, that is not right... \\boxed{{{v}}}", True), (f"First I get \\boxed{{{v}}}. Wait, that is not right... \\boxed{{{w}}}", False), (f"The total is {w} dollars.\n#### {v}", True), (f"The total is {v} dollars.\n#### {w}", False),
                (f"<think>the answer is {w}</think> The answer is {v}.", True), (f"<think>the answer is {v}</think> The answer is {w}.", False), (f"The answer is {w} minus 3... no.\n\nThe answer is {v}.", True), (f"So 2 * 3 = 6 and 6 + {v - 6} = {v}.", True),
                (f"The result \\boxed{{{v}}} follows from {w} steps.", True), (f"The result \\boxed{{{w}}} follows from {v} steps.", False), (f"$\\boxed {{{v}}}$", True), (f"\\boxed{{{v}.}}", True), (f"\\boxed{{\\text{{{v}}}}}", True), (f"\\boxed{{\\mathbf{{{v}}}}}", True),
                (f"The answer is **{v}**.", True), (f"The answer is: **{w}**", False), (f"**Final Answer**\n\n\\[ \\boxed{{{v}}} \\]", True), (f"Answer: {v}\n", True), (f"I think it could be {v} or {w}.\n\nThe answer is {v} or {w}.", False), (f"\\boxed{{{v} \\text{{ or }} {w}}}", False),
                (f"The answer to the question is {v} because {w} is too large.", True), (f"So x = {w}/2 and y = {v}. The final answer is $y = {v}$.", True), (f"\\boxed{{x = {v}}}", True), (f"I cannot solve this.", False), ("", False), (f"The answer is \\boxed{{{v}", False)]:
            if r.random() < 0.12 * 26 / count:
                p.raw("extraction", gold, text, equal)
    for gold, text, equal in [("\\frac{1}{2}", "So $\\boxed{\\frac{1}{2}}$", True), ("\\frac{\\sqrt{3}}{2}", "Then $\\boxed{\\frac{\\sqrt{3}}{2}}$.", True), ("1, 2", "The solutions are $\\boxed{1}$ and $\\boxed{2}$.", True), ("1, 2", "The solutions are $x = \\boxed{2}$ or $\\boxed{1}$.", True),
                              ("\\{1, 2\\}", "Thus $\\boxed{\\{1, 2\\}}$.", True), ("72", "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nNatalia sold 48+24 = <<48+24=72>>72 clips altogether.\n#### 72", True), ("10", "He pays $18 a day.\nSo he has $10 left.", True), ("18", "She makes 9 * 2 = $<<9*2=18>>18 every day.\n#### 18", True),
                              ("5", "The answer is $x = 5$.", True), ("x+1", "Hence $f(x) = x + 1$.", True), ("\\frac{3}{4}", "The probability is 3/4.", True), ("0.75", "The probability is 3/4.", True), ("12", "There are 12 apples left.", True), ("12", "There are 12 apples left over from 30.", False),
                              ("7", "#### Step 1: Add\n3 + 4\n\n#### Step 2: Conclude\nThe answer is 7.", True), ("A", "The correct option is (A).\n\nThe answer is (A).", True), ("B", "The answer is (A).", False), ("1/2", "Therefore, the answer is \\(\\dfrac{1}{2}\\)", True), ("65", "The total cost is $65.", True), ("65", "The total cost is $65.00", True)]:
        p.raw("extraction", gold, text, equal)


def large(p, r, _):
    for gold, answer, equal in [("5^{5^{5^5}}", "5^{5^{5^5}}", True), ("5^{5^{5^5}}", "5^{5^{5^4}}", False), ("7", "5^{5^{5^{5^5}}}", False), ("10^{100}", "1" + "0" * 100, True), ("10^{100}", "1" + "0" * 99, False), ("2^{1000} \\cdot 3", "3 \\cdot 2^{1000}", True), ("1000!", "1000 \\cdot 999!", True),
                                ("1e-7", "3e-7", False), ("0.0000001", "1e-7", True), ("9007199254740993", "9007199254740992", False), ("(x+1)^{1000}", "(x+1)^{999}(x+1)", True), ("e^{\\pi\\sqrt{163}}", "262537412640768744", False), ("1.0000000000000000001", "1", False)]:
        p.add("large", gold, answer, equal)


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
