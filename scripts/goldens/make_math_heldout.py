#!/usr/bin/env python3
"""Writes tests/golden/math/heldout.jsonl: a second set, made by other means than make_math_pairs.py. Needs sympy.

    python3 scripts/goldens/make_math_heldout.py [--seed 77] > tests/golden/math/heldout.jsonl

Random expressions are rewritten by sympy (expand, factor, together, apart, rewriting of roots and logarithms) and printed by its own
LaTeX and text printers, which write mathematics quite unlike make_math_pairs.py; unequal pairs are perturbed and differ in value
at 60 digits. The prose around the answers is other prose too.
"""

import argparse
import json
import random

import sympy as sp

x, y, n, t = sp.symbols("x y n t", real=True)

PROSE = [
    "Setting things up carefully, we obtain $$ {formula} $$\n\nSo the final answer is:\n$$\\boxed{{{formula}}}$$",
    "**Solution.** One checks the two boundary cases 0 and 1 first. $\\blacksquare$\n\n### Final Answer\n\n$$\n\\boxed{{ {formula} }}\n$$\n",
    "Okay, so the user wants a value. Let me think. </think>\n\nAfter simplification:\n\n\\[\n\\boxed{{{formula}}}\n\\]\n\nLet me know if you need more detail!",
    "The answer is: ${formula}$",
    "... therefore the requested quantity equals something nice. The correct answer is \\({formula}\\).",
    "\\begin{{align*}} a &= b + 1 \\\\ &= 5 \\end{{align*}}\nThus our answer is $\\boxed{{{formula}}}$.",
    "<think>hmm, 3? or 4?</think>\n<answer>\\({formula}\\)</answer>",
    "$\\boxed{{{formula}}}$ is the value, which one can confirm numerically (about 12 decimal places agree).",
]
PLAIN_PROSE = [
    "Computation done. Answer: {formula}",
    "<answer>{formula}</answer>",
    "Putting both parts together we conclude.\n\nThe final answer is {formula}.",
    "\\boxed{{{formula}}}",
]


def different(a, b):
    """Do the expressions differ at some points by more than rounding?"""
    symbols = sorted((a - b).free_symbols, key=str)
    for k in range(1, 4):
        point = {s: sp.Rational(7 * k + i, 5 + k) for i, s in enumerate(symbols)}
        if abs(sp.N((a - b).subs(point), 60)) > 1e-30:
            return True
    return False


def constants(r):
    s = [sp.sqrt(r.choice([2, 3, 5, 6, 7])) for _ in range(2)]
    q = [sp.Rational(r.randint(-12, 12) or 1, r.randint(1, 9)) for _ in range(3)]
    return r.choice([
        ("surd", lambda: q[0] + q[1] * s[0], [sp.together, sp.radsimp, lambda e: 1 / sp.radsimp(1 / e)]),
        ("surd", lambda: q[0] / (s[0] + abs(q[1])), [sp.radsimp, sp.together]),
        ("surd", lambda: (s[0] + q[0]) ** 2, [sp.expand, lambda e: sp.nsimplify(sp.expand(e))]),
        ("surd", lambda: s[0] * s[1] + q[0], [sp.expand, sp.together]),
        ("pi", lambda: q[0] * sp.pi + q[1], [sp.together, sp.factor]),
        ("pi", lambda: q[0] * sp.pi ** 2 / (q[1] ** 2 + 1), [sp.together, sp.expand]),
        ("log", lambda: sp.log(abs(q[0].p) + 1) - sp.log(abs(q[1].p) + 2), [lambda e: sp.logcombine(e, force=True), sp.expand]),
        ("e", lambda: (sp.E ** 2 + q[0]) ** 2, [sp.expand, lambda e: sp.factor(sp.expand(e))]),
        ("trigonometry", lambda: sp.sin(sp.pi * sp.Rational(r.choice([1, 2, 5, 7]), r.choice([8, 12, 5, 24])), evaluate=False), [lambda e: e.doit(), lambda e: e.rewrite(sp.cos)]),
        ("trigonometry", lambda: sp.atan(q[2], evaluate=False), [lambda e: sp.acot(1 / q[2], evaluate=False), lambda e: sp.pi / 2 - sp.atan(1 / q[2]) if q[2] > 0 else -sp.pi / 2 - sp.atan(1 / q[2])]),
        ("complex", lambda: (q[0] + q[1] * sp.I) * (q[2] - sp.I), [sp.expand, lambda e: sp.expand(e).simplify()]),
        ("number", lambda: q[0] + q[1] * q[2], [sp.nsimplify]),
    ])


