#!/usr/bin/env python3
"""Writes what tests/text/chat_template_test.cpp expects; jinja2, set up as transformers sets it up, is the oracle.

    python3 -m venv venv && venv/bin/pip install jinja2
    venv/bin/python scripts/goldens/make_chat_goldens.py tests/golden/templates [PUBLISHED_DIR]

snippets.jsonl       {"template", "text"} or {"template", "error": true}: one construct each, over the conversation SNIPPET_CHAT.
conversations.jsonl  the conversations, one a line.
renders.jsonl        {"template", "conversation", "add_generation_prompt", "text" or "error"} of *.jinja beside it.
published.jsonl      the same for templates as models publish them (PUBLISHED_DIR, not part of the project).
"""

import json
import pathlib
import sys

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

PUBLISHED = ["smollm2-instruct", "qwen2.5-instruct", "qwen2.5-trl-training", "zephyr-7b-beta", "phi-4", "phi-4-mini", "phi-3-mini",
             "phi-3.5-mini", "llama-3-instruct", "llama-2-chat", "gemma-2-it", "gemma-3-it", "mistral-7b-instruct-v0.1",
             "mixtral-8x7b-instruct-v0.1", "mistral-nemo-instruct-2407", "mistral-7b-instruct-v0.3-tools", "deepseek-v3", "deepseek-v3.1",
             "deepseek-r1-distill", "qwen3", "qwen3-first-release", "qwen3-instruct-2507", "qwen3-trl-training", "qwq-32b", "llama-3.1-instruct"]
FULL = {"smollm2-instruct", "qwen2.5-instruct", "zephyr-7b-beta", "phi-4", "llama-3-instruct"}


