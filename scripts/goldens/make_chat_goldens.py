#!/usr/bin/env python3
"""Writes what tests/text/chat_template_golden_test.cpp expects; transformers' apply_chat_template is the oracle.

    python3 -m venv venv && venv/bin/pip install transformers jinja2 xxhash
    venv/bin/python scripts/goldens/make_chat_goldens.py tests/golden/templates [PUBLISHED_DIR]

snippets.jsonl       {"template", "text"} or {"template", "error": true}: one construct each, over the conversation SNIPPET_CHAT.
conversations.jsonl  the arguments of apply_chat_template, one conversation a line.
renders.jsonl        {"template", "conversation", "add_generation_prompt", "text" or "error"} of *.jinja beside it; error is the
                     message of raise_exception, or true for what Jinja or Python raises.
published.jsonl      the same for templates as models publish them (PUBLISHED_DIR, not part of the project): the text's length
                     in bytes and xxh3-128 in its place.
"""

import datetime
import json
import pathlib
import sys

import jinja2
import tokenizers
import transformers
import xxhash
from transformers.utils import chat_template_utils

NOW = datetime.datetime(2026, 1, 31, 9, 5, 7)  # of every render; kNow of the test


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = Clock


def chat(*turns, **arguments):
    return {"messages": [{"role": role, "content": content} for role, content in turns], **arguments}


def conversation(*messages, **arguments):
    return {"messages": list(messages), **arguments}


def user(content, **keys):
    return {"role": "user", "content": content, **keys}


def system(content):
    return {"role": "system", "content": content}


def assistant(content, **keys):
    return {"role": "assistant", "content": content, **keys}


def call(name, arguments, **keys):
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **keys}


def text_part(text):
    return {"type": "text", "text": text}


WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather at a place, \"now\" (°C).",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "such as Zürich <or> 東京"},
        "units": {"type": "string", "enum": ["metric", "imperial"], "default": None},
        "days": {"type": "integer", "minimum": 1, "factor": 0.5, "big": 1e22, "small": 1e-7, "strict": True}},
        "required": ["city"]}}}
ADD = {"type": "function", "function": {"name": "add", "description": "a + b", "parameters": {
    "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": []},
    "return": {"type": "number", "description": "the sum"}}}
