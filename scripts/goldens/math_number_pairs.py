"""Pairs whose answers are numbers in digits."""

from fractions import Fraction

from math_notation import BOTH, LATEX, NUMBER, PLAIN, decimal, frac, grouped, slash


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


def large(p, r, _):
    for gold, answer, equal in [("5^{5^{5^5}}", "5^{5^{5^5}}", True), ("5^{5^{5^5}}", "5^{5^{5^4}}", False), ("7", "5^{5^{5^{5^5}}}", False), ("10^{100}", "1" + "0" * 100, True), ("10^{100}", "1" + "0" * 99, False), ("2^{1000} \\cdot 3", "3 \\cdot 2^{1000}", True), ("1000!", "1000 \\cdot 999!", True),
                                ("1e-7", "3e-7", False), ("0.0000001", "1e-7", True), ("9007199254740993", "9007199254740992", False), ("(x+1)^{1000}", "(x+1)^{999}(x+1)", True), ("e^{\\pi\\sqrt{163}}", "262537412640768744", False), ("1.0000000000000000001", "1", False)]:
        p.add("large", gold, answer, equal)
