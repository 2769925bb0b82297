"""Pairs of intervals, sets, lists, tuples and matrices."""

from math_notation import LATEX, frac


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
