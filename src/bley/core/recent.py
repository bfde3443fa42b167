"""Bounded memories of what happened a short time ago."""

from datetime import datetime, timedelta
from typing import Generic, TypeVar

__all__ = ["Recent", "RecentKeys"]

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Remembers values by key for `valid`, at most `size` of them; the one put in first goes first."""

    def __init__(self, valid: timedelta, size: int) -> None:
        self.valid, self.size = valid, size
        self._values: dict[K, tuple[datetime, V]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K, now: datetime) -> V | None:
        """The value put in less than `valid` before `now`, or None."""
        entry = self._values.get(key)
        if entry is None or now - entry[0] >= self.valid:
            return None
        return entry[1]

    def put(self, key: K, value: V, now: datetime) -> None:
        """Remember `value` from `now` on, in place of what was there."""
        values = self._values
        values.pop(key, None)  # so that the order is that of `now`
        values[key] = (now, value)
        while len(values) > self.size:
            del values[next(iter(values))]

    def clear(self) -> None:
        """Remember nothing."""
        self._values.clear()


class RecentKeys:
    """Remembers keys for at most `valid`, and for half of that if `size` allows.

    There are two generations, of which the older goes as a whole, so that a key costs no time of its own.
    """

    def __init__(self, valid: timedelta, size: int) -> None:
        self._half, self._size = valid / 2, size // 2
        self._young: set[str] = set()
        self._old: set[str] = set()
        self._begun: datetime | None = None

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def __contains__(self, key: str) -> bool:
        """Whether it was added lately; right as long as `age` is called now and then."""
        return key in self._young or key in self._old

    def add(self, key: str, now: datetime) -> None:
        """Remember it from `now` on."""
        self.age(now)
        if len(self._young) >= self._size:
            self._turn(now)
        if self._size:
            self._young.add(key)

    def age(self, now: datetime) -> None:
        """Forget what is too old."""
        if self._begun is None or now - self._begun >= 2 * self._half:
            self.clear()
            self._begun = now
        elif now - self._begun >= self._half:
            self._turn(now)

    def _turn(self, now: datetime) -> None:
        self._young, self._old, self._begun = set(), self._young, now

    def clear(self) -> None:
        """Remember nothing."""
        self._young, self._old = set(), set()
