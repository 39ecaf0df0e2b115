"""Finds the passages that belong to a question: words (BM25) and embeddings, joined by their ranks."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

from .chunks import Chunk

Embed = Callable[[Sequence[str]], list[list[float]]]


class Index:
    def __init__(self, chunks: Sequence[Chunk], embed: Embed):
        if not chunks:
            raise ValueError("an index needs at least one passage")
        self.chunks = list(chunks)
        self.embed = embed
        self.vectors = embed([it.title for it in self.chunks])
        self.words = [Counter(words_of(it.title)) for it in self.chunks]
        self.mean_length = sum(sum(it.values()) for it in self.words) / len(self.words)

    def search(self, question: str, k: int = 3) -> list[Chunk]:
        """The `k` best passages, best first. Reciprocal rank fusion, Cormack et al., SIGIR 2009."""
        rankings = [self.by_words(question), self.by_vector(question)]
        score: Counter[int] = Counter()
        for ranking in rankings:
            for rank, place in enumerate(ranking):
                score[place] += 1 / (60 + rank)
        best = sorted(score, key=lambda place: (-score[place], place))
        return [self.chunks[place] for place in best[:k]]

    def by_words(self, question: str, k1: float = 1.2, b: float = 0.75) -> list[int]:
        """Places of the passages that share a word with the question, by BM25."""
        total = [0.0] * len(self.chunks)
        for word in set(words_of(question)):
            holders = sum(word in words for words in self.words)
            rarity = math.log(1 + (len(self.words) - holders + 0.5) / (holders + 0.5))
            for place, words in enumerate(self.words):
                length = sum(words.values()) / self.mean_length
                total[place] += rarity * words[word] * (k1 + 1) / (words[word] + k1 * (1 - b + b * length))
        found = [place for place, value in enumerate(total) if value > 0]
        return sorted(found, key=lambda place: (-total[place], place))

    def by_vector(self, question: str) -> list[int]:
        """Places of all passages, the nearest embedding first."""
        [asked] = self.embed([question])
        near = [sum(a * b for a, b in zip(asked, vector)) for vector in self.vectors]
        return sorted(range(len(near)), key=lambda place: (-near[place], place))


def words_of(text: str) -> list[str]:
    return [it for it in re.findall(r"[a-z0-9]+", text.lower()) if len(it) > 2 or it.isdigit()]
