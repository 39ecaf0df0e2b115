import json
from collections import Counter

import pytest

from assistant.chunks import Chunk, read_folder
from assistant.index import Index
from conftest import ROOT
from model_server import mind

CASES = [json.loads(line) for line in (ROOT / "evals" / "golden.jsonl").read_text().splitlines()]
KNOWN = [case for case in CASES if case["source"]]


@pytest.fixture(scope="module")
def index():
    return Index(read_folder(ROOT / "knowledge"), lambda texts: [mind.embed(it) for it in texts])


@pytest.mark.parametrize(("k", "wanted"), [(1, 0.8), (3, 0.95), (5, 0.95)])
def test_enough_questions_find_their_passage_among_the_first(index, k, wanted):
    hits = [case["source"] in [it.source for it in index.search(case["question"], k)] for case in KNOWN]
    assert sum(hits) / len(hits) >= wanted


def test_precision_at_one_is_not_bought_with_one_passage_that_always_wins(index):
    first = Counter(index.search(case["question"], 1)[0].source for case in KNOWN)
    assert first.most_common(1)[0][1] <= 5


def test_a_question_that_shares_no_word_still_gets_passages(index):
    assert len(index.search("zzz qqq", 3)) == 3


def test_equal_passages_come_in_their_order():
    same = [Chunk(f"page.md#{name}", "Same", "same words here") for name in "abc"]
    found = Index(same, lambda texts: [mind.embed(it) for it in texts]).search("same words", 3)
    assert [it.source for it in found] == ["page.md#a", "page.md#b", "page.md#c"]


def test_an_index_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one passage"):
        Index([], lambda texts: [])
