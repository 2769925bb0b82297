"""Pairs with units, money and angles."""

from fractions import Fraction

from math_notation import LATEX, NUMBER, PLAIN, decimal, frac


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
