"""Numbers with their nouns and units."""

__all__ = ["percent", "quantity"]


def quantity(number: int, noun: str, plural: str = "") -> str:
    """Return `1 record` or `2 records`; give `plural` if it is not the noun plus s: `record was`, `records were`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def percent(share: float, space: str = "") -> str:
    """Return `12.3%`, with `space` before the sign."""
    return f"{share:.1%}".replace("%", f"{space}%")