def functions(r):
    a, b, c, d = (r.randint(-7, 7) or 2 for _ in range(4))
    return r.choice([
        ("polynomial", lambda: (a * x + b) * (c * x ** 2 + d), [sp.expand, sp.factor]),
        ("polynomial", lambda: (x + a * y) ** 3 - b * x * y, [sp.expand, lambda e: sp.collect(sp.expand(e), x)]),
        ("polynomial", lambda: (n + a) * (n + b) * (n + c), [sp.expand, lambda e: sp.horner(sp.expand(e))]),
        ("rational function", lambda: a / (x + 11) + b / (x - 13), [sp.together, lambda e: sp.apart(sp.together(e)), sp.factor]),
        ("rational function", lambda: (x ** 2 + abs(a)) / (x + 9) + c, [sp.together, sp.apart]),
        ("rational function", lambda: (x + a) / (y + b) - d, [sp.together, sp.expand]),
        ("roots", lambda: sp.sqrt(t + 1) * (t + a), [sp.expand, lambda e: sp.expand(e)]),
        ("exponential", lambda: sp.exp(2 * x + a) + b, [lambda e: sp.expand(e), lambda e: sp.exp(a) * sp.exp(x) ** 2 + b]),
        ("trigonometry", lambda: sp.sin(x) ** 2 * a + b * sp.cos(x) ** 2, [lambda e: sp.simplify(e), lambda e: e.rewrite(sp.exp), lambda e: e.subs(sp.sin(x) ** 2, 1 - sp.cos(x) ** 2)]),
        ("trigonometry", lambda: sp.sin(2 * x) + a * sp.cos(2 * x), [sp.expand_trig, lambda e: sp.expand_trig(e).expand()]),
        ("derivative", lambda: x ** 3 * sp.log(x) + a * x, [lambda e: sp.factor(e), lambda e: sp.expand(e)]),
    ])


def written(r, e):
    """How sympy prints it, in LaTeX or as text."""
    way = r.choice(["latex", "latex", "latex", "text"])
    if way == "text":
        return str(e), False
    return sp.latex(e, **r.choice([{}, {"fold_short_frac": True}, {"mul_symbol": "dot"}, {"ln_notation": True}])), True


def expressions(r, rows, count):
    while len(rows) < count:
        kind, make, rewrites = r.choice([constants, functions])(r)
        e = make()
        if e.has(sp.zoo, sp.nan):
            continue
        other = r.choice(rewrites)(e)
        if r.random() < 0.5:
            e, other = other, e
        equal = r.random() < 0.55
        if not equal:
            other = r.choice([lambda v: v + 1, lambda v: -v, lambda v: 2 * v, lambda v: v.subs({2: 3}), lambda v: v.subs({x: x + 1}), lambda v: v + sp.Rational(1, 1000)])(other)
            if not different(e, other):
                continue
        gold, _ = written(r, e)
        answer, latex = written(r, other)
        if "log" in gold + answer and ("\\log" in gold) != ("\\log" in answer) and "log" in gold and "log" in answer:
            continue  # \log beside \ln is two notations for one function here, but not everywhere
        prose = r.choice(PROSE if latex else PLAIN_PROSE)
        rows.append({"kind": kind, "gold": r.choice(["{}", "${}$"]).format(gold), "completion": prose.format(formula=answer), "equal": equal, "answer": answer})


def numbers(r, rows, count):
    """Word problems: the gold is a number, the completion a story that ends with one."""
    names = ["Weng", "Tina", "Ken", "Lara"]
    for _ in range(count):
        a, b = r.randint(3, 400), r.randint(2, 30)
        v = a * b
        wrong = r.choice([a + b, v + b, v - 1, v * 10])
        equal = r.random() < 0.55
        s = v if equal else wrong
        if not equal and wrong == v:
            continue
        name = r.choice(names)
        text = r.choice([
            f"{name} buys {a} boxes with {b} pens each, so {a} x {b} = {s} pens.\n\n#### {s:,}",
            f"{name} has {a} rows of {b} seats.\nTotal: {a} * {b} = {s}\nThe answer is {s:,}.",
            f"Each of the {b} friends gets {a}. Altogether: ${a} \\times {b} = {s}$. So, \\boxed{{{s}}}.",
            f"{name} earns \\${a} an hour for {b} hours: \\${a} \\cdot {b} = \\${s}. **{name} earns \\${s}.**\n\nAnswer: \\${s:,}.00",
            f"{name} walks {a} m, {b} times.\nThat is {s} m in total.\nThe final answer is $\\boxed{{{s}\\text{{ m}}}}$",
            f"{a} times {b} makes {s}",
            f"It is $\\boxed{{{s:,}}}$ since ${a} \\cdot {b} = {s}$ (and not {s + 7}).".replace(",", "{,}" if r.random() < 0.3 else ","),
            f"<think>{a}*{b}... {s + 3}? no</think>\nThe answer is \\({s}\\) pens.",
        ])
        gold = r.choice([str(v), f"{v:,}", f"{name} has {a} * {b} = <<{a}*{b}={v}>>{v}.\n#### {v}"])
        rows.append({"kind": "story", "gold": gold, "completion": text, "equal": equal})


