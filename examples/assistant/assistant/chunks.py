"""Cuts pages into passages that are small enough for a prompt and large enough to make sense."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Chunk:
    """A passage, and where it stands: `prices.md#day-pass`."""

    source: str
    heading: str
    text: str

    @property
    def title(self) -> str:
        return f"{self.heading}: {self.text}"


def read_folder(folder: Path, max_words: int = 80, overlap: int = 10) -> list[Chunk]:
    pages = sorted(folder.glob("*.md"))
    return [chunk for page in pages for chunk in cut(page.name, page.read_text(), max_words, overlap)]


def cut(page: str, text: str, max_words: int = 80, overlap: int = 10) -> list[Chunk]:
    """One passage for each section; a long section becomes several that overlap by `overlap` words."""
    if not 0 <= overlap < max_words:
        raise ValueError(f"overlap {overlap} must be smaller than max_words {max_words}")
    found = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        words = body.split()
        for start in range(0, max(1, len(words) - overlap), max_words - overlap):
            passage = " ".join(words[start : start + max_words])
            if passage:
                found.append(Chunk(f"{page}#{slug(heading)}", heading.strip(), passage))
    return found


def slug(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")
