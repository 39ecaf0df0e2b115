"""What the model "thinks": deterministic answers, token counts and embeddings. No state, no clock."""

import hashlib
import math
import re

STOP_WORDS = frozenset(
    "a an and are as at be by can do does for from have how i if in is it me my of on or our that the there "
    "they this to was we what when where which who will with you your".split()
)
DIMENSIONS = 256
UNKNOWN = "I do not know."


def count_tokens(text: str) -> int:
    """Words, numbers and signs; long words count for each six letters."""
    parts = re.findall(r"\w+|[^\w\s]", text)
    return sum(1 + (len(part) - 1) // 6 for part in parts)


def stem(word: str) -> str:
    for ending in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


def terms(text: str) -> list[str]:
    """The words that carry meaning, stemmed."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return [stem(word) for word in words if word not in STOP_WORDS]


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A bag of hashed terms and letter triples, of length one."""
    vector = [0.0] * dimensions
    for term in terms(text):
        triples = [term[i : i + 3] for i in range(max(1, len(term) - 2))]
        for feature, weight in [(term, 1.0), *((triple, 0.3) for triple in triples)]:
            place = int.from_bytes(hashlib.sha256(feature.encode()).digest()[:4], "big")
            vector[place % dimensions] += weight
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [round(value / length, 6) for value in vector]


def sentences(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+", text) if part.strip()]


def reply(system: str, prompt: str) -> str:
    """Answers `Question:` from passages marked `[1] …`, obeying the system prompt; else shortens the prompt."""
    passages = re.findall(r"^\[(\d+)\] (.+)$", prompt, re.MULTILINE)
    question = re.search(r"^Question: (.+)$", prompt, re.MULTILINE)
    if not passages or not question:
        return " ".join(sentences(prompt)[:2])
    rules = system.lower()
    answer, number, certainty = best_sentence(passages, question.group(1))
    if certainty < 0.42 and UNKNOWN.lower().rstrip(".") in rules:
        return UNKNOWN
    return f"{answer} [{number}]" if "cite" in rules else answer


def best_sentence(passages: list[tuple[str, str]], question: str) -> tuple[str, str, float]:
    """The sentence that covers most of the question, where rare words weigh more."""
    candidates = [
        (sentence, number, set(terms(sentence)), set(terms(passage.split(":")[0])))
        for number, passage in passages
        for sentence in sentences(passage.split(": ", 1)[-1])
    ]
    asked = sorted(set(terms(question)))
    weight = {
        term: math.log(1 + len(candidates) / (1 + sum(term in words for _, _, words, _ in candidates)))
        for term in asked
    }
    total = sum(weight.values()) or 1.0

    def covered(words: set[str], title: set[str]) -> float:
        own = sum(weight[term] for term in asked if term in words)
        return own + 0.5 * sum(weight[term] for term in asked if term in title - words)

    scored = [(covered(words, title), sentence, number) for sentence, number, words, title in candidates]
    best = max(scored, key=lambda it: it[0])
    return best[1], best[2], best[0] / total
