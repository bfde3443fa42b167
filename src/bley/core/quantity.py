"""Numbers of things in words."""

__all__ = ["quantity"]


def quantity(number: int, noun: str, plural: str = "") -> str:
    """`1 record`, `2 records`; `plural` where it is not the noun with an s, with a verb say: `record was`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
