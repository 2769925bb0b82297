"""Pairs of words and choices, and where in a text the answer stands."""

from math_notation import BOTH, LATEX, PLAIN, frac


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
