import sys

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "evals"))

from score import f1, means, rouge_l  # noqa: E402


@pytest.mark.parametrize(
    ("answer", "wanted", "by_words", "by_order"),
    [
        ("The cat sat.", "the cat sat", 1.0, 1.0),
        ("sat cat the", "the cat sat", 1.0, 1 / 3),
        ("the cat", "the cat sat on the mat", 0.5, 0.5),
        ("dog", "cat", 0.0, 0.0),
        ("", "cat", 0.0, 0.0),
    ],
)
def test_scores_match_what_they_are_by_hand(answer, wanted, by_words, by_order):
    assert f1(answer, wanted) == pytest.approx(by_words)
    assert rouge_l(answer, wanted) == pytest.approx(by_order)


def test_a_mean_leaves_out_cases_that_have_no_such_score():
    assert means([{"id": "a", "f1": 1.0, "x": None}, {"id": "b", "f1": 0.0, "x": 0.5}]) == {"f1": 0.5, "x": 0.5}
