"""Pairs with symbols: polynomials, rational functions, equations, inequalities."""

from math_notation import LATEX, PLAIN, frac, poly_text


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
