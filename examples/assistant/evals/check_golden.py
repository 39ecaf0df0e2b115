"""Checks the golden set: every case is complete, has its own id, and its source is a passage that exists."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from assistant.chunks import read_folder  # noqa: E402

root = Path(__file__).resolve().parent.parent
sources = {it.source for it in read_folder(root / "knowledge")} | {None}
seen, problems = set(), []
for number, line in enumerate((root / "evals/golden.jsonl").read_text().splitlines(), 1):
    case = json.loads(line)
    if set(case) != {"id", "question", "answer", "source"}:
        problems.append(f"line {number}: has the fields {sorted(case)}")
    elif case["id"] in seen:
        problems.append(f"line {number}: `{case['id']}` is there twice")
    elif case["source"] not in sources:
        problems.append(f"line {number}: there is no passage `{case['source']}`")
    seen.add(case.get("id"))
print("\n".join(problems) or f"{len(seen)} cases are fine")
sys.exit(bool(problems))
