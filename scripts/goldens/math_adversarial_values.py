"""Values in notations that are seldom met, and their neighbours."""

from fractions import Fraction

WRAPS = ["Hence $\\boxed{%s}$.", "So the answer is $%s$.", "We conclude:\n\n$$\\boxed{%s}$$\n", "**Answer:** \\(%s\\)", "<answer>$%s$</answer>"]
PLAIN_WRAPS = ["The answer is %s.", "<answer>%s</answer>", "**Answer:** %s", "Therefore, the final answer is: %s", "\\boxed{%s}"]


def pair(rows, r, kind, gold, answer, equal, plain=False):
    wraps = PLAIN_WRAPS if plain else WRAPS
    rows.add(kind, gold, r.choice(wraps) % answer, equal)


def table(rows, r, kind, entries, plain=False):
    """(gold, answers that equal it, answers that do not)"""
    for gold, same, wrong in entries:
        for answer in same:
            pair(rows, r, kind, gold, answer, True, plain)
        for answer in wrong:
            pair(rows, r, kind, gold, answer, False, plain)


def units(rows, r):
    a, b, c = r.randint(2, 9), r.randint(2, 9), r.randint(3, 19)
    table(rows, r, "unit-power", [
        (f"{a} m^2", [f"{a * 10000} cm^2", f"{a}\\,\\text{{m}}^2"], [f"{a * 100} cm^2", f"{a} m"]),
        (f"{b}\\text{{ L}}", [f"{b * 1000}\\text{{ cm}}^3", f"{b * 1000}\\text{{ mL}}"], [f"{b * 100}\\text{{ cm}}^3"]),
        (f"{a} \\text{{ ft}}^2", [f"{144 * a} \\text{{ in}}^2"], [f"{12 * a} \\text{{ in}}^2"]),
        (f"{c}\\text{{ m/s}}^2", [f"{100 * c}\\text{{ cm/s}}^2", f"{c}\\ \\mathrm{{m}}/\\mathrm{{s}}^2", f"{c}\\ \\mathrm{{m\\,s^{{-2}}}}"], [f"{c}\\text{{ m/s}}"]),
    ])
    table(rows, r, "unit-words", [
        (f"{3 * a} feet", [f"{a} yards", f"{36 * a} inches"], [f"{a} feet", f"{3 * a} meters"]),
        (f"{60 + 15 * a} minutes", [f"{Fraction(60 + 15 * a, 60)} hours", f"{(60 + 15 * a) // 60} hours {(60 + 15 * a) % 60} minutes" if (60 + 15 * a) % 60 else f"{60 + 15 * a} min"],
         [f"{60 + 15 * a} seconds", f"{60 + 15 * a} hours"]),
        (f"{12 * a + b} inches", [f"{a} feet {b} inches", f"{a} ft {b} in"], [f"{b} feet {a} inches"] if a != b else [f"{a + 1} feet {b} inches"]),
        (f"{a} days", [f"{24 * a} hours"], [f"{12 * a} hours"]),
        (f"{25 * a} cents", [f"${a * 25 / 100:.2f}", f"{25 * a}¢"], [f"${25 * a}"]),
        (f"-${c}", [f"$-{c}", f"-{c} dollars"], [f"${c}"]),
    ], plain=True)


