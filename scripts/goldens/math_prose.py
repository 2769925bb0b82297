"""Completions around an answer: what models write before, around and after it."""

LEADS = [
    "Let's solve this step by step. First we collect what is given, then we compute.",
    "We have 3 cases to look at. In the first, 2 + 2 = 4, which does not help; the second gives $t = 7$, which is too large.",
    "To find it, note that $12 \\cdot 4 = 48$ and $48 - 6 = 42$ bound the quantity.",
    "Natalia had 48 clips in April and half as many in May, which is 24.",
    "Suppose first that the claim fails. Then \\( 1 = 2 \\), which is absurd.",
    "**Step 1:** set up the equation.\n\n**Step 2:** simplify both sides by 5.\n\n**Step 3:** conclude.",
    "I first guessed 17, but that was wrong, so I did it again.",
]


def boxed(rng, a):
    lead = rng.choice(LEADS)
    return rng.choice([
        f"{lead}\n\nThe final answer is $\\boxed{{{a}}}$.",
        f"{lead} So we get \\[\\boxed{{{a}}}\\]",
        f"{lead}\n\nTherefore, the answer is: $$\\boxed{{{a}}}$$",
        f"\\boxed{{{a}}}",
        f"{lead} Thus $\\boxed{{{a}}}$",
        f"{lead}\nHence $\\fbox{{{a}}}$ is what was asked for.",
        f"<think>\n{lead} Maybe $\\boxed{{99991}}$? No.\n</think>\n\nThe result is $\\boxed{{{a}}}$.",
        f"{lead} A first try gave $\\boxed{{99991}}$. Wait, that is wrong, I forgot a term. Now it is $\\boxed{{{a}}}$.",
    ])


def phrase_latex(rng, a):
    lead = rng.choice(LEADS)
    return rng.choice([
        f"{lead}\n\nThe answer is ${a}$.",
        f"{lead} So the final answer is \\({a}\\).",
        f"{lead}\n\n**Answer:** ${a}$",
        f"{lead}\n\nFinal answer: $${a}$$",
        f"{lead}\n<answer>${a}$</answer>",
        f"<think>{lead}</think><answer>\n{a}\n</answer>",
    ])


def phrase_plain(rng, a):
    lead = rng.choice(LEADS)
    return rng.choice([
        f"{lead}\n\nThe answer is {a}.",
        f"{lead} Final Answer: The final answer is {a}. I hope it is correct.",
        f"{lead}\n\n**Answer:** {a}",
        f"{lead}\n\nAnswer: {a}",
        f"{lead} The answer is {a}, because nothing else is left.",
        f"{lead}\n<answer>{a}</answer>",
        f"<think>{lead}</think>\n<answer> {a} </answer>",
    ])


def hashes(rng, a):
    lead = rng.choice(LEADS)
    return f"{lead}\n" + rng.choice([f"#### {a}", f"####{a}", f"####  {a}\n", f"#### **{a}**"])


def last_number(rng, a):
    return rng.choice([
        f"She sells 16 - 3 - 4 = 9 eggs a day. She makes 9 * 2 = {a}",
        f"There were 15 of them at first. In the end {a} are left.",
        f"Half of 48 is 24. Altogether that makes {a}.",
        f"First 3 * 4 = 12.\nThen 12 + 1 = 13.\nSo the total = {a}",
    ])
