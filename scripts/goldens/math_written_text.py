"""The sentences, boxes and Markdown in which language models hand over an answer (make_math_written.py)."""

WORKING = "First, we look at what is given. There are 3 steps and 2 of them are easy."

OPENINGS = ("", "Let's solve this step by step.\n\n", "### Step 1\n\nWe set up the equation and simplify.\n\n", "To solve this, let's break it down.\n\n1. Start with 12.\n2. Add 7.\n\n",
            "Okay, so let me think.\n\n", WORKING + "\n\n")

# What follows the answer, where something does.
ENDINGS = ("", "", "", "\n", "\n\n")


def chat(rng, ending):
    return rng.choice(OPENINGS) + ending + rng.choice(ENDINGS)


box_styles = (
    lambda a: f"$\\boxed{{{a}}}$",
    lambda a: f"Therefore, the final answer is:\n\n\\[\n\\boxed{{{a}}}\n\\]",
    lambda a: f"The final answer is $\\boxed{{{a}}}$. I hope it is correct.",
    lambda a: f"**Final Answer**\n\n$$\\boxed{{{a}}}$$",
    lambda a: f"Thus, we have\n$$\n\\boxed{{{a}}}.\n$$",
    lambda a: f"So, the answer is \\(\\boxed{{{a}}}\\).",
    lambda a: f"### Final Answer:\n\\boxed{{{a}}} ✅",
    lambda a: f"$\\boxed{{ {a} }}$\n\nLet me know if you would like more detail!",
)

plain_styles = (
    lambda a: f"**Answer:** {a}",
    lambda a: f"The answer is {a}.",
    lambda a: f"Final Answer: {a}",
    lambda a: f"Therefore, the answer is **{a}**.",
    lambda a: f"<answer>{a}</answer>",
    lambda a: f"### Answer\n\nThe final answer is: {a}",
    lambda a: f"So the answer should be {a}.",
    lambda a: f"*Answer: {a}*",
)

sentence_styles = (
    lambda a, noun: f"Therefore, the total is {a} {noun}".rstrip() + ".",
    lambda a, noun: f"So in the end there are **{a} {noun}".rstrip() + "**.",
    lambda a, noun: f"Thus, we get 5 + 3 = 8 and then finally {a} {noun}".rstrip() + ".",
    lambda a, noun: f"The result is therefore {a} {noun}".rstrip(),
    lambda a, noun: f"Adding these up gives a total of {a} {noun}".rstrip() + " in all.",
    lambda a, noun: f"**Conclusion:** It comes to {a} {noun}".rstrip() + "!",
)
