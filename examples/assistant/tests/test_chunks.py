import pytest

from assistant.chunks import cut, slug

PAGE = "# Bikes\n\nReviewed: 2026-01-01\n\n## City bike\n\nThree gears.\n\n## Cargo bike (new!)\n\nA large box.\n"


def test_every_section_becomes_a_passage_with_its_place():
    assert [(it.source, it.text) for it in cut("bikes.md", PAGE)] == [
        ("bikes.md#city-bike", "Three gears."),
        ("bikes.md#cargo-bike-new", "A large box."),
    ]


def test_a_long_section_becomes_passages_that_overlap():
    words = [f"w{number}" for number in range(25)]
    found = cut("long.md", "## Long\n" + " ".join(words), max_words=10, overlap=2)
    assert [it.text.split()[0] for it in found] == ["w0", "w8", "w16"]
    assert found[0].text.split()[-2:] == found[1].text.split()[:2]


@pytest.mark.parametrize("length", range(1, 60))
def test_no_word_is_lost_and_no_passage_is_too_long(length):
    words = [f"w{number}" for number in range(length)]
    found = cut("long.md", "## Long\n" + " ".join(words), max_words=10, overlap=3)
    assert {word for it in found for word in it.text.split()} == set(words)
    assert all(len(it.text.split()) <= 10 for it in found)


def test_an_overlap_as_long_as_a_passage_is_refused():
    with pytest.raises(ValueError, match="overlap 10 must be smaller than max_words 10"):
        cut("page.md", PAGE, max_words=10, overlap=10)


def test_a_heading_becomes_a_slug():
    assert slug("What's *new*, really?") == "what-s-new-really"