TOOLS = [WEATHER, ADD]
ANSWERED = [user("Weather in Zürich?"),
            {"role": "assistant", "tool_calls": [call("get_weather", {"city": "Zürich", "days": 2}, id="abcdefghi")]},
            {"role": "tool", "name": "get_weather", "tool_call_id": "abcdefghi", "content": "{\"temp\": 3.5}"}]

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
    chat(("system", ""), ("user", "empty system")),
    chat(("system", "only a system message")),
    chat(("system", "  S \n\n"), ("user", "U\t \r\n"), ("assistant", " A\u00a0"), ("user", "\u2003V\u3000"), ("assistant", "B")),
    chat(("system", "one"), ("system", "two"), ("user", "u")),
    chat(("user", "u"), ("assistant", "a"), ("system", "late"), ("user", "v")),
    chat(("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4"), ("user", "5"), ("assistant", "6"), ("user", "7")),
    chat(("user", "think"), ("assistant", "<think>a</think>b<think>c</think>d"), ("user", "e"), ("assistant", "</think>\n\nf")),
    chat(("user", "q"), ("assistant", "<think>\nopen"), ("user", "r")),
    chat(("system", "/no_think be quick"), ("user", "q")),
    chat(("system", "Sys. /think"), ("user", "q"), ("assistant", "a"), ("user", "r")),
    chat(("system", "/system_override Only this."), ("user", "q")),
    chat(("user", "q"), enable_thinking_off=None, kwargs={"enable_thinking": False}),
    chat(("user", "q"), ("assistant", "a"), ("user", "r"), kwargs={"enable_thinking": False}),
    chat(("user", "q"), ("assistant", "a"), ("user", "r"), kwargs={"enable_thinking": True, "thinking": True}),
    chat(("system", "S"), ("user", "q"), kwargs={"date_string": "01 Feb 2025", "bos_token": "<B>"}),
    chat(("user", "q"), kwargs={"xml_tools": [ADD], "python_tools": ["def f(x):\n    return 'x'", {"a": [1, 2.0, None, True], "b": "it's"}]}),
    conversation(user("q"), assistant("a", reasoning_content="because"), user("r")),
    conversation(user("q"), assistant("a", reasoning_content="\n because \n")),
    conversation(user("q"), assistant("a", thinking="older name"), user("r"), assistant("b", reasoning="another", thinking="both")),
    conversation(user("q"), assistant("", reasoning_content="only thought"), user("r")),
    conversation(user("q"), {"role": "assistant", "reasoning_content": "no content"}, user("r")),
    conversation(user([text_part("one"), text_part(" two ")])),
    conversation(system([text_part("S1"), text_part("S2")]), user([text_part("q")]), assistant([text_part("a")]), user("r")),
    conversation(user("q", name=None), {"role": "assistant", "content": "a", "tool_calls": None, "reasoning_content": None}, user("r")),
    conversation(user("q"), {"role": "assistant", "content": None}, user("r")),
    conversation(user("Weather?"), tools=TOOLS),
    conversation(system("Sys"), user("Weather?"), tools=TOOLS),
    conversation(user("none"), tools=[]),
    conversation(*ANSWERED, tools=TOOLS),
    conversation(*ANSWERED),
    conversation(system("Sys"), *ANSWERED, assistant("3.5 °C"), user("Thanks"), tools=TOOLS),
    conversation(user("both"), {"role": "assistant", "content": "Let me see.", "tool_calls": [
        call("get_weather", {"city": "a"}, id="123456789"), call("add", {"a": 1, "b": -2.5}, id="abc123456")]},
        {"role": "tool", "name": "get_weather", "tool_call_id": "123456789", "content": "sunny"},
        {"role": "tool", "name": "add", "tool_call_id": "abc123456", "content": "-1.5"}, assistant("done"), user("again"), tools=[WEATHER]),
    conversation(user("text arguments"), {"role": "assistant", "content": "", "tool_calls": [call("add", "{\"a\": 1}", id="123456789")]},
                 {"role": "tool", "tool_call_id": "123456789", "content": "1"}, tools=TOOLS),
    conversation(user("bare"), {"role": "assistant", "tool_calls": [{"name": "add", "arguments": {"a": {"x": []}}, "id": "123456789"}]},
                 {"role": "tool", "tool_call_id": "123456789", "content": "1"}),
    conversation(user("thought, then a call"), assistant("", reasoning_content="I need a tool.", tool_calls=[call("add", {}, id="123456789")]),
                 {"role": "tool", "tool_call_id": "123456789", "content": "0"}, assistant("0", reasoning_content="It said 0.")),
    conversation(user("short id"), {"role": "assistant", "tool_calls": [call("add", {}, id="1")]}, {"role": "tool", "tool_call_id": "1", "content": "x"}),
    conversation(user("list content"), {"role": "assistant", "tool_calls": [call("add", {}, id="123456789")]},
                 {"role": "tool", "tool_call_id": "123456789", "content": [text_part("x"), text_part("y")]}, tools=[ADD]),
    conversation(user("q"), {"role": "developer", "content": "d"}, user("r")),
    chat(("user", "q"), documents=[{"title": "T", "text": "D"}]),
    chat(("user", "q"), kwargs={"builtin_tools": ["code_interpreter", "brave_search"]}),
    conversation(user("custom"), tools=TOOLS, kwargs={"tools_in_user_message": False}),
    chat(("user", "\u200b\u0085 odd \x1c spaces \u2028"), ("assistant", "tab\there \x7f \u0001")),
    chat(("user", "q"), ("assistant", "Once upon"), continue_final_message=True),
    chat(("system", "s"), ("user", "q"), ("assistant", " Once upon \n"), continue_final_message=True),
    conversation(user("q"), assistant([text_part("first"), text_part("Once")]), continue_final_message=True),
    chat(("user", "q"), ("assistant", "<think>\nhm"), continue_final_message=True),
    chat(("user", "q"), continue_final_message=True),
]
for c in CONVERSATIONS:
    c.pop("enable_thinking_off", None)
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
    # lists, tuples, dicts and numbers as text
    "{{ messages[:2] }}", "{{ [1, 2.5, none, true, 'it\'s', \"q\\\"\", [], {}, (1,), (), (1, 2)] }}", "{{ {'a': 'é\n\t\\x01\u200b', 'b': {'c': [0.1]}} }}", "{{ 'a' ~ [1] ~ {'x': 'y'} }}", "{{ [missing] }}",
    "{{ 1.0 }} {{ 1e16 }} {{ 123456789012345.6 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1.5e300 }} {{ -0.0 }} {{ 2.50 }} {{ 1E3 }} {{ 1e-7 }}", "{{ 7 / 2 }} {{ 6 / 2 }} {{ 7.5 // 2 }} {{ -7.5 // 2 }} {{ 7.5 % 2 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }} {{ 1 / 3 }} {{ 2 * 1.5 }} {{ 1 - 0.9 }} {{ 0.1 + 0.2 }}",
    "{{ 1.0 == 1 }} {{ 1 < 1.5 }} {{ 9007199254740993 == 9007199254740992.0 }} {{ 1.0 / 0 }}", "{{ 1.5 is float }} {{ 1 is float }} {{ 1.5 is number }} {{ 1.5 is integer }}", "{{ [1.0, 1e22, 0.5] | tojson }}",
    "{{ 'ab' * 3 }}{{ 2 * 'x' }}{{ 'x' * 0 }}{{ 'x' * -1 }}", "{{ -true }} {{ true + true }} {{ -1.5 }} {{ - - 2 }}", "{{ (1, 2) == [1, 2] }} {{ (1, 2) == (1, 2) }} {{ (1, 2)[0] }} {{ (1, 2, 3)[1:] }} {{ () | length }}",
    # macros
    "{% macro f(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(b=3, a=4) }}{{ f() }}", "{% macro f(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}", "{% macro f(x) %}{% if x > 0 %}{{ x }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% set y = 1 %}{% macro f() %}{{ y }}{% endmacro %}{% set y = 2 %}{{ f() }}", "{% macro f() %}{{ x }}{% endmacro %}{% for x in [1] %}{{ f() }}{% endfor %}", "{% for x in [1, 2] %}{% macro f() %}{{ x }}{% endmacro %}{{ f() }}{% endfor %}", "{% macro f() %}{% set z = 1 %}{{ z }}{% endmacro %}{{ f() }}{{ z }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(c=1) }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, a=2) }}", "{% macro f() %} a {% endmacro %}[{{ f() | trim }}]{{ f is defined }}{{ g is defined }}", "{% macro f() %}{{ loop.index }}{% endmacro %}{% for x in [1] %}{{ f() }}{% endfor %}",
    "{%- macro f(x) -%}\n  {{- x -}}\n{%- endmacro -%}\n{{ f('a') ~ f('b') }}", "{% macro f(g) %}{{ g(2) }}{% endmacro %}{% macro h(x) %}<{{ x }}>{% endmacro %}{{ f(h) }}", "{% set r = range %}{{ r(2) | list }}",
    # loops
    "{% for x in [1, 2, 3] %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in [1, 2, 3] %}{% if x == 2 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in [1, 2] %}{% for y in [1, 2] %}{% if y == 2 %}{% break %}{% endif %}{{ x }}{{ y }}{% endfor %}{% endfor %}", "{% for x in [1] %}{% break %}{% else %}e{% endfor %}",
    "{% for x in [1, 2, 3] %}{{ loop.cycle('a', 'b') }}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}", "{% for a, b in {'x': 1}.items() %}{{ a }}{{ b }}{% endfor %}", "{% for a, b in ['xy', (1, 2)] %}{{ a }}{{ b }}{% endfor %}", "{% for a, b in [[1]] %}{{ a }}{% endfor %}", "{% set a, b = (1, 2) %}{{ a }}{{ b }}", "{% set a, b = 1, 2 %}{{ b }}{{ a }}", "{% set a = 1, 2 %}{{ a }}",
    "{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}{{ x }}", "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y }}", "{% for x in [] %}{% else %}{% set y = 1 %}{% endfor %}{{ y }}", "{% for x in [1] %}{% if true %}{% set y = 1 %}{% endif %}{{ y }}{% endfor %}{{ y }}",
    # views and iterators
    "{{ {'a': 1}.items() | list }} {{ {'a': 1}.keys() | list }} {{ {'a': 1}.values() | list }} {{ {'a': 1} | items | list }}", "{{ {'a': 1}.keys() | length }} {{ 'a' in {'a': 1}.keys() }}", "{% if [] | select %}true{% endif %}", "{{ [1] | select | length }}", "{% if {}.items() %}a{% else %}b{% endif %}", "{{ ([1, 2] | select)[0] }}",
    "{{ {'items': 1, 'b': 2}['items'] }} {{ {'b': 2}.b }}",
    # filters
    "{{ messages | map(attribute='role') | join(',') }}", "{{ ['a', 'B'] | map('upper') | list }}", "{{ [{'a': {'b': 1}}, {'a': {}}] | map(attribute='a.b', default='d') | list }}", "{{ ['ab', 'c'] | map('length') | list }} {{ [' a '] | map('trim') | list }} {{ ['a-b'] | map('replace', '-', '+') | list }}",
    "{{ [3, 1, 2] | sort }} {{ ['b', 'A', 'a'] | sort }} {{ ['b', 'A', 'a'] | sort(case_sensitive=true) }} {{ [3, 1, 2] | sort(reverse=true) }} {{ [1, 'a'] | sort }}", "{{ [{'k': 2}, {'k': 1}] | sort(attribute='k') }}", "{{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'a': 2} | dictsort(by='value') }} {{ {'b': 1, 'a': 2} | dictsort(reverse=true) }}",
    "{{ [1, 2, 1, 'a', 'A', 1.0] | unique | list }}", "{{ [1, 2] | reverse | list }} {{ 'añb' | reverse }}", "{{ 'hello wORLD-foo (bar' | title }} {{ 'hELLO wORLD' | capitalize }} {{ 'they\\'re bill\\'s'.title() }} {{ 'aBC dEF'.capitalize() }}",
    "{{ '12' | int }} {{ ' 12 ' | int }} {{ '1.9' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ 1.9 | int }} {{ -1.9 | int }} {{ true | int }} {{ none | int }} {{ '+5' | int }} {{ '-5' | int }} {{ '1e3' | int }}", "{{ '1.5' | float }} {{ 'x' | float }} {{ 3 | float }} {{ 'x' | float(2.5) }} {{ true | float }}", "{{ -3 | abs }} {{ (-3) | abs }} {{ -2.5 | abs }}",
    "{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb' | indent('> ') }}|{{ 'a\r\nb\n' | indent }}|{{ '' | indent(2, true) }}", "{{ 'aaa' | replace('a', 'b', 2) }} {{ 'aaa'.replace('a', 'b', 1) }} {{ 'aaa'.replace('a', '', -1) }}", "{{ '<a>' | safe ~ '<b>' }}",
    "{{ {'b': 1, 'a': [1, 2]} | tojson(indent=4) }}", "{{ {'b': 1, 'a': 'é😀\x7f'} | tojson(ensure_ascii=true, sort_keys=true) }}", "{{ [1, {'a': 2}] | tojson(separators=(',', ':')) }}", "{{ [1, {'a': []}] | tojson(indent=2, separators=(', ', ' : ')) }}", "{{ [] | tojson(indent=2) }}{{ {} | tojson(indent=2) }}", "{{ (1, 2) | tojson }} {{ none | tojson }} {{ 'é' | tojson(true) }}", "{{ [1] | tojson(false, 2) }}", "{{ 1 | tojson(indnt=2) }}",
    "{{ ['a', 'b'] | join(', ') | upper }} {{ [{'n': 'x'}, {'n': 'y'}] | join('-', attribute='n') }} {{ [1, none, true] | join(' ') }}", "{{ 'abc' | first }} {{ 'abc' | last }} {{ {'a': 1, 'b': 2} | first }}", "{{ messages | selectattr('content', 'in', ['ok', 'x']) | list | length }} {{ [1, 2, 3, 4] | select('divisibleby', 2) | list }} {{ [1, 2, 3] | reject('gt', 1) | list }} {{ [1, 2] | select('==', 2) | list }} {{ [1, 2] | select('!=', 2) | list }}",
    "{{ messages | selectattr('role', 'in', 'user system') | map(attribute='content') | first }}", "{{ none | default('x') }} {{ none | default('x', true) }} {{ false | default('x', boolean=true) }}", "{{ [1, 2] | default(3) | length }}",
    # tests
    "{{ 6 is divisibleby(3) }} {{ 6 is divisibleby 4 }} {{ 1 is in [1, 2] }} {{ 3 is not in [1, 2] }} {{ 'a' is in 'cat' }} {{ 1 is lt 2 }} {{ 1 is ge 2 }} {{ 2 is gt(1) }} {{ 2 is le(1) }} {{ 2 is lessthan 3 }} {{ 2 is greaterthan 3 }}", "{{ (1, 2) is sequence }} {{ (1, 2) is iterable }} {{ {}.items() is sequence }} {{ {}.items() is iterable }} {{ range(2) is sequence }} {{ none is iterable }} {{ 1.5 is sequence }} {{ [] is mapping }}", "{{ range is callable }} {{ 'a' is callable }}", "{{ strftime_now is defined }} {{ raise_exception is defined }} {{ namespace is defined }}",
    "{{ 3.0 is odd }} {{ 'a' is odd }}",
    # methods
    "{{ 'abc'.find('c') }} {{ 'abc'.find('x') }} {{ 'éaé'.rfind('é') }} {{ 'abcb'.count('b') }} {{ 'abc'.index('b') }} {{ 'abc'.index('x') }}", "{{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} {{ 'abc'.removeprefix('x') }} {{ 'abc'.removesuffix('x') }}", "{{ 'a,b,c'.rsplit(',', 1) }} {{ 'a,b,c'.rsplit(',') }} {{ 'a\nb\r\nc\x0bd\u2028e\n'.splitlines() }} {{ ''.splitlines() }}", "{{ ', '.join(['a', 'b']) }} {{ '-'.join('abc') }} {{ ','.join([1]) }}", "{{ 'abc'.startswith(('x', 'ab')) }} {{ 'abc'.endswith(('x', 'y')) }} {{ 'abc'.startswith(['ab']) }}", "{{ '12'.isdigit() }} {{ 'a1'.isdigit() }} {{ ''.isdigit() }}",
    "{{ 'a b  c'.split() }} {{ 'a b'.split(' ', 1) }} {{ 'ab'.split('x') }} {{ 'xabx'.split('x', maxsplit=1) }} {{ ''.split('x') }} {{ ''.split() }}", "{{ {'a': none}.get('a', 'd') }} {{ {}.get('a') }} {{ {'a': 1}.get('a') }}", "{{ 'x'.strip(none) }}", "{{ messages[0].get() }}",
    # what subscripts find
    "{{ none.x }}|{{ none['x'] }}|{{ 1.x }}", "{{ none[0] }}|{{ {'a': 1}[0] }}|{{ {'a': 1}['b'] }}|{{ [1]['a'] }}|{{ [1][true] }}|{{ 'ab'[true] }}|{{ [1][5] }}|{{ [1][1.5] }}", "{{ none[1:] }}", "{{ {}[1:] }}", "{{ range(5)[1:3] | list }} {{ range(5)[-1] }} {{ range(5) | length }}", "{{ messages[0].role.x.y }}",
    "{{ (messages | length) > 2 and messages[0].role == 'system' }}", "{{ 'a' if 1 is defined and true is true else 'b' }}", "{{ not 'a' in 'b' }} {{ 'a' not in ['b'] and 1 }}", "{{ 'a'.b is defined }}",
    # time
    "{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%Y-%m-%d') }}|{{ strftime_now('%d %B %Y') }}|{{ strftime_now('%A %a %H:%M:%S %I %p %j %y %U %w %%') }}|{{ strftime_now('%-d %-m %-H') }}|{{ strftime_now('') }}|{{ strftime_now('é') }}|{{ strftime_now('%c %x %X %F %T %D %R %e %u %V %G %W') }}",
    # guards of numbers and names
    "{{ namespace(_x=1) }}", "{% set ns = namespace(a=1, b=none) %}{{ ns.a }}{{ ns.b }}{{ ns.c }}{{ ns['a'] }}", "{{ 1 if missing else 2 }}{{ 1 if not missing else 2 }}", "{{ missing | length }}{{ missing | list }}{{ missing | join }}", "{{ missing[1:] }}", "{{ missing() }}",
]