def intervals(rows, r):
    a, d = r.randint(-9, 3), r.randint(2, 6)
    b = a + d
    m = Fraction(a + b, 2)
    mid = str(m) if m.denominator == 1 else f"\\frac{{{m.numerator}}}{{{m.denominator}}}" if m > 0 else f"-\\frac{{{-m.numerator}}}{{{m.denominator}}}"
    less = f"x - {mid}" if m > 0 else f"x + {mid.lstrip('-')}" if m < 0 else "x"
    half = Fraction(d, 2)
    half_text = str(half) if half.denominator == 1 else f"\\frac{{{half.numerator}}}{{{half.denominator}}}"
    table(rows, r, "interval", [
        (f"({a}, {b})", [f"]{a}, {b}[", f"({a}; {b})", f"|{less}| < {half_text}", f"\\{{x \\in \\mathbb{{R}} : {a} < x < {b}\\}}", f"\\bigl({a}, {b}\\bigr)", f"{b} > x > {a}"],
         [f"|{less}| \\le {half_text}", f"({-b}, {-a})" if a != -b else f"({a - 1}, {b})", f"{a} < x", f"|{less}| > {half_text}"]),
        (f"(-\\infty, {a}) \\cup ({a}, {b}]", [f"x \\le {b}, x \\ne {a}", f"(-\\infty, {b}] \\setminus \\{{{a}\\}}", f"({a}, {b}] \\cup (-\\infty, {a})"],
         [f"(-\\infty, {b}]", f"(-\\infty, {a}] \\cup ({a}, {b}]", f"(-\\infty, {a}) \\cup ({a}, {b})"]),
        (f"x < {a} \\text{{ or }} x \\ge {b}", [f"(-\\infty, {a}) \\cup [{b}, \\infty)", f"\\mathbb{{R}} \\setminus [{a}, {b})"], [f"{a} < x \\le {b}", f"(-\\infty, {a}] \\cup ({b}, \\infty)"]),
    ])


def sets(rows, r):
    p, q = r.choice([(1, 2), (3, 4), (7, 8)]), r.choice([2, 3, 5])
    n = r.randint(2, 9)
    dec = p[0] / p[1]
    table(rows, r, "set", [
        (f"\\left\\{{ -{n}, \\frac{{{p[0]}}}{{{p[1]}}}, \\sqrt{{{q}}} \\right\\}}", [f"\\{{\\sqrt{{{q}}}, {dec}, -{n}\\}}", f"\\sqrt{q}, -{n}, \\tfrac{p[0]}{p[1]}", f"\\{{ \\frac{{{q}}}{{\\sqrt{{{q}}}}}, -{n}, {dec} \\}}"],
         [f"\\{{-\\sqrt{{{q}}}, {dec}, -{n}\\}}", f"\\{{\\sqrt{{{q}}}, {dec}\\}}", f"\\{{{q}, {dec}, -{n}\\}}"]),
        (f"\\{{(1, {n}), (2, {n + 1})\\}}", [f"\\{{(2, {n + 1}), (1, {n})\\}}", f"(2, {n + 1}), (1, {n})", f"(1,{n}) \\text{{ and }} (2,{n + 1})"], [f"\\{{({n}, 1), ({n + 1}, 2)\\}}", f"\\{{(1, {n + 1}), (2, {n})\\}}"]),
        (f"\\{{0, \\pm {n}\\}}", [f"-{n}, 0, {n}", f"\\{{{n}, -{n}, 0\\}}", f"x = 0, x = {n}, x = -{n}"], [f"\\{{0, {n}\\}}", f"\\pm {n}"]),
    ])


def surds(rows, r):
    a, b = r.choice([(2, 3), (2, 5), (3, 5), (3, 7), (2, 7)])
    k = r.randint(2, 5)
    table(rows, r, "surd", [
        (f"\\sqrt{{{a}}} + \\sqrt{{{b}}}", [f"\\sqrt{{{a + b} + 2\\sqrt{{{a * b}}}}}", f"\\frac{{{b - a}}}{{\\sqrt{{{b}}} - \\sqrt{{{a}}}}}", f"\\sqrt{b}+\\sqrt{a}", f"{b}^{{1/2}} + {a}^{{1/2}}", f"√{a} + √{b}"],
         [f"\\sqrt{{{a + b}}}", f"\\sqrt{{{b}}} - \\sqrt{{{a}}}", f"\\sqrt{{{a + b} - 2\\sqrt{{{a * b}}}}}", f"\\sqrt{{{a + b} + \\sqrt{{{a * b}}}}}"]),
        (f"{k}\\sqrt[3]{{2}}", [f"\\sqrt[3]{{{2 * k ** 3}}}", f"{k} \\cdot 2^{{\\frac13}}", f"{2 * k}/\\sqrt[3]{{4}}"], [f"{k}\\sqrt{{2}}", f"\\sqrt[3]{{{2 * k}}}", f"3\\sqrt{{{2 * k}}}"]),
        (f"\\frac{{{k} + \\sqrt{{{b}}}}}{{2}}", [f"\\frac{{{k}}}{{2}} + \\frac{{\\sqrt{{{b}}}}}{{2}}", f"({k}+\\sqrt{{{b}}})/2", f"\\frac12({k} + \\sqrt{b})", f"0.5({k} + \\sqrt{{{b}}})"],
         [f"{k} + \\frac{{\\sqrt{{{b}}}}}{{2}}", f"\\frac{{{k} - \\sqrt{{{b}}}}}{{2}}", f"\\frac{{{k} + \\sqrt{{{b}}}}}{{4}}"]),
    ])


