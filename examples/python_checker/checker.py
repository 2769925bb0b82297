"""Scores a completion by how many different letters it has. Lines in and out are JSON: docs/outside-rewards.md."""
import json
import sys

print(json.dumps({"ready": 1}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    letters = {c for c in request["completion"] if c.isalpha()}
    print(json.dumps({"id": request["id"], "score": len(letters) / 10, "reason": f"{len(letters)} letters"}), flush=True)