TOKENIZER = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), bos_token="<s>", eos_token="</s>")


def render(source, chat, prompt):
    kwargs = {key: chat[key] for key in ("tools", "documents", "continue_final_message") if key in chat}
    try:
        return {"text": TOKENIZER.apply_chat_template(chat["messages"], chat_template=source, tokenize=False, add_generation_prompt=prompt,
                                                      **kwargs, **chat.get("kwargs", {}))}
    except jinja2.exceptions.TemplateError as error:
        return {"error": error.message if type(error) is jinja2.exceptions.TemplateError else True}
    except Exception:  # what Python raises: TypeError, ...
        return {"error": True}


def hashed(render):
    if "text" not in render:
        return render
    text = render["text"].encode()
    return {"bytes": len(text), "xxh3": xxhash.xxh3_128_hexdigest(text)}


def write_lines(path, records):
    path.write_text("".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in records))


def renders(folder, names):
    for name in names:
        source = (folder / f"{name}.jinja").read_text()
        for i, chat in enumerate(CONVERSATIONS):
            for prompt in (False,) if "continue_final_message" in chat else (True, False):
                yield {"template": name, "conversation": i, "add_generation_prompt": prompt, **render(source, chat, prompt)}


def names_in(folder):
    return sorted(path.stem for path in folder.glob("*.jinja"))


def main():
    out = pathlib.Path(sys.argv[1])
    write_lines(out / "snippets.jsonl", [{"template": s, **render(s, SNIPPET_CHAT, True)} for s in SNIPPETS])
    write_lines(out / "conversations.jsonl", CONVERSATIONS)
    write_lines(out / "renders.jsonl", renders(out, names_in(out)))
    if len(sys.argv) > 2:
        published = pathlib.Path(sys.argv[2])
        # With a third argument: the texts as well, to see where one differs.
        write_lines(out / "published.jsonl", [{k: v for k, v in {**r, **hashed(r)}.items() if k != "text" or len(sys.argv) > 3}
                                              for r in renders(published, names_in(published))])


if __name__ == "__main__":
    main()