def percents(rows, r):
    n = r.choice([12, 37, 62, 87])
    eighths = {12: 1, 37: 3, 62: 5, 87: 7}[n]
    table(rows, r, "percent", [(f"{n}.5\\%", [f"\\frac{{{eighths}}}{{8}}", f"{n}\\frac{{1}}{{2}}\\%", f"0.{n}5", f"{n}.50\\ \\%", f"{n}.5\\text{{ percent}}"], [f"{n}.5", f"{n / 10 + .05:.2f}\\%", f"{n}\\%", f"0.{n}5\\%"])])
    table(rows, r, "percent", [(f"\\frac{{{eighths}}}{{8}}", [f"{n}.5%", f"{n}.5 percent", f"{eighths}/8 = {n}.5%", f"{eighths}/8 ({n}.5%)"], [f"{n}.5", f"{n + 1}.5%", f"8/{eighths}"])], plain=True)


def mixed_numbers(rows, r):
    w, (n, d) = r.randint(2, 9), r.choice([(1, 3), (2, 3), (3, 4), (2, 5), (5, 6)])
    top = w * d + n
    table(rows, r, "mixed", [
        (f"\\frac{{{top}}}{{{d}}}", [f"{w}\\tfrac{{{n}}}{{{d}}}", f"{w}\\,\\frac{{{n}}}{{{d}}}", f"{w} \\dfrac{n}{d}", f"{w} + \\frac{{{n}}}{{{d}}}", f"\\frac{{{2 * top}}}{{{2 * d}}}"],
         [f"{w} \\cdot \\frac{{{n}}}{{{d}}}", f"{w} - \\frac{{{n}}}{{{d}}}", f"{w}\\frac{{{n + 1}}}{{{d + 2}}}", f"-{w}\\frac{{{n}}}{{{d}}}"]),
        (f"-{w}\\frac{{{n}}}{{{d}}}", [f"-\\frac{{{top}}}{{{d}}}", f"\\frac{{-{top}}}{{{d}}}", f"-\\left({w} + \\frac{{{n}}}{{{d}}}\\right)"], [f"-{w} + \\frac{{{n}}}{{{d}}}", f"{w}\\frac{{{n}}}{{{d}}}"]),
    ])
    table(rows, r, "mixed", [(f"{w}\\frac{{{n}}}{{{d}}}", [f"{w} {n}/{d}", f"{top}/{d}", f"{w} and {n}/{d}"], [f"{w}*{n}/{d}", f"{w}-{n}/{d}", f"{w + 1} {n}/{d}"])], plain=True)


def repeating(rows, r):
    n = r.choice([1, 2, 4, 5])
    block = f"{n * 142857:06d}"
    table(rows, r, "repeating", [
        (f"\\frac{{{n}}}{{7}}", [f"0.\\overline{{{block}}}", f"0.\\dot{{{block[0]}}}{block[1:5]}\\dot{{{block[5]}}}"], [f"0.{block}", f"0.\\overline{{{block[1:]}}}", f"0.{block[:3]}"]),
        (f"0.{n}\\overline{{6}}", [f"\\frac{{{3 * n + 2}}}{{30}}", f"0.{n}666\\ldots"], [f"0.\\overline{{{n}6}}", f"0.{n}6", f"0.{n}667"]),
    ])


