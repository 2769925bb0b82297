"""Makes a parquet file of verl's form, turns it into JSONL by the line that docs/data.md shows, and lets cohort read it.

usage: scripts/oracles/parquet.py COHORT      needs pandas and pyarrow
"""
import json
import os
import re
import subprocess
import sys
import tempfile

import pandas

cohort = os.path.abspath(sys.argv[1])
page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/data.md")
line = re.search(r"```python\n(import pandas; .*)\n```", open(page, encoding="utf-8").read()).group(1)
rows = [
    {
        "data_source": "openai/gsm8k",
        "prompt": [{"role": "user", "content": f"Was ist {i} + {i}? Grüße 你好 \"quoted\"\n"}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": str(2 * i)},
        "extra_info": {"split": "train", "index": i},
    }
    for i in range(20)
]
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    pandas.DataFrame(rows).to_parquet("train.parquet")
    subprocess.run([sys.executable, "-c", line], check=True)
    columns = "{answer: reward_model.ground_truth, id: extra_info.index}"
    outcome = subprocess.run([cohort, "data", "check", "train.jsonl.gz", "--columns", columns, "--strict", "--format", "json"],
                             capture_output=True, text=True, check=False)
    report = json.loads(outcome.stdout)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert report["files"][0]["rows"] == len(rows), report
    longest = max(len(row["prompt"][0]["content"]) for row in rows) + 1  # a line break behind each message
    assert report["files"][0]["prompt_length"]["max"] == longest, report
    assert report["files"][0]["answer_length"]["rows"] == len(rows), report
print(f"{len(rows)} rows of verl's parquet: read by the line of docs/data.md, nothing lost")
