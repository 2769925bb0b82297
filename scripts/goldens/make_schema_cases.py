#!/usr/bin/env python3
"""Writes tests/golden/schema/cases.jsonl: JSON schemas, values, and whether Python's jsonschema (4.26) says that they fit.

    python3 scripts/goldens/make_schema_cases.py [--seed 31] [--count 120] > tests/golden/schema/cases.jsonl

The first line: the values. Others: {"schema", "fits"}, one letter a value: y or n. Drawn from all keywords that the reward `json` knows, beside some schemas as people write them.
"""

import argparse
import json
import random

from jsonschema import Draft202012Validator

WRITTEN = [
    {"$defs": {"tree": {"type": "object", "required": ["value"], "properties": {
        "value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}}, "$ref": "#/$defs/tree"},
    {"type": ["array", "integer"], "items": {"$ref": "#"}},
    {"oneOf": [{"type": "number", "minimum": 0}, {"type": "integer"}]},
    {"not": {"anyOf": [{"type": "null"}, {"const": ""}, {"enum": [[], {}]}]}},
    {"type": "string", "pattern": "^[A-Z][a-z]+( [A-Z][a-z]+)*$"},
    {"pattern": "b"},
    {"allOf": [{"required": ["a"]}, {"required": ["b"]}, {"properties": {"a": {"$ref": "#/definitions/a~1b"}}}],
     "definitions": {"a/b": {"pattern": "^\\d{2,3}$"}}},
    {"$ref": "#/$defs/x", "maxLength": 2, "$defs": {"x": {"type": "string"}}},
]
VALUES = [None, True, False, 0, 1, -1, 1.0, 2.5, 7, "", "a", "ab", "Ada Lovelace", "42", "é", [], [1], ["a", 1], [[1], []], {}, {"a": 1}, {"a": "42", "b": None},
          {"value": 1, "children": [{"value": 2}, {"value": 3, "children": []}]}, {"value": 1, "children": [{"value": "x"}]}, {"b": [1, "a"], "c": {"a": 0}}]
PATTERNS = ["^a", "b$", "[0-9]+", "^(a|b)*$", "^.$", "\\w\\s", "é"]
TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"]


class Drawer:
    def __init__(self, rng):
        self.rng = rng

    def schema(self, depth):
        rng = self.rng
        if rng.random() < 0.08:
            return rng.random() < 0.5
        schema = {}
        for _ in range(rng.randint(1, 3)):
            key = rng.choice([key for key in self.MAKERS if depth > 0 or key not in self.NESTED])
            schema[key] = self.MAKERS[key](self, depth)
        return schema

    def some(self, depth):
        return [self.schema(depth - 1) for _ in range(self.rng.randint(1, 3))]

    NESTED = {"properties", "additionalProperties", "items", "allOf", "anyOf", "oneOf", "not"}
    MAKERS = {
        "type": lambda d, _: d.rng.choice(TYPES) if d.rng.random() < 0.6 else d.rng.sample(TYPES, 2),
        "enum": lambda d, _: d.rng.sample(VALUES, 4),
        "const": lambda d, _: d.rng.choice([v for v in VALUES if v is not None]),
        "properties": lambda d, n: {name: d.schema(n - 1) for name in d.rng.sample("abcv", 2)},
        "required": lambda d, _: d.rng.sample(["a", "b", "value"], d.rng.randint(1, 2)),
        "additionalProperties": lambda d, n: d.schema(n - 1),
        "items": lambda d, n: d.schema(n - 1),
        "minItems": lambda d, _: d.rng.randint(0, 2),
        "maxItems": lambda d, _: d.rng.randint(0, 2),
        "minLength": lambda d, _: d.rng.randint(0, 3),
        "maxLength": lambda d, _: d.rng.randint(0, 3),
        "minimum": lambda d, _: d.rng.choice([-1, 0, 1, 2.5]),
        "maximum": lambda d, _: d.rng.choice([-1, 0, 1, 2.5]),
        "exclusiveMinimum": lambda d, _: d.rng.choice([-1, 0, 1, 2.5]),
        "exclusiveMaximum": lambda d, _: d.rng.choice([-1, 0, 1, 2.5]),
        "pattern": lambda d, _: d.rng.choice(PATTERNS),
        "allOf": lambda d, n: d.some(n),
        "anyOf": lambda d, n: d.some(n),
        "oneOf": lambda d, n: d.some(n),
        "not": lambda d, n: d.schema(n - 1),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--count", type=int, default=120)
    arguments = parser.parse_args()
    drawer = Drawer(random.Random(arguments.seed))
    print(json.dumps(VALUES, ensure_ascii=False))
    for schema in WRITTEN + [drawer.schema(3) for _ in range(arguments.count)]:
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        fits = "".join("ny"[validator.is_valid(value)] for value in VALUES)
        print(json.dumps({"schema": schema, "fits": fits}, ensure_ascii=False))


if __name__ == "__main__":
    main()
