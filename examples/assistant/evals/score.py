"""Asks the running app every golden question, scores the answers, and publishes the metrics.

    python3 evals/score.py --app http://app:8080 --out out/answers.jsonl
"""

import argparse
import json
import os
import re
import sys
import urllib.request
from collections import Counter
from pathlib import Path


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def f1(answer: str, wanted: str) -> float:
    """Harmonic mean of precision and recall over words, as for SQuAD (Rajpurkar et al., 2016)."""
    shared = sum((Counter(words(answer)) & Counter(words(wanted))).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(words(answer)), shared / len(words(wanted))
    return 2 * precision * recall / (precision + recall)


def rouge_l(answer: str, wanted: str) -> float:
    """F-measure over the longest common subsequence of words (Lin, 2004)."""
    a, b = words(answer), words(wanted)
    row = [0] * (len(b) + 1)
    for word in a:
        diagonal = 0
        for place, other in enumerate(b, 1):
            diagonal, row[place] = row[place], diagonal + 1 if word == other else max(row[place], row[place - 1])
    longest = row[-1]
    return 2 * longest / (len(a) + len(b)) if longest else 0.0


def ask(app: str, question: str) -> dict:
    body = json.dumps({"question": question}).encode()
    request = urllib.request.Request(f"{app}/ask", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def score(case: dict, answer: dict) -> dict:
    known = case["source"] is not None
    return {
        "id": case["id"],
        "f1": f1(answer["text"], case["answer"]),
        "rouge_l": rouge_l(answer["text"], case["answer"]),
        "recall_at_3": float(case["source"] in answer["passages"]) if known else None,
        "citation_coverage": float(case["source"] in answer["citations"]) if known else None,
        "refused_rightly": None if known else float(answer["text"] == case["answer"]),
        "cost_per_call_usd": answer["usage"]["cost_usd"],
    }


def means(scores: list[dict]) -> dict[str, float]:
    names = [name for name in scores[0] if name != "id"]
    columns = {name: [it[name] for it in scores if it[name] is not None] for name in names}
    return {name: sum(values) / len(values) for name, values in columns.items() if values}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", required=True)
    parser.add_argument("--cases", type=Path, default=Path(__file__).with_name("golden.jsonl"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    cases = [json.loads(line) for line in options.cases.read_text().splitlines()]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    scores = []
    with options.out.open("w") as out:
        for case in cases:
            answer = ask(options.app, case["question"])
            scores.append(score(case, answer))
            out.write(json.dumps({**case, "got": answer, "scores": scores[-1]}) + "\n")
            if scores[-1]["f1"] < 0.5:
                print(f"{case['id']}: wanted {case['answer']!r}, got {answer['text']!r}", file=sys.stderr)

    with open(os.environ.get("TRUNKLINE_METRICS", os.devnull), "a") as metrics:
        for name, value in means(scores).items():
            print(f"{name:20} {value:.6f}")
            metrics.write(json.dumps({name: value}) + "\n")


if __name__ == "__main__":
    main()
