"""Numbers agree with their nouns."""

import pytest

from bley.core.quantity import percent, quantity


@pytest.mark.parametrize(
    ("number", "noun", "plural", "words"),
    [
        (0, "record", "", "0 records"),
        (1, "record", "", "1 record"),
        (2, "record", "", "2 records"),
        (1, "early retry", "early retries", "1 early retry"),
        (3, "early retry", "early retries", "3 early retries"),
    ],
)
def test_quantities(number: int, noun: str, plural: str, words: str) -> None:
    assert quantity(number, noun, plural) == words


def test_percent() -> None:
    assert [percent(0), percent(0.12345), percent(1, " ")] == ["0.0%", "12.3%", "100.0 %"]
