#!/usr/bin/env python3
"""Reads a run's event files with the tensorboard package and compares them with metrics.jsonl: each step once, in order, with the same values
rounded to float32. Wants tensorboard.

usage: scripts/oracles/check_events.py RUN
"""

import json
import pathlib
import struct
import sys

from tensorboard.backend.event_processing import event_accumulator


def float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def main():
    run = pathlib.Path(sys.argv[1])
    accumulator = event_accumulator.EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    expected = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        metrics = json.loads(line)
        for name, value in metrics.items():
            if name != "step":
                expected.setdefault(name, []).append((metrics["step"], float32(value)))
    tags = accumulator.Tags()["scalars"]
    found = {tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in tags}
    wrong = [name for name in sorted(expected.keys() | found.keys()) if expected.get(name) != found.get(name)]
    for name in wrong:
        print(f"{name}: metrics.jsonl {expected.get(name)}, tensorboard {found.get(name)}")
    values = sum(len(points) for points in expected.values())
    print(f"{len(list(run.glob('events.out.tfevents.*')))} event files, {len(tags)} tags, {values} values: {len(wrong)} tags wrong")
    return 1 if wrong or not tags else 0


if __name__ == "__main__":
    sys.exit(main())