def scientific(rows, r):
    m, e = r.randint(11, 99), r.randint(5, 8)
    digits = f"{m / 10:.1f}"
    plain = m * 10 ** (e - 1)
    table(rows, r, "scientific", [
        (f"{digits} \\times 10^{{{e}}}", [f"{digits}\\cdot 10^{e}", f"{plain:,}", f"{m} \\times 10^{{{e - 1}}}", f"{digits}\\text{{e}}{e}", f"\\mathrm{{{digits}e{e}}}", f"{digits} × 10^{e}"], [f"{digits} \\times 10^{{{e + 1}}}", f"{digits} \\times {e}^{{10}}", f"{digits} \\times 10^{{-{e}}}"]),
        (f"{digits} \\times 10^{{-{e}}}", [f"0.{'0' * (e - 1)}{m}", f"\\frac{{{digits}}}{{10^{{{e}}}}}"], [f"0.{'0' * e}{m}", f"-{digits} \\times 10^{{{e}}}"]),
    ])
    table(rows, r, "scientific", [(f"{digits} \\times 10^{e}", [f"{digits}E+{e:02d}", f"{digits}e{e}", f"{digits}*10^{e}", f"{digits} x 10^{e}"], [f"{digits}E-{e:02d}", f"{digits}"])], plain=True)


def latex_variants(rows, r):
    n, d = r.choice([(1, 2), (3, 4), (5, 8)])
    k = r.randint(2, 9)
    table(rows, r, "latex", [
        (f"\\frac{{{n}}}{{{d}}}", [f"{{{n} \\over {d}}}", f"\\cfrac{{{n}}}{{{d}}}", f"\\displaystyle\\frac{{{n}}}{{{d}}}", f"\\left.\\frac{{{n}}}{{{d}}}\\right.", f"{n}\\!/\\!{d}", f"\\frac{n}{d}", f"\\frac {n} {d}", f"\\mathbf{{\\frac{{{n}}}{{{d}}}}}", f"\\frac{{\\,{n}\\,}}{{\\,{d}\\,}}", f"{n} \\div {d}"],
         [f"\\frac{{{d}}}{{{n}}}", f"\\frac{{{n}}}{{-{d}}}", f"{n}{d}", f"\\frac{{{n}}}{{{d}0}}"]),
        (f"{k}\\pi r^2", [f"{k} \\cdot \\pi \\cdot r^{{2}}", f"{k}\\,\\pi\\,r^2", f"\\pi {k} r r", f"{k}πr²"], [f"({k}\\pi r)^2", f"{k}\\pi r_2", f"{k}\\pi^2 r", f"{k}\\pi R^2"]),
        (f"\\dbinom{{{k + 4}}}{{3}}", [f"{{{k + 4} \\choose 3}}", f"{(k + 4) * (k + 3) * (k + 2) // 6}", f"\\frac{{{k + 4}!}}{{3!\\,{k + 1}!}}", f"\\binom{{{k + 4}}}{{{k + 1}}}"], [f"\\binom{{3}}{{{k + 4}}}", f"\\frac{{{k + 4}!}}{{{k + 1}!}}", f"\\binom{{{k + 4}}}{{2}}"]),
        (f"{k}−{2 * k}", [f"-{k}", f"−{k}"], [f"{k}"]),
    ])


def algebra(rows, r):
    a, b, c = r.randint(1, 6), r.randint(1, 6), r.randint(2, 5)
    table(rows, r, "algebra", [
        (f"(x - {a})^2 + (y + {b})^2 = {c * c}", [f"x^2 + y^2 - {2 * a}x + {2 * b}y + {a * a + b * b - c * c} = 0".replace("+ -", "- "), f"{c * c} = ({a} - x)^2 + (y + {b})^2"], [f"(x + {a})^2 + (y - {b})^2 = {c * c}", f"(x - {a})^2 + (y + {b})^2 = {c}"]),
        (f"y = {c}x + {b}", [f"y - {c + b} = {c}(x - 1)", f"{c}x - y = -{b}", f"x = \\frac{{y - {b}}}{{{c}}}"], [f"y = {c}x - {b}", f"x = {c}y + {b}", f"y = -{c}x + {b}"]),
        (f"\\frac{{1}}{{{c}x}}", [f"\\frac{{x^{{-1}}}}{{{c}}}", f"({c}x)^{{-1}}", f"1/({c}x)"], [f"\\frac{{1}}{{{c}}}x", f"{c}x^{{-1}}"]),
        (f"x^2 - {a * a}", [f"(x-{a})(x+{a})", f"-({a * a} - x^2)"], [f"(x-{a})^2", f"x^2 + {a * a}", f"x - {a}"]),
        (f"{c}(x+{a})^2", [f"{c}x^2 + {2 * a * c}x + {a * a * c}", f"{c}(x+{a})(x+{a})"], [f"({c}x + {a * c})^2", f"{c}x^2 + {a * a * c}"]),
    ])