def structures(r, rows, count):
    """Solution sets, intervals and vectors, as sympy prints its objects."""
    for _ in range(count):
        roots = r.sample([sp.Integer(k) for k in range(-9, 10)] + [sp.Rational(1, 2), sp.sqrt(2), -sp.sqrt(3), sp.pi], r.randint(2, 3))
        low = sp.Rational(r.randint(-30, 10), r.choice([1, 1, 2, 3]))
        high = low + sp.Rational(r.randint(1, 30), r.choice([1, 2]))
        equal = r.random() < 0.55
        kind = r.choice(["set", "interval", "vector", "matrix", "halfline", "system"])
        if kind == "set":
            other = roots[:] if equal else roots[:-1] + [roots[-1] + r.choice([1, sp.Rational(1, 2)])]
            if not equal and set(other) == set(roots):
                continue
            r.shuffle(other)
            gold = sp.latex(sp.FiniteSet(*roots))
            answer = r.choice([lambda: "\\{" + ", ".join(sp.latex(v) for v in other) + "\\}", lambda: ", ".join(sp.latex(v) for v in other), lambda: "x \\in " + sp.latex(sp.FiniteSet(*other))])()
        elif kind == "interval":
            left, right = r.random() < 0.5, r.random() < 0.5
            i = sp.Interval(low, high, left, right)
            j = i if equal else r.choice([sp.Interval(low, high, not left, right), sp.Interval(low - 1, high, left, right), sp.Interval(low, high + sp.Rational(1, 10), left, right)])
            gold, answer = sp.latex(i), r.choice([sp.latex(j), sp.latex(j.as_relational(sp.Symbol("x")).args[0].__class__) if False else sp.latex(j)])
            if r.random() < 0.4:
                answer = f"{sp.latex(j.start)} {'<' if j.left_open else chr(92) + 'leq'} x {'<' if j.right_open else chr(92) + 'leq'} {sp.latex(j.end)}"
        elif kind == "vector":
            other = roots[:] if equal else roots[::-1]
            if not equal and other == roots:
                continue
            gold = sp.latex(tuple(roots))
            answer = r.choice(["\\left( " + " , ".join(sp.latex(v) for v in other) + " \\right)", "\\langle " + ", ".join(sp.latex(v) for v in other) + " \\rangle"])
        elif kind == "matrix":
            m = sp.Matrix(2, 2, lambda i, j: sp.Rational(r.randint(-9, 9), r.choice([1, 1, 2])))
            k = m if equal else m.T if m != m.T else m + sp.eye(2)
            gold, answer = sp.latex(m), sp.latex(k, mat_str=r.choice(["matrix", "array"]), mat_delim=r.choice(["[", "("]))
        elif kind == "halfline":
            gold = f"\\left({sp.latex(low)}, \\infty\\right)"
            answer = r.choice([f"x > {sp.latex(low)}", f"{sp.latex(low)} < x"]) if equal else r.choice([f"x \\geq {sp.latex(low)}", f"x < {sp.latex(low)}", f"x > {sp.latex(high)}"])
        else:
            a, b = r.randint(-9, 9), r.randint(-9, 9)
            if a == b:
                continue
            gold = f"({a}, {b})"
            answer = r.choice([f"x = {a}, \\quad y = {b}", f"(x, y) = ({a}, {b})", f"\\begin{{cases}} x = {a} \\\\ y = {b} \\end{{cases}}"]) if equal else r.choice([f"x = {b}, \\quad y = {a}", f"(x, y) = ({b}, {a})"])
        rows.append({"kind": kind, "gold": gold, "completion": r.choice(PROSE).format(formula=answer), "equal": equal, "answer": answer})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=77)
    r = random.Random(parser.parse_args().seed)
    rows = []
    expressions(r, rows, 420)
    numbers(r, rows, 160)
    structures(r, rows, 160)
    for row in rows:
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
