"""Bounded memories of what happened a short time ago.

Their instants are those of a clock that nobody sets (`ports.steady_now`): a memory must not last longer because the
system's clock was set back. If it is set back all the same, what is of the future by then is forgotten.
"""

from datetime import datetime, timedelta
from typing import Generic, TypeVar

__all__ = ["ExpiringCache", "GenerationCache"]

K = TypeVar("K")
V = TypeVar("V")

_NO_TIME = timedelta(0)


class ExpiringCache(Generic[K, V]):
    """Remembers values by key for `valid`, at most `size` of them: when there are too many, the older half goes.

    There are two generations, of which the older goes as a whole, so that no value stays long after its time.
    """

    def __init__(self, valid: timedelta, size: int) -> None:
        self.valid, self._half = valid, size // 2
        self._young: dict[K, tuple[datetime, V]] = {}
        self._old: dict[K, tuple[datetime, V]] = {}
        self._begun: datetime | None = None

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K, now: datetime) -> V | None:
        """The value put in less than `valid` before `now`, or None."""
        entry = self._young.get(key) or self._old.get(key)
        if entry is None or not _NO_TIME <= now - entry[0] < self.valid:
            return None
        return entry[1]

    def put(self, key: K, value: V, now: datetime) -> None:
        """Remember `value` from `now` on, in place of what was there."""
        is_over = self._begun is None or not _NO_TIME <= now - self._begun < self.valid
        if is_over or len(self._young) >= self._half:
            self._young, self._old, self._begun = {}, self._young, now
        if self._half:
            self._young[key] = (now, value)

    def clear(self) -> None:
        """Remember nothing."""
        self._young, self._old = {}, {}


class GenerationCache(Generic[K, V]):
    """Remembers values by key for at most `valid`, and for half of that if `size` allows.

    There are two generations, of which the older goes as a whole, so that a value costs no time of its own.
    """

    def __init__(self, valid: timedelta, size: int) -> None:
        self._half, self._size = valid / 2, size // 2
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._begun: datetime | None = None

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """The value put in lately, or None; right as long as `age` is called now and then."""
        return self._young.get(key) or self._old.get(key)

    def put(self, key: K, value: V, now: datetime) -> None:
        """Remember `value`, which counts as true, from `now` on, in place of what was there."""
        self.age(now)
        if len(self._young) >= self._size:
            self._turn(now)
        if self._size:
            self._young[key] = value

    def age(self, now: datetime) -> None:
        """Forget what is too old."""
        if self._begun is None or not _NO_TIME <= now - self._begun < 2 * self._half:
            self.clear()
            self._begun = now
        elif now - self._begun >= self._half:
            self._turn(now)

    def _turn(self, now: datetime) -> None:
        self._young, self._old, self._begun = {}, self._young, now

    def clear(self) -> None:
        """Remember nothing."""
        self._young, self._old = {}, {}
