"""Puts question, passages and prompt together, and reads the citations out of what the model says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .chunks import Chunk
from .index import Index
from .model import Model, Usage


@dataclass(frozen=True)
class Answer:
    text: str
    citations: list[str]
    passages: list[str]
    usage: Usage


@dataclass
class Assistant:
    index: Index
    model: Model
    prompt: str
    passages: int = 3

    def ask(self, question: str) -> Answer:
        found, prompt = self.prepare(question)
        text, usage = self.model.chat(prompt)
        return self.finish(text, found, usage)

    def ask_stream(self, question: str) -> Iterator[str | Answer]:
        """The words as they come, then the whole answer."""
        found, prompt = self.prepare(question)
        words, usage = [], Usage()
        for part in self.model.chat_stream(prompt):
            if isinstance(part, Usage):
                usage = part
            else:
                words.append(part)
                yield part
        yield self.finish("".join(words), found, usage)

    def prepare(self, question: str) -> tuple[list[Chunk], str]:
        question = " ".join(question.split())[:500]
        if not question:
            raise ValueError("the question is empty")
        found = self.index.search(question, self.passages)
        listed = "\n".join(f"[{number}] {chunk.title}" for number, chunk in enumerate(found, 1))
        return found, self.prompt.replace("{passages}", listed).replace("{question}", question)

    def finish(self, text: str, found: list[Chunk], usage: Usage) -> Answer:
        numbers = dict.fromkeys(int(it) for it in re.findall(r"\[(\d+)\]", text))
        citations = [found[it - 1].source for it in numbers if 1 <= it <= len(found)]
        plain = re.sub(r"\s*\[\d+\]", "", text).strip()
        return Answer(plain, citations, [it.source for it in found], usage)
