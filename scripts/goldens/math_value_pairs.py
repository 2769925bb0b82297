"""Pairs of exact values: surds, powers, pi and e, logarithms, trigonometry."""

from fractions import Fraction

from math_notation import BOTH, LATEX, NUMBER, PLAIN, frac


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
