"""Numbers with their nouns."""

__all__ = ["quantity"]


def quantity(number: int, noun: str, plural: str = "") -> str:
    """Return `1 record` or `2 records`; give `plural` if it is not the noun plus s: `record was`, `records were`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