def functions(rows, r):
    k = r.randint(2, 5)
    table(rows, r, "function", [
        (f"\\sin {2 * k}x", [f"2\\sin {k}x\\cos {k}x", f"\\sin({2 * k}x)"], [f"2\\sin {k}x", f"{2 * k}\\sin x", f"\\sin^2 {k}x"]),
        (f"\\cos^2 x - \\sin^2 x", ["\\cos 2x", "1 - 2\\sin^2 x", "2(\\cos x)^2 - 1"], ["\\cos x^2 - \\sin x^2", "1", "2\\sin^2 x - 1"]),
        ("|x|", ["\\sqrt{x^2}", "\\max(x, -x)", "\\lvert -x \\rvert"], ["x", "-x", "\\sqrt{x}^2 + 1"]),
        (f"{k}\\ln x", [f"\\ln x^{k}" if k % 2 else f"\\ln x + {k - 1}\\ln x", f"\\log_e (x) \\cdot {k}"], [f"(\\ln x)^{k}", f"\\ln {k}x", f"\\frac{{\\ln x}}{{{k}}}"]),
        ("\\frac{\\pi}{2}", ["\\arcsin x + \\arccos x", "\\arctan 2 + \\arctan \\frac12"], ["\\arctan x + \\arctan \\frac{1}{x}", "\\arctan x + \\arctan x"]),
        ("x", ["\\ln e^x", "\\tan(\\arctan x)", "\\sqrt[3]{x^3}"], ["\\sqrt{x^2}", "\\arctan(\\tan x)", "e^{\\ln |x|}"]),
        (f"e^{{{k}x}}", [f"(e^x)^{k}", f"\\exp({k}x)"], [f"e^{{x^{k}}}", f"{k}e^x"]),
    ])


def complex_forms(rows, r):
    k = r.randint(2, 6)
    table(rows, r, "complex", [
        (f"{k} + {k}\\sqrt{{3}} i", [f"{2 * k}e^{{i\\pi/3}}", f"{2 * k}\\left(\\cos\\frac{{\\pi}}{{3}} + i\\sin\\frac{{\\pi}}{{3}}\\right)", f"{k}(1 + i\\sqrt{{3}})", f"{2 * k}e^{{7\\pi i/3}}"], [f"{2 * k}e^{{i\\pi/6}}", f"{k} - {k}\\sqrt{{3}} i", f"{2 * k}e^{{-i\\pi/3}}", f"{k} + \\sqrt{{3}} i"]),
        (f"\\frac{{1 + i}}{{{k}}}", [f"\\frac{{1}}{{{k}}} + \\frac{{i}}{{{k}}}", f"\\frac{{2}}{{{k}(1 - i)}}"], [f"\\frac{{1 - i}}{{{k}}}", f"1 + \\frac{{i}}{{{k}}}"]),
    ])


def sums(rows, r):
    n = r.randint(5, 20)
    total = n * (n + 1) // 2
    table(rows, r, "unreduced", [
        (str(total), [f"\\frac{{{n} \\cdot {n + 1}}}{{2}}", f"\\frac{{{n}({n}+1)}}{{2}}", f"{total - 7} + 7 = {total}", f"\\frac{{{n} \\times {n + 1}}}{{2}} = {total}"], [f"\\frac{{{n}({n}-1)}}{{2}}", f"{n} \\cdot {n + 1}", f"{total - 7} + 8", f"\\frac{{{n} \\times {n + 1}}}{{2}} = {total + 1}"]),
        (f"2^{{{n}}} - 1", [str(2 ** n - 1), f"-(1 - 2^{{{n}}})"], [str(2 ** n), f"2^{{{n} - 1}}", str(2 ** n + 1)]),
    ])