class Generation(Extension):
    """transformers' {% generation %}: prints its body."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.Scope(body).set_lineno(line)


def make_environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


def chat(*turns):
    return [{"role": role, "content": content} for role, content in turns]


CONVERSATIONS = [
    chat(("user", "Hello")),
    chat(("system", "Be brief."), ("user", "What is 2 + 2?")),
    chat(("user", "Hi"), ("assistant", "Hello!"), ("user", "And now?")),
    chat(("system", "You solve problems."), ("user", "x^2 = 4"), ("assistant", "<think>\nroots\n</think>\n\nx = 2 or -2"), ("user", "ok")),
    chat(("user", "  spaces around \n"), ("assistant", "\n\n answer \n")),
    chat(("user", "")),
    chat(("user", "héllo 你好 😀 \"quoted\" {{ not }} {% a tag %} <|im_end|>")),
    chat(("assistant", "I begin")),
    chat(("user", "a"), ("user", "b")),
    chat(("tool", "42"), ("user", "use it")),
    [],
]
SNIPPET_CHAT = CONVERSATIONS[3]

SNIPPETS = [
    # text and white space
    "", "plain", "plain\n", "plain\n\n", "a\r\nb\rc\r\n", "{{ 'a' }}\n{{ 'b' }}\n", "x{# note #}y", "x\n  {# note #}\ny", "x {#- note -#} y",
    "{% if true %}\n  a\n{% endif %}\nb", "  {% if true %}a{% endif %}  b", "x  {% if true %}a{% endif %}", "x\n\t {% if true %}\n a{% endif %}",
    "x \n {%- if true -%} \n a \n {%- endif -%} \n y", "x\n  {%+ if true %}a{% endif +%}\nb", " {{- 'a' -}} b", "a {{- ' b ' -}} c",
    "{%- set x = 1 -%}\n\n {{ x }}", "{% if true %}{% endif %}   {% if true %}z{% endif %}", "  {{ 'a' }}\n  {% set x = 1 %}\n  {{ x }}",
    "{% for i in [1,2] %}\n  {% if i == 1 %}\n    one\n  {% endif %}\n{% endfor %}\nend", "a\n\n{%- if true %}b{% endif %}", "{ { % } }", "{", "a{", "{{ '}}' }}", "{{ {'a': {'b': 1}}['a']['b'] }}",
    "\u2003{%- if true %}a{% endif -%}\u2003b", "{% if true %}x{% endif %}\n\n\ny", "{{ 'a' -}}\n\n{{- 'b' }}\n\n  {% if true %}c{% endif %}",
    # literals and strings
    "{{ 'a\\nb\\t\\'\\\\' }}", '{{ "a\\"b" }}', "{{ 'a' 'b' \"c\" }}", "{{ '\\x41\\u00e9\\U0001F600' }}", "{{ '\\d\\.' }}", "{{ 'a\nb' }}", "{{ 'é你😀' }}",
    "{{ 12 }} {{ -3 }} {{ true }} {{ False }} {{ none }} {{ None }}", "{{ missing }}|{{ messages[0].missing }}|{{ messages[9] }}",
    # operators
    "{{ 1 + 2 * 3 - 4 }}", "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }}", "{{ 'a' + 'b' ~ 1 ~ none ~ missing ~ true }}", "{{ 'a' ~ 'b' + 'c' }}",
    "{{ [1] + [2] == [1, 2] }}", "{{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 'a' < 'b' }} {{ 3 >= 3 }} {{ 1 == true }} {{ 1 == '1' }} {{ none == none }} {{ missing == none }}",
    "{{ not true }} {{ not not 1 }} {{ true and 'x' }} {{ '' or 'y' }} {{ 0 or none }} {{ false and boom.x }}", "{{ not 1 == 2 }}", "{{ 'a' in 'cat' }} {{ 'x' not in 'cat' }} {{ 1 in [1] }} {{ 'role' in messages[0] }} {{ 'a' in missing }}",
    "{{ 'yes' if true else 'no' }}{{ 'yes' if false }}{{ 'a' if 0 else 'b' if 0 else 'c' }}", "{{ (1 + 2) * 3 }}", "{{ -2 * 3 }} {{ 2 - -3 }}", "{{ 1 if true and not false or false else 2 }}",
    "{{ 'a' + 'b' | upper }}", "{{ ('a' + 'b') | upper }}", "{{ 1 + 'a' }}", "{{ 'a' + none }}", "{{ missing + 'a' }}", "{{ missing.x }}", "{{ missing['x'] }}", "{{ 1 < 'a' }}", "{{ 1 // 0 }}", "{{ none | length }}",
    "{{ {'a': 1} == {'a': 1} }} {{ {'a': 1} == {'a': 2} }} {{ [1, [2]] == [1, [2]] }} {{ [] == {} }}", "{{ 5 is number }} {{ 5 is integer }} {{ true is boolean }} {{ true is integer }}",
    # subscripts and slices
    "{{ messages[0]['role'] }} {{ messages[-1].content }} {{ messages[0]['con' + 'tent'] }}", "{{ messages[1:] | length }} {{ messages[:-1] | length }} {{ messages[::-1][0].role }} {{ messages[::2] | length }} {{ messages[5:] | length }} {{ messages[-2:][0].role }}",
    "{{ 'héllo'[1] }} {{ 'héllo'[1:3] }} {{ 'héllo'[::-1] }} {{ 'abc'[9] }} {{ 'abc'[-9:9] }} {{ 'abc'[2:0:-1] }} {{ 'abc'[:] }}", "{{ messages['x'] }}", "{{ 'abc'[::0] }}", "{{ [1, 2, 3][1] }} {{ [[1, 2]][0][1] }}",
    # if, for, set
    "{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}", "{% if 0 %}a{% elif '' %}b{% else %}c{% endif %}", "{% if missing %}a{% endif %}{% if messages %}b{% endif %}{% if not [] %}c{% endif %}",
    "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }};{% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if loop.previtem }}>{{ loop.nextitem.role if loop.nextitem is defined }};{% endfor %}", "{% for m in messages if m.role == 'user' %}{{ loop.index }}/{{ loop.length }}{{ m.content }}{% endfor %}",
    "{% for x in [] %}a{% else %}none{% endfor %}", "{% for x in [1] %}a{% else %}none{% endfor %}", "{% for x in missing %}a{% else %}none{% endfor %}", "{% for c in 'aé' %}[{{ c }}]{% endfor %}", "{% for k in messages[0] %}{{ k }},{% endfor %}",
    "{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in messages[0] | items %}{{ k }}={{ v }};{% endfor %}", "{% for a, b in [[1, 2], [3, 4]] %}{{ a + b }},{% endfor %}", "{% for x in [1, 2] %}{% for y in [3, 4] %}{{ loop.index }}{{ x * y }} {% endfor %}{{ loop.index }}{% endfor %}",
    "{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}", "{% set ns = namespace(n=0, s='') %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% set ns.s = ns.s ~ m.role[0] %}{% endfor %}{{ ns.n }}{{ ns.s }}", "{% set ns = namespace() %}{% set ns.a = 'x' %}{{ ns.a }}{{ ns.b }}",
    "{% set x %}\n a{{ 1 }}\n{% endset %}[{{ x }}]", "{% if true %}{% set y = 2 %}{% endif %}{{ y }}", "{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}{% for i in range(1, 4) %}{{ i }}{% endfor %}", "{% for i in range(0) %}a{% else %}b{% endfor %}", "{% for x in none %}{% endfor %}", "{% for x in 5 %}{% endfor %}",
    "{% for i in [1] %}{{ i }}{% endfor %}{{ i }}", "{% for m in messages %}{% if loop.first and m.role != 'system' %}a{% elif loop.last %}z{% endif %}{% endfor %}", "{% generation %}a{{ 1 }}{% endgeneration %}b", "{% for x in [1, 2, 3][1:] if x > 2 %}{{ x }}{% endfor %}", "{% set a = [1, 2] if true else [] %}{{ a | length }}",
    # filters, tests, methods
    "[{{ '  a b \n' | trim }}] [{{ '\u00a0x\u2003\x1c' | trim }}] [{{ 'xxaxx' | trim('x') }}]", "{{ 'aÉ' | upper }} {{ 'ÀB' | lower }}", "{{ 'héé' | length }} {{ [1, 2] | count }} {{ {} | length }} {{ missing | length }}", "{{ missing | default('d') }} {{ '' | default('d') }} {{ '' | default('d', true) }} {{ none | d('e', boolean=true) }} {{ 0 | default(5) }} [{{ missing | default }}]",
    "{{ {'b': [1, none, true, 'é\"\\n\\\\/'], 'a': {}} | tojson }}", "{{ [1, {'a': [], 'b': 2}] | tojson(indent=2) }}", "{{ 'a\\x01\\t</b>' | tojson }}", "{{ messages | tojson }}", "{{ 5 | string + 'a' }}", "{{ [1, 'a'] | join(', ') }} {{ 'abc' | join('-') }} {{ [] | join }}", "{{ 'abc' | list | length }} {{ [3, 4] | first }} {{ [3, 4] | last }} {{ [] | first }}",
    "{{ 'aXbX' | replace('X', 'yy') }} {{ 'aXbX'.replace('X', '') }}", "{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('role', 'equalto', 'user') | list | length }} {{ messages | selectattr('missing') | list | length }} {{ [0, 1, 2] | select | list | length }} {{ [0, 1] | reject('equalto', 1) | list | length }}",
    "[{{ ' a '.strip() }}] [{{ ' a '.lstrip() }}] [{{ ' a '.rstrip() }}] [{{ 'xyax'.strip('xy') }}] [{{ '\\n\\na\\n'.lstrip('\\n') }}]", "{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('ab') }} {{ 'aB'.upper() }} {{ 'aB'.lower() }}", "{{ 'a,b,,c'.split(',') | length }} {{ 'x</think>y'.split('</think>')[-1] }} {{ ' a  b '.split() | join('|') }} {{ 'a-b-c'.split('-', 1) | join('|') }} {{ 'a-b-c'.split('-', 0) | join('|') }}", "{{ messages[0].get('role') }} {{ messages[0].get('x', 'd') }} {{ messages[0].get('x') }} {{ messages[0].keys() | join(',') }} {{ messages[0].values() | list | length }}",
    "{{ missing is defined }} {{ messages is defined }} {{ missing is undefined }} {{ missing is not defined }}", "{{ none is none }} {{ 1 is none }} {{ 'a' is string }} {{ [] is string }} {{ {} is mapping }} {{ [] is iterable }} {{ 'a' is iterable }} {{ 1 is iterable }} {{ [] is sequence }} {{ {} is sequence }}", "{{ true is true }} {{ 1 is true }} {{ false is false }} {{ 3 is odd }} {{ 4 is even }} {{ 3 is equalto 3 }} {{ 3 is eq(4) }} {{ 3 is ne 4 }} {{ true is number }}",
    "{{ not messages is defined }} {{ 1 + 2 is number }}", "{{ messages[0].content.split(' ')[0] | upper | lower }}", "{{ ('a' if 1 else 'b') ~ 'c' }}", "{{ 'a' is string and 'b' is not none }}", "{{ 5.upper() }}", "{{ [].split() }}", "{{ missing.upper() }}", "{{ missing | upper }}[{{ missing | trim }}]", "{{ missing | tojson }}",
    "{{ raise_exception('no') }}", "{{ unknown_function(1) }}", "{{ 'x' if unknown_function is defined else 'y' }}", "{% if add_generation_prompt %}p{% endif %}{{ bos_token }}{{ eos_token }}", "{% if tools %}t{% endif %}{{ tools is defined }}{{ tools is none }}{{ documents is none }}",
]


def render(env, source, messages, prompt):
    try:
        return {"text": env.from_string(source).render(messages=messages, tools=None, documents=None, add_generation_prompt=prompt,
                                                       bos_token="<s>", eos_token="</s>")}
    except Exception:  # what Jinja and Python raise: UndefinedError, TypeError, TemplateError, ...
        return {"error": True}


def write_lines(path, records):
    path.write_text("".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in records))


def renders(env, folder, names, conversations):
    for name in names:
        source = (folder / f"{name}.jinja").read_text()
        for i, messages in enumerate(CONVERSATIONS):
            if i not in conversations(name):
                continue
            for prompt in (True, False) if len(conversations(name)) > 5 else (True,):
                yield {"template": name, "conversation": i, "add_generation_prompt": prompt, **render(env, source, messages, prompt)}


def main():
    out = pathlib.Path(sys.argv[1])
    env = make_environment()
    write_lines(out / "snippets.jsonl", [{"template": s, **render(env, s, SNIPPET_CHAT, True)} for s in SNIPPETS])
    write_lines(out / "conversations.jsonl", CONVERSATIONS)
    everything = range(len(CONVERSATIONS))
    own = sorted(path.stem for path in out.glob("*.jinja"))
    write_lines(out / "renders.jsonl", renders(env, out, own, lambda name: everything))
    if len(sys.argv) > 2:
        published = pathlib.Path(sys.argv[2])
        write_lines(out / "published.jsonl",
                    renders(env, published, PUBLISHED, lambda name: everything if name in FULL else (0, 1, 3, 4, 8)))


if __name__ == "__main__":
    main()
