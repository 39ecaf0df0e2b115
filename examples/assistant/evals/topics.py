"""Has a small real model name the page that answers a question, and publishes how often it is right.

The calls go to $OPENAI_BASE_URL, which the gateway sets. They were made once, to Gemma 3 270M, and are replayed from
cassettes/assistant/topics.jsonl; without a gateway there is nobody to ask.
"""

import json
import os
import sys
import urllib.request

MODEL = "gemma-3-270m"
QUESTIONS = {
    "What does a day cost?": "prices",
    "I have a flat tyre.": "trouble",
    "May I ride without lights at night?": "safety",
    "How do I delete my profile?": "account",
    "Is there a rack at the harbour?": "stations",
    "Is it cheaper for students?": "prices",
}
EXAMPLES = {
    "How much is one hour?": "prices",
    "My chain came off, what now?": "trouble",
    "Do I need a helmet?": "safety",
    "How do I change my e-mail address?": "account",
    "Where can I leave the bike?": "stations",
}


def prompt_for(question: str) -> str:
    head = "Each question of a customer of a bicycle rental, and the page that answers it: "
    shown = "".join(f"Question: {asked}\nPage: {page}\n\n" for asked, page in EXAMPLES.items())
    return f"{head}{', '.join(EXAMPLES.values())}.\n\n{shown}Question: {question}\nPage:"


def complete(prompt: str) -> str:
    body = {"model": MODEL, "prompt": prompt, "max_tokens": 4, "temperature": 0, "seed": 7, "stop": ["\n"]}
    headers = {"content-type": "application/json", "authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    address = f"{os.environ['OPENAI_BASE_URL']}/completions"
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=300) as response:
        return json.load(response)["choices"][0]["text"]


def main() -> None:
    if not os.environ.get("OPENAI_BASE_URL"):
        print("no gateway, no model")
        return
    right = 0
    for question, page in QUESTIONS.items():
        said = complete(prompt_for(question)).strip()
        right += page.startswith(said.rstrip("s")) and bool(said)
        print(f"{question:40} {said:12} ({page})", flush=True)
    with open(os.environ.get("TRUNKLINE_METRICS", os.devnull), "a") as metrics:
        metrics.write(json.dumps({"topics_right": right / len(QUESTIONS)}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
