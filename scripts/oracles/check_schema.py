#!/usr/bin/env python3
"""Checks `cohort schema` with the jsonschema package: it is a valid schema, every config of the repository and every starter fits it, and
configs with a mistake do not. Wants jsonschema and PyYAML.

usage: scripts/oracles/check_schema.py [build/cohort]
"""

import json
import pathlib
import subprocess
import sys

import jsonschema
import yaml

STARTERS = ["arithmetic", "jsonl", "code", "r1-zero", "structured"]
GOOD = "reward: [{name: math}]\n"
BAD = {
    "an unknown section": GOOD + "runs: {name: a}",
    "an unknown key": GOOD + "rollout: {num_generation: 8}",
    "a number that is text": GOOD + "rollout: {num_generations: '8'}",
    "a number out of range": GOOD + "rollout: {num_generations: 1}",
    "a fraction of an integer": GOOD + "rollout: {num_generations: 8.5}",
    "0 where above 0 is meant": GOOD + "rollout: {temperature: 0}",
    "1 where below 1 is meant": GOOD + "optim: {adam_beta1: 1}",
    "neither above 0 nor -1": GOOD + "algorithm: {epsilon_high: -0.5}",
    "another word": GOOD + "algorithm: {loss_type: ppo}",
    "a boolean that is a number": GOOD + "data: {shuffle: 1}",
    "a task without a name": GOOD + "data: {task: {seed: 1}}",
    "a list that is a text": GOOD + "rollout: {stop: x}",
    "an empty text in a list": GOOD + "rollout: {stop: ['']}",
    "no reward": "run: {name: a}",
    "an empty list of rewards": "reward: []",
    "an unknown reward": "reward: [{name: maths}]",
    "a label with a space": "reward: [{name: math, label: 'a b'}]",
    "an unknown option of a reward": "reward: [{name: math, modes: strict}]",
    "an option of another reward": "reward: [{name: exact, mode: strict}]",
    "another word of an option": "reward: [{name: math, mode: loose}]",
    "an option out of range": "reward: [{name: repetition, n: 0}]",
    "an option that must be given": "reward: [{name: soft_overlong, max_length: 9}]",
    "a section that is a list": GOOD + "run: [a]",
}
ALSO_GOOD = {
    "null for what may be left out": GOOD + "model: {path: null, init: null}\ndata: {train: null, task: null}",
    "epsilon_high -1": GOOD + "algorithm: {epsilon_high: -1}",
    "options of a reward": "reward: [{name: json, schema: {type: object}}, {name: format, label: form, weight: 0.5, score: share}]",
    "options of the reward that says what is correct": "reward: [{name: cosine_length, max_length: 9, mode: strict}]",
}


def main():
    cohort = sys.argv[1] if len(sys.argv) > 1 else "build/cohort"
    run = lambda *args: subprocess.run([cohort, *args], check=True, capture_output=True, text=True).stdout
    schema = json.loads(run("schema"))
    validator_class = jsonschema.validators.validator_for(schema)
    assert validator_class is jsonschema.Draft202012Validator, validator_class
    validator_class.check_schema(schema)
    validator = validator_class(schema)

    good = {str(path): path.read_text() for path in sorted(pathlib.Path("configs").rglob("*.yaml"))}
    good = {path: text for path, text in good.items() if "stages" not in yaml.safe_load(text)}  # a pipeline is no config
    good |= {f"init {name}": run("init", name) for name in STARTERS}
    good |= ALSO_GOOD
    wrong = 0
    for name, text in good.items():
        for error in validator.iter_errors(yaml.safe_load(text)):
            wrong += 1
            print(f"refused: {name}: {error.json_path}: {error.message}")
    for name, text in BAD.items():
        if validator.is_valid(yaml.safe_load(text)):
            wrong += 1
            print(f"accepted: {name}")
    print(f"{len(good)} configs that fit, {len(BAD)} that must not: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
