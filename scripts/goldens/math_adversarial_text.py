"""Where the answer stands in boxes within boxes, among remarks and in sentences that mislead."""

from fractions import Fraction


def boxes(rows, r):
    v, w = r.randint(12, 99), r.randint(100, 999)
    for text, equal in [
            (f"$\\boxed{{\\boxed{{{v}}}}}$", True), (f"\\boxed{{\\text{{The answer is }} {v}}}", True), (f"\\boxed{{\\fbox{{{v}}}}}", True), (f"\\boxed{{${v}$}}", True), (f"\\boxed{{\\({v}\\)}}", True),
            (f"\\boxed{{{{{v}}}}}", True), (f"\\boxed{{\\displaystyle {v}}}", True), (f"\\boxed{{\\textbf{{{v}}}}}", True), (f"\\boxed{{\\color{{red}}{{{v}}}}}", True), (f"\\boxed{{\\textcolor{{blue}}{{{v}}}}}", True),
            (f"\\boxed{{\\large {v}}}", True), (f"\\boxed{{N = {v}}}", True), (f"\\boxed{{~{v}~}}", True), (f"\\boxed{{ {v} }}\\ \\blacksquare", True), (f"$\\boxed{{{v}}}$ and not $\\text{{{w}}}$.", True),
            (f"\\boxed{{\\boxed{{{w}}}}}", False), (f"\\boxed{{{v}}} is a first guess; corrected: \\boxed{{{w}}}", False), (f"\\boxed{{{w}}} % {v}", False), (f"\\boxed{{{v}{w}}}", False), (f"\\boxed{{-{v}}}", False),
            (f"\\boxed{{{v} + {w}}}", False), (f"\\boxed{{{v}, {w}}}", False), (f"\\boxed{{\\frac{{{v}}}{{{w}}}}}", False)]:
        rows.add("box", str(v), text, equal)


def remarks(rows, r):
    a, b = r.randint(12, 60), r.randint(2, 9)
    v = a + b
    gold = str(v)
    for text, equal in [
            (f"The answer is {v} ({a} + {b}).", True), (f"\\boxed{{{v} \\text{{ (since }} {a} + {b} = {v})}}", True), (f"Answer: {v} (that is, {a} + {b})", True), (f"Answer: {v} (rounded down)", True),
            (f"**Answer: {v}** ({a} more than {b})", True), (f"The answer is {v} [{a} + {b}].", True), (f"The answer is {v}, i.e. {a} + {b}.", True), (f"The answer is {v}, which is {a} + {b}.", True),
            (f"The answer is {a} + {b} = {v}.", True), (f"The answer is {v} = {a} + {b}.", True), (f"<answer>{v} ({a} + {b})</answer>", True), (f"#### {v} ({a} + {b})", True), (f"Answer: {v}!", True),
            (f"Answer: {v} ✓", True), (f"The answer is simply {v}.", True), (f"The answer is exactly {v}.", True), (f"The answer would be {v}", True), (f"Answer → {v}", True), (f"answer = {v};", True),
            (f"The answer is {v + 1} ({a} + {b + 1}).", False), (f"The answer is {v} or {v + 1}.", False), (f"The answer is {v} (or {v + 1}).", False),
            (f"The answer is {a} ({v} - {b}).", False), (f"The answer is not {v}.", False), (f"The answer is {v - 1} (nearly {v}).", False), (f"The answer is {v}{b}.", False), (f"The answer is between {v} and {v + 5}.", False),
            (f"The answer is {v + 1}, not {v}.", False), (f"The answer is more than {v}.", False)]:
        rows.add("remark", gold, text, equal)
    half = Fraction(2 * b + 1, 2)
    for gold, text, equal in [
            (f"\\frac{{{half.numerator}}}{{2}}", f"The answer is {half.numerator}/2 (or {float(half)}).", True), (f"\\frac{{{half.numerator}}}{{2}}", f"The answer is {float(half)} ({half.numerator}/2).", True),
            (f"{b} km", f"The answer is {b} km ({1000 * b} m).", True), (f"{b}", f"The answer is {b} (B).", True), (f"\\sqrt{{2}}", "The answer is $\\sqrt{2}$ (about 1.414).", True), (f"\\sqrt{{2}}", "The answer is 1.414 (about $\\sqrt{2}$).", False),
            (f"{b}", f"The answer is {b} (in lowest terms).", True), (f"x + {b}", f"The answer is $x + {b}$ (for $x > 0$).", True), (f"{b}(x+1)", f"The answer is ${b} (x + 1)$.", True), (f"{b}", f"The answer is ${b} (x + 1)$.", False)]:
        rows.add("remark", gold, text, equal)


def sentences(rows, r):
    v = r.randint(21, 89)
    w = v + r.randint(3, 9)
    gold = str(v)
    for text, equal in [
            (f"The answer isn't {w}; it's {v}.", True), (f"A tempting answer is {w}. But the correct answer is {v}.", True), (f"My answer: {w}. Let me check. {w} fails.\n\nCorrected answer: {v}", True), (f"Let the answer be $N$. Then $N = {v}$.", True),
            (f"So there are {v} of them in all, as 3 of the {w} candidates fail.\n\n**{v}**", True), (f"### Answer\n\n{v}", True), (f"**Answer**\n{v}", True), (f"Answer\n\n$$ {v} $$", True), (f"Final answer: **{v}**.", True),
            (f"The answer is therefore\n\n{v}", True), (f"Result: {v}\n\nNote: 100 % checked.", True), (f"answer is {w}\nanswer is {v}", True), (f"answer is {v}\nanswer is {w}", False),
            (f"If the answer were {v}, then 1 = 2. So the answer is {w}.", False), (f"The answer can't be {v}. So it is {w}.", False), (f"The answer lies in {{{v}, {w}}}.", False), (f"<answer>{w}</answer> (not {v})", False),
            (f"<think>{v}</think>{w}", False), (f"The answer is {w}. {v} was my first guess.", False)]:
        rows.add("sentence", gold, text, equal)


def times_of_day(rows, r):
    h, m = r.randint(1, 9), r.randint(10, 55)
    other = m + 1
    for gold, text, equal in [
            (f"{h}:{m} PM", f"The answer is {h}:{m} p.m.", True), (f"{h}:{m} PM", f"\\boxed{{{h}:{m}\\text{{ PM}}}}", True), (f"{h}:{m} PM", f"\\boxed{{{h}:{m} \\text{{ p.m.}}}}", True), (f"{h}:{m} PM", f"The answer is {h}:{m} AM.", False),
            (f"{h}:{m} PM", f"The answer is {h}:{other} PM.", False), (f"{h}:{m}", f"The answer is {h}:{m}.", True), (f"{h}:{m}", f"The answer is {h}:{other}.", False), ("3:2", "The ratio, which is the answer, is 6:4.", True),
            ("3:2", "The answer is $3 : 2$.", True), ("3:2", "The answer is 2:3.", False), ("3:2", "The answer is 3 to 2.", True)]:
        rows.add("colon", gold, text, equal)
